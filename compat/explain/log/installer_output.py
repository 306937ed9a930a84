"""What pip and uv print when no versions go together: one thing, told in several lines.

The lines are those of pip 23 to 26 and of uv 0.4, 0.6, 0.8 and 0.13.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from packaging.requirements import InvalidRequirement, Requirement

from compat.explain.log.cleaning import LONGEST, clean
from compat.explain.log.model import ExceptionInfo, Failure
from compat.model.releases import allows

CONFLICT = "The conflict is caused by:"
UNSOLVED = "No solution found when resolving dependencies"
ABSENT = "Could not find a version that satisfies the requirement"
_SIGNS = (CONFLICT, UNSOLVED, ABSENT)
SIGNS = tuple(sign.encode() for sign in _SIGNS)
"""A block without any of these tells of none."""
_IGNORED = "Ignored the following versions that require a different python version: "
_MOST_LINES = 80
_BUILDKIT = re.compile(r"#\d{1,5} (?:\d{1,7}\.\d{1,4} )?")
"""What `docker build` puts before a line."""
_FRAME = re.compile(r"^(?:\s|[\u2570\u2500\u25b6\u2502\xd7]|cause:)+")
"""The cross, the arrow and the bar that uv draws."""
_REQUIREMENT = re.compile(rf"{ABSENT} (\S[^(]{{0,300}}?)(?: \(from (?!versions)([^)]{{1,200}})\))?(?: \(|$)")
OTHER_PYTHON = re.compile(r"(\d[\w.+!]{0,60}) Requires-Python ([^;]{1,80})")


def told(block: bytes) -> Iterator[Failure]:
    """Yield a failure for each time that pip or uv gives up in a block of a log."""
    lines = block.split(b"\n")
    for at, raw in enumerate(lines):
        if not any(sign in raw for sign in SIGNS):
            continue
        first = _text(raw)
        rest = (_text(each) for each in lines[at + 1 : at + _MOST_LINES])
        if CONFLICT in first:
            message = _joined(CONFLICT, rest, "; ")
        elif UNSOLVED in first:
            message = _joined(UNSOLVED, chain([first.partition(UNSOLVED)[2]], rest), " ")
        else:
            message = _absent(first, _text(lines[at - 1]) if at else "")
        yield Failure(chain=(ExceptionInfo(kind="", message=message[:LONGEST]),), loose=True)


def _text(raw: bytes) -> str:
    text = clean(raw[:LONGEST])[0].text
    found = _BUILDKIT.match(text)
    return text[found.end() :] if found else text


def _joined(head: str, lines: Iterable[str], between: str) -> str:
    """Return the paragraph that follows, in one line; without the lines that uv draws."""
    kept: list[str] = []
    for line in lines:
        text = _FRAME.sub("", line).strip()
        if not text and kept:
            break
        kept += [text] if text else []
    return f"{head} {between.join(kept)}"


def _absent(line: str, before: str) -> str:
    """Return the requirement, and the Pythons for which pip has found it, without the versions there are."""
    found = _REQUIREMENT.search(line)
    if not found:
        return line[:400]
    asked = found[1].strip()
    message = f"{ABSENT} {asked}" + (f" (from {found[2]})" if found[2] else "")
    try:
        specifier = Requirement(asked).specifier
    except InvalidRequirement:
        return message
    if "(from versions: none)" in line:
        message += "; there is none at all"
    every = OTHER_PYTHON.findall(before.partition(_IGNORED)[2])
    fitting = [
        f"{version} Requires-Python {python.strip()}"
        for version, python in every
        if allows(specifier, version)
    ]
    return f"{message}; {_IGNORED}{'; '.join(fitting[-3:])}" if fitting else message
