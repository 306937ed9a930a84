"""Entry point of `python -m compat.index`."""

import sys

from compat._cli import console
from compat.index.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
