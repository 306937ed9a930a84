"""The argument parser of all commands, and the wrapper that turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import sys
from _json import encode_basestring_ascii as quoted  # the package around it loads much more
from contextlib import contextmanager

from compat import errors
from compat._cli.examples import EXAMPLES
from compat._cli.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` and `json` take longer to load than most answers take to find
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, NoReturn, TextIO

    Main = Callable[[Sequence[str]], int]


class _Formatter(argparse.HelpFormatter):
    """A help formatter as wide as the terminal that avoids argparse's slow import of `shutil`."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)
        self._action_max_length = 14  # argparse does not count how far the names of commands are indented

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Return a text with its paragraphs wrapped; indented lines stay as they are."""
        parts = text.split("\n\n")
        return "\n\n".join(
            part if "\n  " in part else super(_Formatter, self)._fill_text(part, width, indent)
            for part in parts
        )


def _columns() -> int:
    """Return the width of the terminal, like `shutil.get_terminal_size().columns`."""
    try:
        wanted = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        wanted = 0
    if wanted > 0:
        return wanted
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


class _Notes:
    """Whether notes are printed to stderr, for the command that this process runs."""

    wanted = True


class _Process:
    """Whether this process ends with the command that it runs."""

    ends = False


QUIET = ("-q", "--quiet")
"""The option that every command has, and that may also stand before the name of a command."""


class _Quiet(argparse.Action):
    """The action of the option `--quiet`."""

    def __call__(self, *_: object) -> None:
        be_quiet()


class Parser(argparse.ArgumentParser):
    """An argument parser whose help ends with exit codes and examples, and whose errors raise UsageError."""

    def __init__(self, prog: str, description: str) -> None:
        examples = "".join(f"\n  {line}" for line in EXAMPLES.get(prog, ()))
        super().__init__(
            prog=prog,
            description=description,
            epilog=errors.EXIT_CODES + (f"\n\nexamples:{examples}" if examples else ""),
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self.add_argument(*QUIET, action=_Quiet, nargs=0, help="print no notes to stderr")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Return the arguments; words may follow options, as in `scan src --vllm 0.20 tests`."""
        found, rest = self.parse_known_args(args, namespace)
        if rest and self._subparsers is None and not any(each.startswith("-") for each in rest):
            return self.parse_intermixed_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found

    def error(self, message: str) -> NoReturn:
        raise errors.UsageError(f'{message} (see "{self.prog} --help")')

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Flush the output of `--help` or `--version`, then exit; `run` reports an output that failed."""
        sys.stdout.flush()
        super().exit(status, message)


def run(main: Main, argv: Sequence[str] | None = None) -> int:
    """Run `main(argv)` and return the exit code; a known error is printed as one line, not a traceback."""
    _Notes.wanted = True
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character outside the encoding must not raise
            stream.reconfigure(errors="backslashreplace")
    _Process.ends = argv is None
    if argv is None:
        _end_like_control_c()
    try:
        code = main(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except errors.CompatError as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return errors.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has exited before it had the whole answer: with 0, findings would be lost.
        _drop_if_unwritable(sys.stdout)
        return errors.READER_LEFT
    except OSError as error:
        _drop_if_unwritable(sys.stdout)
        say(f"error: {disk_message(error)}")
        return errors.ENVIRONMENT
    finally:
        if argv is None:  # the process ends: Python need not look for cycles among all that it has loaded
            gc.freeze()
    return code


def _end_like_control_c() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that temporary files and child processes are removed.

    A signal that is ignored, such as SIGHUP under `nohup`, stays so.
    """
    import _signal as signals  # type: ignore[import-not-found]  # `signal` itself takes a millisecond

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    for number in (getattr(signals, name) for name in names if hasattr(signals, name)):
        if signals.getsignal(number) == signals.SIG_DFL:
            signals.signal(number, signals.default_int_handler)


def _replace_closed_streams() -> None:
    """Replace a closed standard output or error (`>&-`) by the null device.

    Python sets a closed stream to None, and `print(file=None)` writes to standard output: notes for stderr
    would end up in documents.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _drop_if_unwritable(stream: TextIO) -> None:
    """Redirect a stream that cannot be flushed to the null device, so that the flush at exit works."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def no_cycle_search() -> Iterator[None]:
    """Switch the cyclic garbage collector off for a block that creates millions of objects without cycles.

    The search afterwards traverses them once. To make them old instead (`gc.freeze`, `gc.unfreeze`) would
    save that, and keep the cycles of the block, with their open files, for as long as a process runs.
    A process that ends with its command does not search at all.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting and not _Process.ends:
            gc.enable()


_SPACE = "; free some space and run it again"
_PERMISSIONS = "; check the permissions of the file and of its folder"
_HINTS = {
    errno.ENOSPC: _SPACE, errno.EDQUOT: _SPACE, errno.EACCES: _PERMISSIONS, errno.EPERM: _PERMISSIONS,
}  # fmt: skip


def disk_message(error: OSError) -> str:
    """Return one line for an OSError, with advice when the disk is full or an access is not permitted."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}{_HINTS.get(error.errno or 0, '')}"


def say(message: str) -> None:
    """Print one line to stderr, prefixed with "compat: "; with `--quiet`, only an error.

    The line is lost if stderr cannot be written.
    """
    if not _Notes.wanted and not message.startswith("error: "):
        return
    try:
        print(f"compat: {printable(message)}", file=sys.stderr, flush=True)
    except OSError:  # the exit code is that of the document on stdout
        _drop_if_unwritable(sys.stderr)


def be_quiet() -> None:
    """Print no notes to stderr from now on, for the command that this process runs."""
    _Notes.wanted = False


def quiet() -> bool:
    """Return whether the user wants no notes."""
    return not _Notes.wanted


def coloured() -> bool:
    """Return whether to write colours to stdout: on a terminal or with FORCE_COLOR, but not with NO_COLOR.

    A terminal that calls itself dumb shows the codes of colours as text.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def document(command: str, **content: Any) -> str:
    """Return the JSON document of a command: `schema`, `command` and `content`, with sorted keys."""
    return _json({"schema": 1, "command": command, **content}, "\n", {})


def _json(value: Any, indent: str, known: dict[tuple[int, str], str]) -> str:
    """Return the same text as `json.dumps(value, indent=2, sort_keys=True)`, faster for repeated values.

    A list or dictionary that occurs several times is formatted once: the history of a name is the same
    object in hundreds of answers, and `json` would take longer to format them than the search takes.

    Args:
        value: strings, numbers, booleans, None, lists, and dictionaries with strings as keys.
        indent: a line feed and the indentation of `value`.
        known: the texts of lists and dictionaries so far, by identity and indentation.
    """
    match value:
        case str():
            return quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return int.__repr__(value)
        case float():
            return float.__repr__(value)
    key = id(value), indent
    if key not in known:
        inner = f"{indent}  "
        if isinstance(value, dict):
            ends = "{}"
            parts = [f"{quoted(name)}: {_json(value[name], inner, known)}" for name in sorted(value)]
        else:
            ends = "[]"
            parts = [_json(each, inner, known) for each in value]
        known[key] = f"{ends[0]}{inner}{f',{inner}'.join(parts)}{indent}{ends[1]}" if parts else ends
    return known[key]
