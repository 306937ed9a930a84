"""Entry point of `python -m compat.lsp`."""

import sys

from compat._cli import console
from compat.lsp.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
