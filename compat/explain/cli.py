"""The command line of `compat explain`: arguments, input and exit code."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from compat import errors
from compat._cli import console
from compat.errors import UsageError
from compat.sources.command_line import Texts, add_index_option, with_sources
from compat.sources.opening import SETTINGS

CHUNK = 1 << 20
"""Bytes to read at a time."""


def main(argv: Sequence[str]) -> int:
    """Run `compat explain` and return its exit code: 0 if a cause was found, 1 if all are unknown."""
    arguments = parser().parse_args(argv)
    from compat.explain import output
    from compat.explain.engine import explain
    from compat.requirements.installed import read_environment

    with ExitStack() as stack:
        stream = _opened(arguments.file, stack)
        if arguments.which:
            return _which(_chunks(stream, arguments.file), arguments.format)
        given = {"sglang": arguments.sglang, "vllm": arguments.vllm}
        texts: Texts = {package: (version,) if version else () for package, version in given.items()}
        files, texts = with_sources(texts, arguments.index, further=(SETTINGS,))
        found = explain(
            _chunks(stream, arguments.file),
            sglang=next(iter(texts["sglang"]), None),
            vllm=next(iter(texts["vllm"]), None),
            environment=read_environment(),
            index=files,
        )
    print(output.as_json(found) if arguments.format == "json" else output.as_text(found))
    return errors.FINDINGS if all(each.cause == "unknown" for each in found) else errors.CLEAN


def _which(chunks: Iterator[bytes], form: str) -> int:
    """Print the releases that the lines of a log fit, and return 0 if there are any."""
    from compat.explain import output
    from compat.explain.engine import which

    found = which(chunks)
    print(output.releases_as_json(found) if form == "json" else output.releases_as_text(found))
    return errors.CLEAN if any(each.releases for each in found) else errors.FINDINGS


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    """Return the named file opened for reading, or standard input for `-`.

    Raises:
        UsageError: the file cannot be opened, or standard input is closed.
    """
    if name == "-":
        if sys.stdin is None:
            raise UsageError("standard input is closed; pass a log file")
        if sys.stdin.isatty():
            console.say("reading the log from the terminal; end it with Ctrl-D")
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"{name}: cannot be read: {reason}; pass a log file, or - for standard input"
        ) from None


def _chunks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from None


def parser() -> console.Parser:
    """Return the argument parser of `compat explain`."""
    parser = console.Parser(
        "compat explain",
        "Find out why an import of sglang or vllm failed, from a traceback or a whole log. Releases that no "
        "option names are taken from the log, else from this environment.",
    )
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="the log (default: standard input)"
    )
    parser.add_argument("--sglang", metavar="VERSION", help="the release of sglang that wrote the log")
    parser.add_argument("--vllm", metavar="VERSION", help="the release of vllm that wrote the log")
    add_index_option(parser)
    parser.add_argument(
        "--which",
        action="store_true",
        help="print only the releases that the frames and log lines fit, by their line numbers",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser
