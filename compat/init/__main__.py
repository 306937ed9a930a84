"""Entry point of `python -m compat.init`."""

import sys

from compat._cli import console
from compat.init.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
