"""Entry point of `python -m compat.mcp`."""

import sys

from compat._cli import console
from compat.mcp.cli import main

if __name__ == "__main__":
    sys.exit(console.run(main))
