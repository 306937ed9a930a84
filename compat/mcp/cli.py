"""The command `compat mcp`: serve the tools over standard input and output."""

from collections.abc import Sequence

from compat import errors
from compat._cli import console
from compat._cli.import_path import leave_current_folder
from compat.errors import MissingToolError


def main(argv: Sequence[str]) -> int:
    """Run `compat mcp` until the client closes standard input, and return the exit code.

    Raises:
        MissingToolError: the SDK of the protocol is not installed.
        OSError: standard output cannot be written.
    """
    parser().parse_args(argv)
    leave_current_folder()
    try:
        from compat.mcp.server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise MissingToolError(
            "mcp is not installed; run \"pip install 'sglang-vllm-compat[mcp]'\""
        ) from None
    try:
        make_server().run("stdio")
    except Exception as error:
        failure = _os_error(error)
        if failure is None:
            raise
        raise failure from None
    return errors.CLEAN


def _os_error(error: BaseException) -> OSError | None:
    """Return the OSError that an error is, or that a group of errors has, since the SDK raises groups."""
    if isinstance(error, OSError):
        return error
    inner = map(_os_error, getattr(error, "exceptions", ()))
    return next((each for each in inner if each is not None), None)


def parser() -> console.Parser:
    """Return the argument parser of `compat mcp`."""
    return console.Parser(
        "compat mcp",
        "Serve the Model Context Protocol over standard input and output, for agents: the tools resolve, "
        'explain, scan, check and pairs. Name "compat mcp" as the command of a server in the settings of the '
        "agent (needs the extra `mcp`).",
    )
