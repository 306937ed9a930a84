"""Entry point of `python -m compat.rule`."""

import sys

from compat._cli import console
from compat.rule.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
