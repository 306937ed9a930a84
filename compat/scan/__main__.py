"""Entry point of `python -m compat.scan`."""

import gc
import sys

from compat._cli import console
from compat.scan.cli import main

if __name__ == "__main__":
    code = console.run(main)
    gc.freeze()  # the process ends: its last look for cycles would go through all that was loaded
    sys.exit(code)
