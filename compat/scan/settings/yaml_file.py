"""Read command lines from YAML: compose files, manifests of Kubernetes, CI files, and templates of these.

It looks at lines and their indentation alone: templates (`{{ … }}`) are no YAML for a real parser, and
the places of words are needed.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from compat.scan.settings.model import Command, Word
from compat.scan.settings.shell import commands

_LINE = re.compile(
    r"^(?P<indent>[ \t]*(?:-[ \t]+)*)(?:(?P<key>[\w.-]+|\"[^\"\n]*\"|'[^'\n]*'):(?:[ \t]+|$))?", re.MULTILINE
)
_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?[ \t\r]*(?:#.*)?$", re.MULTILINE)
_SCALAR = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'|([^\s,\[\]\"'#][^,\]\n#]*)")
_PROGRAM = re.compile(
    r"\b(?:vllm|sglang)[ \t]+(?:serve|bench|run-batch|generate)\b|-m[ \t]+(?:vllm|sglang)\.|vllm/vllm-openai"
)
_COMMANDS = ("entrypoint", "command", "cmd")
_ARGUMENTS = ("args", "arguments")


class _Entry(NamedTuple):
    """A line: `  - key: value`."""

    column: int
    """The column of the key or of the value."""
    item: bool
    """Whether the line begins an item of a list."""
    key: str
    start: int
    """Where its value begins."""
    end: int
    """Where the line ends."""


def yaml_commands(text: str, start: int = 0, end: int | None = None) -> Iterator[Command]:
    """Yield the command lines of a part of a text that is YAML."""
    entries = list(_entries(text, start, len(text) if end is None else end))
    lists: dict[int, Command] = {}
    at = 0
    while at < len(entries):
        entry = entries[at]
        known = entry.key in _COMMANDS or entry.key in _ARGUMENTS
        block = _BLOCK.match(text, entry.start, entry.end) is not None
        if not (known or block or _PROGRAM.search(text, entry.start, entry.end)):
            at += 1
            continue
        stop = _last(entries, at)
        words = _words(text, entries, at, stop) if known else None
        if words is not None:
            lists[at] = Command(tuple(words))
            for word in words:
                if word.inner and " " in word.text:
                    yield from commands(text, *word.inner, folded=text.startswith(">", word.start))
        else:
            start = entry.end if block else entry.start
            folded = not block or text.startswith(">", entry.start)
            found = commands(text, start, entries[stop - 1].end, folded=folded)
            yield from found
            if known and len(found) == 1:
                lists[at] = found[0]
        at = stop
    yield from _containers(text, entries, lists)


def _entries(text: str, start: int, end: int) -> Iterator[_Entry]:
    at = start
    while at < end:
        close = text.find("\n", at, end)
        close = end if close < 0 else close
        match = _LINE.match(text, at, close)
        if match is not None and text[match.end("indent") : close].strip():
            indent = match["indent"]
            key = (match["key"] or "").strip("\"'")
            if not text.startswith("#", match.end("indent")):
                yield _Entry(len(indent), "-" in indent, key, match.end(), close)
        at = close + 1


def _last(entries: Sequence[_Entry], at: int) -> int:
    """Return the index after the entries that belong to the value of one."""
    entry = entries[at]
    stop = at + 1
    while stop < len(entries):
        each = entries[stop]
        goes_on = entry.item and not entry.key and each.column == entry.column and not each.item
        if each.column <= entry.column and not goes_on:
            break
        stop += 1
    return stop


def _words(text: str, entries: Sequence[_Entry], at: int, stop: int) -> list[Word] | None:
    """Return the words of a list, `[a, b]` or one a line; None for any other value."""
    entry = entries[at]
    if text.startswith("[", entry.start):
        close = text.find("]", entry.start, entries[stop - 1].end)
        close = entries[stop - 1].end if close < 0 else close
        return [_word(match) for match in _SCALAR.finditer(text, entry.start + 1, close)]
    if entry.start < entry.end or stop == at + 1 or not entries[at + 1].item:
        return None
    found: list[Word] = []
    number = at + 1
    while number < stop:
        each = entries[number]
        if not each.item:
            number += 1
            continue
        begin = each.start if not each.key else each.start - len(each.key) - 1
        last = _last(entries, number)
        if _BLOCK.match(text, each.start, each.end):
            inner = (each.end, entries[last - 1].end)
            found.append(Word(text[inner[0] : inner[1]], each.start, inner))
        else:
            begin = each.end - len(text[begin : each.end].lstrip()) if not each.key else begin
            found.append(_item(text, begin, each.end))
        number = max(last, number + 1)
    return found


def _word(match: "re.Match[str]") -> Word:
    number = next(number for number in (1, 2, 3) if match[number] is not None)
    return Word(match[number].strip(), match.start(), match.span(number))


def _item(text: str, start: int, end: int) -> Word:
    """Return the scalar of a line, without its quotes and a comment after it."""
    quoted = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'").match(text, start, end)
    if quoted:
        return _word_of_quoted(quoted)
    comment = text.find(" #", start, end)
    stop = end if comment < 0 else comment
    value = text[start:stop].rstrip()
    return Word(value, start, (start, start + len(value)))


def _word_of_quoted(match: "re.Match[str]") -> Word:
    number = 1 if match[1] is not None else 2
    return Word(match[number], match.start(), match.span(number))


def _containers(text: str, entries: Sequence[_Entry], lists: dict[int, Command]) -> Iterator[Command]:
    """Yield the command line of each mapping that has parts of one: command, arguments, and the image."""
    done: set[int] = set()
    for at in lists:
        if at in done:
            continue
        siblings = list(_siblings(entries, at))
        done.update(siblings)
        own = {entries[each].key: lists[each] for each in siblings if each in lists}
        images = [
            text[entries[each].start : entries[each].end].split("#", maxsplit=1)[0].strip(" \t\r\"'")
            for each in siblings
            if entries[each].key == "image"
        ]
        words = [word for key in (*_COMMANDS, *_ARGUMENTS) if key in own for word in own[key].words]
        entry = "entrypoint" in own or (
            ("command" in own or "cmd" in own) and any(k in own for k in _ARGUMENTS)
        )
        yield Command(tuple(words), image=images[0] if images and not entry else "")


def _siblings(entries: Sequence[_Entry], at: int) -> Iterator[int]:
    """Yield the indexes of the entries of the mapping to which one belongs."""
    column = entries[at].column
    first = at
    while first > 0 and entries[first - 1].column >= column and not _begins(entries[first], column):
        first -= 1
    number = first
    while number < len(entries):
        each = entries[number]
        if each.column < column or (number > first and _begins(each, column)):
            return
        if each.column == column and each.key:
            yield number
        number += 1


def _begins(entry: _Entry, column: int) -> bool:
    """Return whether an entry begins a mapping that is an item of a list, with its keys in a column."""
    return entry.item and bool(entry.key) and entry.column == column
