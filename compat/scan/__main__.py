"""`python -m compat.scan`: what breaks in a source tree, and in which releases."""

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run `compat scan` and return its exit code."""
    from compat.scan.command import main as scan

    return scan(argv)


def entry() -> int:
    """Run the command line of this process; see `compat.cli.run` for what it does about errors."""
    from compat import cli

    code = cli.run(main)
    gc.freeze()  # the process ends: its last look for cycles would go through all that was loaded
    return code


if __name__ == "__main__":
    sys.exit(entry())
