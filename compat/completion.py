"""`compat completion`: print a script with which a shell completes commands and options."""

from collections.abc import Sequence

from compat import errors
from compat._cli import console
from compat.errors import MissingToolError

SHELLS = ("bash", "zsh", "tcsh")


def main(argv: Sequence[str]) -> int:
    """Run `compat completion` and return its exit code.

    Raises:
        MissingToolError: shtab is not installed.
    """
    arguments = parser().parse_args(argv)
    try:
        import shtab
    except ModuleNotFoundError:
        raise MissingToolError(
            "shtab is not installed; run \"pip install 'sglang-vllm-compat[completion]'\""
        ) from None
    from compat.__main__ import parser as whole

    print(shtab.complete(whole(complete=True), shell=arguments.shell))
    return errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat completion`."""
    found = console.Parser(
        "compat completion", "Print a script with which a shell completes commands and options (needs shtab)."
    )
    found.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    return found
