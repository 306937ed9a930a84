"""Entry point of `python -m compat.upgrade`."""

import sys

from compat._cli import console
from compat.upgrade.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
