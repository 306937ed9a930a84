"""Restore the order of lines that a log viewer prints newest first."""

import re

from compat.explain.log.cleaning import LONGEST, clean
from compat.explain.log.traceback_parser import HEADER

_FRAME = re.compile(rb'File "[^"\n]{1,1000}", line \d')
_RAISED = re.compile(r"[A-Za-z_][\w.]{0,120}(?:Error|Exception|Interrupt|Exit)(?::|$)")
_NEAR = 3
"""Most lines between the exception and its innermost frame: the source line, and marks below it."""


def in_order(block: bytes) -> bytes:
    """Return a block of a log with the oldest line first.

    The lines are reversed if the block begins and ends as a traceback does that is read backwards: the
    exception and the source line stand above the innermost frame, and none stands below the last frame.
    """
    if b'File "' not in block:
        return block
    lines = block.split(b"\n")
    frames = [at for at, raw in enumerate(lines) if b'File "' in raw and _FRAME.search(raw)]
    if not frames or not frames[0]:
        return block
    first, last = frames[0], frames[-1]
    above = [_text(raw) for raw in lines[max(0, first - _NEAR) : first]]
    below = [_text(raw) for raw in lines[last + 1 : last + 1 + _NEAR]]
    header = HEADER.encode()
    begun = any(header in raw for raw in lines[:first])
    raised = any(_RAISED.match(text) for text in above)
    if begun or not raised or _indent(above[-1]) <= _indent(_text(lines[first])):
        return block
    if any(_RAISED.match(text) for text in below):
        return block
    return b"\n".join(reversed(lines))


def _text(raw: bytes) -> str:
    return clean(raw[:LONGEST])[0].text


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
