"""The command `compat lsp`: serve an editor over standard input and output."""

from collections.abc import Sequence

from compat import errors
from compat._cli import console
from compat.errors import IntegrityError, MissingToolError


def main(argv: Sequence[str]) -> int:
    """Run `compat lsp` until the editor ends it, and return the exit code.

    Raises:
        MissingToolError: pygls is not installed.
        IntegrityError: a message claims to be larger than memory.
    """
    parser().parse_args(argv)
    try:
        from compat.lsp.server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise MissingToolError(
            "pygls is not installed; run \"pip install 'sglang-vllm-compat[lsp]'\""
        ) from None
    try:
        make_server().start_io()
    except MemoryError:
        raise IntegrityError(
            "standard input: the length of a message is more than there is memory; start the editor again"
        ) from None
    return errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat lsp`."""
    return console.Parser(
        "compat lsp",
        "Serve the Language Server Protocol over standard input and output, for editors: what breaks in the "
        "releases that the project pins, quick fixes, and the history of a name on hover. The options come "
        "from [tool.compat] in pyproject.toml (needs the extra `lsp`).",
    )
