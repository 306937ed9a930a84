"""Entry point of `python -m compat.scan`."""

import gc
import sys

from compat._cli import console
from compat.scan.cli import main

if __name__ == "__main__":
    code = console.run(main)
    gc.freeze()  # the garbage collection at exit would traverse every loaded object for nothing
    sys.exit(code)
