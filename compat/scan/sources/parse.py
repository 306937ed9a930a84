"""Parse Python source; source that is nested too deeply raises an error and never ends the process."""

import ast
import sys
import warnings

from compat.scan.sources.discovery import Unreadable

FEW = 10_000
"""Number of operators and lines for which the stack of Python 3.10 suffices; each may add a level."""
LONGEST_PARSE = 300.0
"""Time limit in seconds."""
_LEVELS = (*(bytes([each]) for each in b"+-*/%@&|^<>.([\n"), b"not ", b"await", b"lambda", b"else")


def tree_of(data: bytes) -> ast.Module:
    """Return the syntax tree of Python source.

    Raises:
        SyntaxError: the source is not valid Python.
        ValueError: the source has null bytes.
        RecursionError: the source is nested too deeply.
    """
    if sys.version_info < (3, 11) and not _few(data) and not survives(data):
        raise RecursionError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about the source, such as `"\d"` and `x is 1`
            return ast.parse(data)
    except MemoryError:
        raise RecursionError from None


def is_python(data: bytes) -> bool:
    """Return whether source is valid Python, in less time than its syntax tree takes; False if in doubt."""
    import symtable

    if sys.version_info < (3, 11) and not _few(data):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            symtable.symtable(data, "", "exec")  # type: ignore[arg-type]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def unparsable(error: SyntaxError | ValueError | RecursionError) -> Unreadable:
    """Return the error that `tree_of` raised as one that has a line, a column and a short reason."""
    if isinstance(error, SyntaxError):
        return Unreadable(error.msg, max(error.lineno or 1, 1), max(error.offset or 1, 1))
    return Unreadable("nested too deeply to be parsed" if isinstance(error, RecursionError) else str(error))


def _few(data: bytes) -> bool:
    return sum(data.count(each) for each in _LEVELS) < FEW


def survives(data: bytes) -> bool:
    """Return whether a child process survives parsing the source; Python 3.10 may overflow its stack."""
    from compat._util.subprocesses import run

    code = "import ast, sys; ast.parse(sys.stdin.buffer.read())"
    done = run([sys.executable, "-I", "-W", "ignore", "-c", code], seconds=LONGEST_PARSE, given=data)
    return done.code is not None and done.code >= 0
