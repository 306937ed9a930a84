"""Versions of Python as pairs have them, `X.Y`."""

from __future__ import annotations

import re

from compat.errors import UsageError

PYTHONS = 63
"""How many are told apart: `3.0` to `3.61`, and all later ones together."""


def parse_python(text: str, where: str) -> str:
    """Return `text` when it is a version of Python as pairs have it, `X.Y`.

    Args:
        text: what somebody has written.
        where: what to name in the error.

    Raises:
        UsageError: it is none.
    """
    if not re.fullmatch(r"3\.\d{1,2}", text):
        raise UsageError(f"{where}: {text!r} is not a Python version (example: 3.11)")
    return text


def python_bit(python: str) -> int:
    """Return which bit of a set of Pythons stands for `X.Y`."""
    return min(int(python.partition(".")[2]), PYTHONS - 1)
