"""Entry point of `python -m compat.diff`."""

import sys

from compat._cli import console
from compat.diff.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
