"""Find where scripts and configuration files set environment variables of the packages."""

import re
from collections.abc import Iterator

from compat.scan.settings.model import VariableUse
from compat.settings.names import VARIABLE

_NAME = rf"(?P<name>{VARIABLE.pattern})\b"
_WHOLE = re.compile(_NAME)
_SET = re.compile(
    rf"(?<![\w$./-])(?<!\$\{{)(?<!ARG )(?<!\$\$\{{){_NAME}(?=[\"']?:(?:\s|$)|[\"']?\+?=(?!=))", re.MULTILINE
)
"""A name with a value: `export X=1`, `X: "1"`, `-e X=1`, `"X": 1`."""
_NAMED = re.compile(rf"(?:\bname: ?[\"']?|(?:(?<=\s)-e|--env|\bexport|\bENV)[ =][\"']?){_NAME}(?![\w.-])")
"""A name whose value stands elsewhere: `- name: X` of Kubernetes, `-e X`, and `ENV X 1`."""
_BEFORE = 8
"""The most characters of `_NAMED` before the name."""
_TAKEN = re.compile(rf"\$\{{?{_NAME}")
_SHOWS = re.compile(r"(?:^|[\s;|&])(?:(?:echo|printf|log|grep)\b|\[\[)")
_LINE = 1_000
"""Characters of a line that are looked at before a variable."""
_COMMENT = re.compile(r"(?:^|\s)#")


def variables_set(text: str, start: int = 0, end: int | None = None) -> Iterator[VariableUse]:
    """Yield the places of a part of a text that set variables, in source order, comments left out.

    A variable that the text itself uses for something else, as `--port $VLLM_PORT` does, is left out, too.
    """
    end = len(text) if end is None else end
    if VARIABLE.search(text, start, end) is None:  # most files that name a package name no variable
        return
    # A search for the name alone is quick; the patterns begin with what stands before it.
    found = {
        match.start(): match["name"]
        for match in _WHOLE.finditer(text, start, end)
        if _SET.match(text, match.start(), end)
        or _NAMED.search(text, max(start, match.start() - _BEFORE), min(match.end() + 1, end))
    }
    own = set(variables_taken(text, start, end)) if found else set()
    for at, name in sorted(found.items()):
        line = text[max(0, at - _LINE) : at].rpartition("\n")[2]
        quoted = line.count("`") % 2 == 1  # a word in a sentence
        if name not in own and not (quoted or _COMMENT.search(line) or _SHOWS.search(line)):
            yield VariableUse(name, at)


def variables_taken(text: str, start: int = 0, end: int | None = None) -> Iterator[str]:
    """Yield the variables whose value a part of a text takes, unless to hand it on under the same name."""
    for match in _TAKEN.finditer(text, start, len(text) if end is None else end):
        before = text[max(start, match.start() - len(match["name"]) - 8) : match.start()]
        if not re.search(rf"{match['name']}[\"']?\s*[:=]\s*[\"']?$", before):
            yield match["name"]
