"""Split shell scripts into command lines.

It knows quotes, comments, continuation lines, arrays, redirections and here-documents. What a shell works
out, such as `$(…)` and `$MODEL`, stays in the words as it is written.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from compat.scan.settings.model import Command, Word

_SPACE = re.compile(r"(?:[ \t\r\f]|\\\r?\n)+")
_PLAIN = re.compile(r"[^\s'\"\\$`;&|<>()#]+")
_PLACEHOLDER = re.compile(r"<[A-Za-z][^<>\n|;&]{0,60}>")
"""`<model>` in instructions, which a shell would take for redirections."""
_HERE = re.compile(r"<<-?[ \t]*(['\"]?)(\w+)\1")
_REDIRECTION = re.compile(r"(?:&>>?|[<>]{1,3}[&|]?)[ \t]*")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)\+?=")
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?:\[[@*]\])?\}|\(([A-Za-z_]\w*)\)|([A-Za-z_]\w*))")
SHOWS = frozenset(
    {
        "echo", "printf", "pgrep", "pkill", "grep", "rg", "git", "sed", "awk", "which", "pip", "kill",
        "usage:", "Usage:",
    }
)  # fmt: skip
"""Programs whose arguments only look like a command line, in quotes as well; and what precedes a synopsis."""
_DEEPEST = 3
"""How deep commands in quotes are followed: `ssh host "bash -c 'vllm serve …'"`."""
_MOST_DOCUMENTS = 100
"""Here-documents of one script whose ends are looked for."""


def commands(text: str, start: int = 0, end: int | None = None, *, folded: bool = False) -> list[Command]:
    """Return the command lines of a part of a text, those in quotes included, in source order.

    Args:
        text: the whole text, to whose offsets the words refer.
        start: where the part begins.
        end: where it ends; by default with the text.
        folded: whether a line end separates words and not commands.
    """
    return list(_Reader(text, len(text) if end is None else end, folded=folded).read(start, _DEEPEST))


class _Scanned(NamedTuple):
    """A word, and where it ends."""

    word: Word
    end: int


class _Reader:
    def __init__(self, text: str, end: int, *, folded: bool) -> None:
        self._text = text
        self._end = end
        self._folded = folded
        self._documents = 0

    def read(self, at: int, depth: int) -> Iterator[Command]:  # noqa: C901, PLR0912 -- one case per sign of the shell
        text, end = self._text, self._end
        words: list[Word] = []
        here: list[str] = []
        target = False
        while at < end:
            sign = text[at]
            if space := _SPACE.match(text, at, end):
                at = space.end()
            elif sign == "#":
                at = self._line_end(at)
            elif sign == "\n":
                at += 1
                if not self._folded or here:
                    yield from self._command(words, depth)
                    words = []
                for name in here:  # its body is often a script or a configuration file
                    close = self._here_end(at, name)
                    yield from _Reader(text, close, folded=False).read(at, 0)
                    at = close
                here = []
            elif placeholder := _PLACEHOLDER.match(text, at, end):
                words.append(Word(placeholder[0], at))
                at = placeholder.end()
            elif document := (_HERE.match(text, at, end) if sign == "<" else None):
                here += [document[2]] if self._documents < _MOST_DOCUMENTS else []
                self._documents += 1
                at = document.end()
            elif redirection := (_REDIRECTION.match(text, at, end) if sign in "<>&" else None):
                if words and words[-1].text.isdigit() and words[-1].start + len(words[-1].text) == at:
                    words.pop()  # the number of a stream: `2>&1`
                target = True
                at = redirection.end()
            elif sign in ";&|()":
                yield from self._command(words, depth)
                words = []
                at += 1
            else:
                word, at = self._word(at)
                assigned = _ASSIGNED.fullmatch(word.text)
                if assigned and text[at : at + 1] == "(":
                    held, at = self._array(at + 1)
                    yield Command(tuple(held), assigned[1])
                elif target:
                    target = False
                else:
                    words.append(word)
        yield from self._command(words, depth)

    def _command(self, words: list[Word], depth: int) -> Iterator[Command]:
        if not words:
            return
        yield Command(tuple(words))
        shown = False
        for word in words:
            shown = shown or word.text in SHOWS
            variable = _ASSIGNED.match(word.text)
            if variable and word.text.startswith("--", variable.end()) and " " not in word.text:
                value = word.text[variable.end() :]
                yield Command((Word(value, self._text.find(value, word.start)),), variable[1])
            if shown or word.inner is None or depth == 0 or " " not in word.text:
                continue
            first, last = word.inner
            inner = list(_Reader(self._text, last, folded=False).read(first, depth - 1))
            assigned = _ASSIGNED.match(word.text) if word.start < first - 1 else None
            if assigned and len(inner) == 1:
                yield inner[0]._replace(assigned=assigned[1])
            else:
                yield from inner

    def _word(self, at: int) -> _Scanned:
        text, end, start = self._text, self._end, at
        parts: list[str] = []
        inner: tuple[int, int] | None = None
        while at < end:
            sign = text[at]
            if plain := _PLAIN.match(text, at, end):
                parts.append(plain[0])
                at = plain.end()
            elif sign == "'" and at > start and text[at - 1].isalpha() and text[at + 1 : at + 2].isalpha():
                parts.append(sign)  # an apostrophe, as in the text of a here-document
                at += 1
            elif sign in "'\"":
                close = self._quote_end(at)
                parts.append(text[at + 1 : close])
                inner = (at + 1, close)
                at = close + 1
            elif sign == "\\":
                if text[at + 1 : at + 2] in ("\n", "\r"):
                    break
                parts.append(text[at + 1 : at + 2])
                at += 2
            elif sign in "$`":
                close = self._substitution_end(at)
                parts.append(text[at:close])
                at = close
            elif sign == "#" and at > start:
                parts.append(sign)
                at += 1
            else:
                break
        at = max(at, start + 1)
        joined = "".join(parts)
        reference = _REFERENCE.fullmatch(joined)
        name = next(filter(None, reference.groups()), "") if reference else ""
        return _Scanned(Word(joined, start, inner, name), at)

    def _array(self, at: int) -> tuple[list[Word], int]:
        words: list[Word] = []
        while at < self._end:
            sign = self._text[at]
            if sign.isspace() or sign == "\\":
                at += 1
            elif sign == "#":
                at = self._line_end(at)
            elif sign == ")":
                return words, at + 1
            else:
                word, at = self._word(at)
                words.append(word)
        return words, at

    def _line_end(self, at: int) -> int:
        found = self._text.find("\n", at, self._end)
        return self._end if found < 0 else found

    def _here_end(self, at: int, name: str) -> int:
        """Return where the line begins that ends a here-document; where it begins if nothing ends it."""
        close = re.compile(rf"^[ \t]*{name}[ \t\r]*$", re.MULTILINE).search(self._text, at, self._end)
        return at if close is None else close.start()

    def _quote_end(self, at: int) -> int:
        quote = self._text[at]
        at += 1
        while at < self._end:
            sign = self._text[at]
            if sign == quote:
                return at
            at += 2 if sign == "\\" and quote == '"' else 1
        return self._end

    def _substitution_end(self, at: int) -> int:
        text, end = self._text, self._end
        if text[at] == "`":
            close = text.find("`", at + 1, end)
            return end if close < 0 else close + 1
        if text.startswith("${{", at):  # an expression of GitHub
            close = text.find("}}", at, end)
            return end if close < 0 else close + 2
        opened = {"{": "}", "(": ")"}.get(text[at + 1 : at + 2])
        if opened is None:
            name = re.compile(r"\$\w*").match(text, at, end)
            return name.end() if name else at + 1
        depth = 0
        for place in range(at + 1, end):
            if text[place] == text[at + 1]:
                depth += 1
            elif text[place] == opened:
                depth -= 1
                if depth == 0:
                    return place + 1
        return end
