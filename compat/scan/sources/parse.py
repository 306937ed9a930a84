"""Source to tree, whatever the source: what is nested too deeply is told, and ends nothing."""

import ast
import sys
import warnings

FEW = 10_000
"""Operators and lines with which Python 3.10 has stack enough: each may be one level of a tree."""
LONGEST_PARSE = 300.0
"""Seconds."""
_LEVELS = (*(bytes([each]) for each in b"+-*/%@&|^<>.([\n"), b"not ", b"await", b"lambda", b"else")


def tree_of(data: bytes) -> ast.Module:
    """Return the tree of Python source.

    Raises:
        SyntaxError: it is none.
        ValueError: it has null bytes.
        RecursionError: it is nested too deeply.
    """
    if sys.version_info < (3, 11) and not _few(data) and not survives(data):
        raise RecursionError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the source: `"\d"`, `x is 1`
            return ast.parse(data)
    except MemoryError:
        raise RecursionError from None


def _few(data: bytes) -> bool:
    return sum(data.count(each) for each in _LEVELS) < FEW


def survives(data: bytes) -> bool:
    """Return whether another process can parse source: that of Python 3.10 may overflow its stack and die."""
    from compat._util.subprocesses import run

    code = "import ast, sys; ast.parse(sys.stdin.buffer.read())"
    done = run([sys.executable, "-I", "-W", "ignore", "-c", code], seconds=LONGEST_PARSE, given=data)
    return done.code is not None and done.code >= 0
