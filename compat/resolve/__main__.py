"""Entry point of `python -m compat.resolve`."""

import gc

gc.disable()  # a query is done before a garbage collection would pay off

import sys  # noqa: E402

from compat._cli import console  # noqa: E402
from compat.resolve.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(console.run(main))
