"""Entry point of `python -m compat.check`."""

import gc

gc.disable()  # an answer is found sooner than cycles would be among the few objects that it takes

import sys  # noqa: E402

from compat._cli import console  # noqa: E402
from compat.check.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(console.run(main))
