"""The command `compat lsp`: serve an editor over standard input and output."""

import logging
import sys
from collections.abc import Sequence
from typing import BinaryIO

from compat import errors
from compat._cli import console
from compat._cli.import_path import leave_current_folder
from compat.errors import IntegrityError, MissingToolError


def main(argv: Sequence[str]) -> int:
    """Run `compat lsp` until the editor ends it, and return the exit code.

    Raises:
        MissingToolError: pygls is not installed.
        IntegrityError: a message claims to be larger than memory.
        OSError: standard output cannot be written.
    """
    parser().parse_args(argv)
    leave_current_folder()
    try:
        from compat.lsp.server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise MissingToolError(
            "pygls is not installed; run \"pip install 'sglang-vllm-compat[lsp]'\""
        ) from None
    logger, handler = logging.getLogger("pygls"), _OneLine(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    output = _Output(sys.stdout.buffer)
    try:
        make_server().start_io(stdout=output)  # type: ignore[arg-type]  # it needs `write`, `flush` and `close` only
    except MemoryError:
        raise IntegrityError(
            "standard input: the length of a message is more than there is memory; start the editor again"
        ) from None
    finally:
        logger.removeHandler(handler)
    if output.error is not None:
        raise output.error
    return errors.CLEAN


class _Output:
    """Standard output whose first failure ends the server; pygls would report it to that same output."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
            self._stream.flush()
        except OSError as error:
            self.error = self.error or error
            raise SystemExit from None  # pygls catches every Exception, and stops on this

    def flush(self) -> None:
        """Do nothing: `write` has flushed."""

    def close(self) -> None:
        """Close the stream, as the client's `exit` asks for."""
        self._stream.close()


class _OneLine(logging.Handler):
    """Print what pygls logs as one line without a traceback, such as for a message that is not JSON."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        console.say(record.getMessage() + (f": {error}" if error else ""))


def parser() -> console.Parser:
    """Return the argument parser of `compat lsp`."""
    return console.Parser(
        "compat lsp",
        "Serve the Language Server Protocol over standard input and output, for editors: what breaks in the "
        "releases that the project pins, quick fixes, and the history of a name on hover. The options come "
        "from [tool.compat] in pyproject.toml (needs the extra `lsp`).",
    )
