"""Entry point of `python -m compat.pairs`."""

import sys

from compat._cli import console
from compat.pairs.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
