"""Parse Python source; source that is nested too deeply raises an error and never ends the process."""

import ast
import sys
import warnings

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


def _few(data: bytes) -> bool:
    return sum(data.count(each) for each in _LEVELS) < FEW


def survives(data: bytes) -> bool:
    """Return whether a child process survives parsing the source; Python 3.10 may overflow its stack."""
    from compat._util.subprocesses import run

    code = "import ast, sys; ast.parse(sys.stdin.buffer.read())"
    done = run([sys.executable, "-I", "-W", "ignore", "-c", code], seconds=LONGEST_PARSE, given=data)
    return done.code is not None and done.code >= 0
