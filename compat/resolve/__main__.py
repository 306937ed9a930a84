"""`python -m compat.resolve`: the usual questions at once, all others with the code that it takes."""

import sys
from collections.abc import Sequence

from compat.resolve import fast_path


def main(argv: Sequence[str]) -> int:
    """Run `compat resolve` and return its exit code."""
    known = fast_path.answer(list(argv))
    if known is None:
        from compat.resolve.cli import main as search

        return search(argv)
    text, code = known
    print(text, flush=True)
    return code


def entry() -> int:
    """Run the command line of this process; see `compat._cli.console.run` for what it does about errors."""
    known = fast_path.answer(sys.argv[1:])
    if known is not None:
        try:
            print(known[0], flush=True)
        except OSError:
            pass  # told below, when it happens again
        else:
            return known[1]
    from compat._cli import console

    return console.run(main)


if __name__ == "__main__":
    sys.exit(entry())
