"""Find the error messages of pip and uv in a log; each spans several lines and becomes one failure."""

import re
from collections.abc import Iterator

from compat.explain.log.cleaning import LONGEST, clean
from compat.explain.log.model import ExceptionInfo, Failure
from compat.uv.messages import REFUSALS, refusal

SIGNS = tuple(sign.encode() for sign in REFUSALS)
"""A block without any of these contains no such message."""
_MOST_LINES = 80
_BUILDKIT = re.compile(r"#\d{1,5} (?:\d{1,7}\.\d{1,4} )?")
"""The prefix of a line of `docker build`."""


def installer_failures(block: bytes) -> Iterator[Failure]:
    """Yield a failure for each error message of pip or uv in a block of a log."""
    lines = block.split(b"\n")
    for at, raw in enumerate(lines):
        if any(sign in raw for sign in SIGNS):
            rest = (_text(each) for each in lines[at + 1 : at + _MOST_LINES])
            message = refusal(_text(raw), rest, _text(lines[at - 1]) if at else "")
            yield Failure(chain=(ExceptionInfo(kind="", message=message[:LONGEST]),), loose=True)


def _text(raw: bytes) -> str:
    text = clean(raw[:LONGEST])[0].text
    found = _BUILDKIT.match(text)
    return text[found.end() :] if found else text
