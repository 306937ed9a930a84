"""Read the command lines of a Dockerfile: `RUN`, `CMD` and `ENTRYPOINT`, as text or as JSON."""

import re
from collections.abc import Iterator

from compat.scan.settings.model import Command, Word
from compat.scan.settings.shell import commands

_INSTRUCTION = re.compile(r"^[ \t]*(FROM|RUN|CMD|ENTRYPOINT)[ \t]+", re.IGNORECASE | re.MULTILINE)
_STRING = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"")
_FLAG = re.compile(r"(?:--[a-z]+=\S*[ \t]+)+")


def dockerfile_commands(text: str, start: int = 0, end: int | None = None) -> Iterator[Command]:
    """Yield the command lines of a part of a text that is a Dockerfile.

    `CMD` holds the arguments of `ENTRYPOINT`, of the base image if the stage has none of its own.
    """
    end = len(text) if end is None else end
    image = ""
    entry: tuple[Word, ...] | None = None
    at = start
    while match := _INSTRUCTION.search(text, at, end):
        begin, at = match.end(), _end(text, match.end(), end)
        if flags := _FLAG.match(text, begin, at):
            begin = flags.end()
        instruction = match[1].upper()
        if instruction == "FROM":
            image, entry = next(iter(text[begin:at].split()), ""), None
        elif text.startswith("[", begin):
            words = tuple(
                Word(each[1], each.start(), (each.start(1), each.end(1)))
                for each in _STRING.finditer(text, begin, at)
            )
            yield from _inner(text, words)
            if instruction == "ENTRYPOINT":
                entry = words
                yield Command(words)
            elif instruction == "CMD":
                yield Command((*(entry or ()), *words), image=image if entry is None else "")
            else:
                yield Command(words)
        else:
            yield from commands(text, begin, at)


def _end(text: str, at: int, end: int) -> int:
    """Return where an instruction ends: at the end of a line that no backslash continues."""
    while True:
        close = text.find("\n", at, end)
        if close < 0:
            return end
        line = text[text.rfind("\n", 0, close) + 1 : close].strip()
        if not line.endswith("\\") and not (line.startswith("#") and at > 0):
            return close
        at = close + 1


def _inner(text: str, words: tuple[Word, ...]) -> Iterator[Command]:
    """Yield the command lines in the words: `["sh", "-c", "vllm serve …"]`."""
    for word in words:
        if word.inner and " " in word.text:
            yield from commands(text, *word.inner)
