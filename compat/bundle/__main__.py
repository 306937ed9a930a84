"""Entry point of `python -m compat.bundle`."""

import sys

from compat._cli import console
from compat.bundle.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
