"""Python versions of the form `X.Y`, as in pairs, and their bits in a set."""

from __future__ import annotations

import re

from compat.errors import UsageError

PYTHONS = 63
"""The number of bits in a set of Python versions: one each for `3.0` to `3.61`, one for later versions."""


def parse_python(text: str, where: str) -> str:
    """Return `text` if it is a Python version of the form `X.Y`.

    Args:
        text: the version.
        where: the source of the text, for the error message.

    Raises:
        UsageError: it is not of this form.
    """
    if not re.fullmatch(r"3\.\d{1,2}", text):
        raise UsageError(f"{where}: {text!r} is not a Python version (example: 3.11)")
    return text


def python_bit(python: str) -> int:
    """Return the bit for `X.Y` in a set of Python versions."""
    return min(int(python.partition(".")[2]), PYTHONS - 1)
