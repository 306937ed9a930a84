"""The outline of one source file, and how it is encoded in the data file."""

import zlib
from typing import NamedTuple

LOGGING_CODES = 31
"""Codes 1 to 31 mark the first line of a logging call, higher ones other code, and 0 a line without code."""


class Definition(NamedTuple):
    """A function or class, with its lines and its interface."""

    kind: str
    """`f` for a function, `c` for a class, `o` for a command-line option that is added to a parser."""
    name: str
    start: int
    """The first line, that of the first decorator included."""
    body: int
    """The line on which its body begins."""
    end: int
    detail: str
    """The interface as text: see `function_outline` and `class_outline` of the extractor."""


class Message(NamedTuple):
    """A text that the file raises or logs."""

    line: int
    kind: str
    """The exception that is raised, or the method of the logger."""
    template: str
    """The text; each value that is put into it is the character NUL."""
    guard: str
    """The condition or the failed import that leads to it; empty if nothing does."""


class Outline(NamedTuple):
    """What is known about the lines of one source file."""

    definitions: tuple[Definition, ...]
    """In the order of the source."""
    lines: bytes
    """One code a line: see `line_code`."""
    messages: tuple[Message, ...]


EMPTY = Outline((), b"", ())
"""The outline of a file that is not valid Python."""


def line_code(text: bytes, *, logging: bool) -> int:
    """Return the code of a line of code: a small digest of its text, without white space around it."""
    digest = zlib.crc32(text.strip())
    return 1 + digest % LOGGING_CODES if logging else 1 + LOGGING_CODES + digest % (255 - LOGGING_CODES)


def encode(definitions: tuple[Definition, ...]) -> str:
    """Return definitions as text: one a line, their places relative to the definition before."""
    parts, at = [], 0
    for each in definitions:
        place = f"{each.start - at}\t{each.body - each.start}\t{each.end - each.start}"
        parts.append(f"{each.kind}{each.name}\t{place}\t{each.detail}\n")
        at = each.start
    return "".join(parts)


def decode(text: str) -> tuple[Definition, ...]:
    """Return the definitions that `encode` wrote."""
    found, at = [], 0
    for line in text.splitlines():
        name, gap, body, length, detail = line.split("\t")
        at += int(gap)
        found.append(Definition(name[0], name[1:], at, at + int(body), at + int(length), detail))
    return tuple(found)
