"""Entry point of `python -m compat.doctor`."""

import sys

from compat._cli import console
from compat.doctor.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
