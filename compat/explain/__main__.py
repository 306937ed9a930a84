"""Entry point of `python -m compat.explain`."""

import sys

from compat._cli import console
from compat.explain.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
