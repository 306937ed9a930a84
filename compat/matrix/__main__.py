"""Entry point of `python -m compat.matrix`."""

import sys

from compat._cli import console
from compat.matrix.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
