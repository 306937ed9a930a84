"""Find the error messages of pip and uv in a log; each spans several lines and becomes one failure."""

import re
from collections.abc import Iterator
from itertools import chain, product

from compat.explain.log.cleaning import LONGEST, clean
from compat.explain.log.model import ExceptionInfo, Failure
from compat.uv.messages import FAILED, REFUSALS, refusal

_DEPENDS = " depends on "
LISTED = "The requirements in the text: "
"""The phrase that begins a message made of the requirements that a person lists."""
ONE_LINE = (
    "is not a supported wheel on this platform",
    "requires a different Python:",
    "have conflicting dependencies",
    "have a source distribution or wheel for the current platform",
    "so it will not be installable for Python",
    "so it will not be satisfied for Python",
)
"""Phrases of pip, uv and poetry in a line that says all."""
PARAGRAPHS = (
    "LibMambaUnsatisfiableError:",
    "PackagesNotFoundError:",
    "ResolvePackageNotFound:",
    "UnsatisfiableError:",
    "Unable to find a resolution",
    "Could not solve for environment specs",
)
"""Phrases with which messages of conda, mamba and pdm begin."""
SIGNS = tuple(sign.encode() for sign in (*REFUSALS, FAILED))
"""Of the messages of pip and uv with an explanation, and of poetry, a block contains one of these."""
RARE_SIGNS = tuple(
    sign.encode()
    for sign in (*ONE_LINE, *PARAGRAPHS, _DEPENDS)
    if not any(word in sign for word in ("Error", "NotFound", "so it will"))
)
"""Of the other messages, a block contains one of these, of `SIGNS`, or a word of errors in general."""
_ONE_LINE = tuple(sign.encode() for sign in ONE_LINE)
_REFUSALS = tuple(sign.encode() for sign in REFUSALS)
_PARAGRAPHS = tuple(sign.encode() for sign in PARAGRAPHS)
EVERY = (*SIGNS, *_ONE_LINE, *_PARAGRAPHS, _DEPENDS.encode())
"""All phrases by which messages are found."""
_LISTED = re.compile(rb"^[\s*>-]{0,10}[A-Za-z][\w.-]{0,60}==\S{1,40} depends on [A-Za-z]")
_MOST_LINES = 80
_MOST_JOINED = 4
"""Most lines into which a terminal wrapped one line of pip's."""
_REQUIRES = re.compile(rb"^[\w.-]{1,80} \d[\w.+!]{0,40} requires ")
_WHOLE = (b"is incompatible.", b"is not installed.")
_STATEMENT = re.compile(
    rb"^[\w.-]{1,80} \d\S{0,40} requires \S{1,200}(?:; .{1,300})?, "
    rb"(?:but you have [\w.-]{1,80} \d\S{0,40} which is "
    rb"incompatible|which is not installed)\."
)
_BUILDKIT = re.compile(r"#\d{1,5} (?:\d{1,7}\.\d{1,4} )?")
"""The prefix of a line of `docker build`."""


def installer_failures(block: bytes) -> Iterator[Failure]:
    """Yield a failure for each error message of pip or uv in a block of a log."""
    lines = block.split(b"\n")
    listed = [_text(raw).strip(" -*") for raw in lines if _LISTED.search(raw)]
    if len(listed) > 1 and not any(sign in block for sign in SIGNS):
        message = LISTED + "; ".join(listed)
        yield Failure(chain=(ExceptionInfo(kind="", message=message[:LONGEST]),), loose=True)
    for at, raw in enumerate(lines):
        if FAILED.encode() in raw:
            before = [_text(each) for each in lines[max(0, at - _MOST_LINES) : at + 1]]
            start = max((place for place, text in enumerate(before) if not text.strip()), default=-1)
            message = f"{FAILED}: {' '.join(before[start + 1 :])}"
            yield Failure(chain=(ExceptionInfo(kind="", message=message[:LONGEST]),), loose=True)
        elif any(sign in raw for sign in _ONE_LINE):
            yield Failure(chain=(ExceptionInfo(kind="", message=_text(raw)[:LONGEST]),), loose=True)
        elif any(sign in raw for sign in _PARAGRAPHS):
            message = "\n".join(_listed(lines, at))
            yield Failure(chain=(ExceptionInfo(kind="", message=message[:LONGEST]),), loose=True)
        elif any(sign in raw for sign in _REFUSALS):
            rest = (_text(each) for each in lines[at + 1 : at + _MOST_LINES])
            message = refusal(_text(raw), rest, _text(lines[at - 1]) if at else "")
            yield Failure(chain=(ExceptionInfo(kind="", message=message[:LONGEST]),), loose=True)


def _listed(lines: list[bytes], at: int) -> Iterator[str]:
    """Yield the line of a message and the next paragraph, which may begin after an empty line."""
    begun = False
    yield _text(lines[at])
    for raw in lines[at + 1 : at + _MOST_LINES]:
        text = _text(raw).strip()
        if not text and begun:
            return
        if text:
            begun = True
            yield text


def unwrapped(block: bytes) -> bytes:
    """Return a block in which the lines of pip's warning are whole that a terminal had wrapped.

    A terminal breaks a line at its width, mostly within a word; a space at the end of a line is lost.
    """
    lines = block.split(b"\n")
    found: list[bytes] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if _REQUIRES.match(line) and not line.rstrip().endswith(_WHOLE):
            parts = [line]
            while len(parts) < _MOST_JOINED and at < len(lines) and not _ends(parts[-1]):
                parts.append(lines[at])
                at += 1
            if _ends(parts[-1]):
                line = next(filter(_STATEMENT.search, _joined(parts)), b" ".join(parts))
            else:
                at -= len(parts) - 1
        found.append(line)
    return b"\n".join(found)


def _joined(parts: list[bytes]) -> Iterator[bytes]:
    """Yield every way to join the parts of a line, those with the fewest added spaces first."""
    for gaps in sorted(product((b"", b" "), repeat=len(parts) - 1), key=lambda each: each.count(b" ")):
        yield b"".join(chain.from_iterable(zip((part.strip() for part in parts), (*gaps, b""), strict=True)))


def _ends(line: bytes) -> bool:
    return line.rstrip().endswith(_WHOLE)


def _text(raw: bytes) -> str:
    text = clean(raw[:LONGEST])[0].text
    found = _BUILDKIT.match(text)
    return text[found.end() :] if found else text
