"""Compare two recorded files: in data that programs read, and in sentences for people.

The suffix of a file decides. Of JSON and XML, programs read keys, values and structure; of annotations for
GitHub and rules for ruff, all but the message. Text, Markdown and HTML are for people. Of every other file,
such as source code, diffs, import statements, locks and requirement files, programs read each byte.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from itertools import zip_longest
from pathlib import PurePath
from typing import Any
from xml.etree import ElementTree as ET

ALLOWED: Mapping[str, str] = {"not there": "not installed"}
"""Keys and values of documents that were renamed: the old name to the new one."""

WORD_KEYS = frozenset({"evidence", "message", "notes", "problem", "problems", "reason", "text"})
"""JSON keys and XML attributes whose values are sentences."""

_SENTENCES = frozenset({".words", ".md", ".html"})
_LINES = {".github": re.compile(r"(::\w+ .*?::)(.*)"), ".rules": re.compile(r'("[^"]*"\.msg = |# )(.*)')}
"""Matches a line with a sentence after data that programs read; any other line is data."""
_FACTS = re.compile(r"\w[\w.:/+-]*[\d._:/]\w[\w.]*|\d+")
"""Matches versions, numbers, paths and dotted names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between two recorded files."""

    where: str
    """The path inside the document, or the line number in the first file."""
    old: str
    new: str
    words: bool
    """Whether the difference is in a sentence for people."""

    @property
    def facts(self) -> tuple[str, ...]:
        """The versions, numbers, paths and dotted names that only one side has."""
        return tuple(sorted(set(_FACTS.findall(self.old)) ^ set(_FACTS.findall(self.new))))

    @property
    def kind(self) -> str:
        """The severity: `document` must not differ; for `words, facts`, a person decides."""
        if not self.words:
            return "document"
        return "words, facts" if self.facts else "words"


def differences(name: str, old: str | None, new: str | None) -> list[Difference]:
    """Return the differences between two files of one name; None stands for a missing file."""
    if old == new:
        return []
    if old is None or new is None:
        sides = ["no such file" if text is None else "a file" for text in (old, new)]
        return [Difference(where="file", old=sides[0], new=sides[1], words=False)]
    suffix = PurePath(name).suffix
    parse = _PARSERS.get(suffix)
    if parse is None:
        return list(_hunks(old, new, words=suffix in _SENTENCES))
    try:
        found = list(_compare(parse(old), parse(new), "$", words=False))
    except (ValueError, ET.ParseError):
        return list(_hunks(old, new, words=False))
    return found or [Difference(where="layout", old="the same content", new="written otherwise", words=False)]


def _hunks(old: str, new: str, *, words: bool) -> Iterator[Difference]:
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for tag, start, end, other, other_end in SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            was, is_ = "".join(before[start:end]), "".join(after[other:other_end])
            yield Difference(where=f"line {start + 1}", old=was, new=is_, words=words)


def _compare(old: Any, new: Any, where: str, *, words: bool) -> Iterator[Difference]:
    """Yield the differences between two parsed documents; below `words`, strings are sentences."""
    if isinstance(old, dict) and isinstance(new, dict):
        renamed = {key if key in new else ALLOWED.get(key, key): value for key, value in old.items()}
        for key in dict.fromkeys([*renamed, *new]):
            place = f"{where}.{key}"
            if key not in renamed or key not in new:
                old_text, new_text = (json.dumps(each.get(key, "no such key")) for each in (renamed, new))
                yield Difference(where=place, old=old_text, new=new_text, words=False)
            else:
                yield from _compare(renamed[key], new[key], place, words=words or key in WORD_KEYS)
    elif isinstance(old, list) and isinstance(new, list):
        for number, (one, other) in enumerate(zip_longest(old, new)):
            yield from _compare(one, other, f"{where}[{number}]", words=words)
    elif type(old) is not type(new) or (old != new and ALLOWED.get(str(old)) != new):
        sentence = words and all(isinstance(each, str | None) for each in (old, new))
        yield Difference(where=where, old=json.dumps(old), new=json.dumps(new), words=sentence)


def _element(element: ET.Element) -> dict[str, Any]:
    children = [_element(child) for child in element]
    return {**element.attrib, "tag": element.tag, "text": element.text, "children": children}


def _parse_xml(text: str) -> dict[str, Any]:
    return _element(ET.fromstring(text))  # noqa: S314 -- the project's own output


def _parse_lines(form: re.Pattern[str], text: str) -> list[dict[str, str]]:
    found = [(line, form.fullmatch(line)) for line in text.splitlines()]
    return [{"read": match[1], "message": match[2]} if match else {"read": line} for line, match in found]


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".xml": _parse_xml,
    **{suffix: partial(_parse_lines, form) for suffix, form in _LINES.items()},
}
