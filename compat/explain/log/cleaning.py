"""Clean the lines of a log: remove terminal codes and the prefixes of loggers, launchers and containers.

Every pattern is anchored or free of nested repetition, and lines are truncated to `LONGEST`, so that the
time is linear in the size of the log.
"""

import json
import re
from functools import lru_cache
from typing import NamedTuple

LONGEST = 8_000
"""Characters to which a line is truncated; lines of tracebacks are shorter."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_QUOTATION = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
"""Typographic quotation marks, which word processors and chat programs insert, to plain ones."""
_LINK = re.compile(r"\[((?:/|<)[^\[\]]{1,500})\]\(https?://[^()\s]{1,1000}\)")
"""A path as a link, as notebooks write it when their output is pasted."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff\u200b]+")

_TAG = re.compile(
    r"\((?=[^()]{0,80}(?:\([^()]{0,80}\)[^()]{0,40})?(?:pid|rank|ip)=)"
    r"((?:[^()]|\([^()]{0,80}\)){1,100})\) ?|\[(rank\d{1,5})\]: ?|\[(\d+,\d+)\]<\w+>: ?"
)
_COMPOSE = re.compile(r"([\w.-]{1,64}) {1,20}\| (?=.)|\[((?:pod|container)/[^\]\s]{1,120})\] ?")
_TIME = (
    r"(?:\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z| ?[+-]\d\d:?\d\d)?"
    r"|\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?|\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
)
_STAMP = re.compile(
    r"(?:#\d{1,4} )?\d{1,6}\.\d{3} (?=\S| )|"  # the seconds that docker's builds print
    rf"{_TIME}(?: ?[|:-])? ?|[\[(]{_TIME}(?: ((?:TP|DP|PP|EP)\d[\w ]{{0,20}}))?[\])](?: ?[|:-])? ?"
)
_SYSLOG = re.compile(
    r"[\w.-]{1,64} [\w./-]{1,64}\[\d{1,8}\]: ?"
    r"|(?:[\w.]{1,80}:[\w.<>]{1,60}:\d{1,6} - |[A-Za-z][\w.]{0,60} \| ?)"
)
"""What follows other prefixes only: a process of syslog, a logger between bars, or a place of loguru."""
_LEVEL = re.compile(
    r"\[?(?:DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|[DIWEF]\d{4})\]?"
    r"(?:[:|-]| {1,8}[|-](?= )|)(?: |$)"
    r"|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]{1,80}:(?=.)"
)
_PLACE = re.compile(
    r"[\w-]{1,64}\[(?:debug|info|warn|warning|error)\]"
    r"|\[[\w.<>/-]{1,80}:\d{1,6}\] ?|[\w.]{1,60}\.py:\d{1,6}\] ?|\[[\w.-]{1,80}\.\w{1,60}\] "
)
_BORDER = "\N{BOX DRAWINGS LIGHT VERTICAL}"
_QUOTE = re.compile(rf"> ?|E {{3,}}| {{0,80}}{_BORDER} ?")
_GROUP = re.compile(r"\s{0,40}(?:\+ (?=Exception Group)|\+-\+-{8,}.*|\+-{8,}.*|\| ?)")
_PREFIXES = (_TAG, _STAMP, _LEVEL, _PLACE, _QUOTE)
_SAID = ("log", "message", "msg", "textPayload")
"""Keys under which a JSON log record holds its line."""
_MOST = 8
"""Most prefixes that are removed from one line."""


class LogLine(NamedTuple):
    """One cleaned line of a log."""

    text: str
    """The line without prefixes; its indentation is kept."""
    worker: str
    """The process that wrote the line, if a prefix names it, else empty."""
    logged: bool
    """Whether the line had a logger's prefix."""
    debug: bool = False
    """Whether the prefix had the level DEBUG, at which programs log attempts rather than failures."""


@lru_cache(maxsize=500)
def clean(raw: bytes) -> tuple[LogLine, ...]:
    """Return the cleaned lines of one raw line: several if it contains escaped line ends, else one."""
    text = raw.decode("utf-8", "replace")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = _CONTROL.sub("", text.rstrip()).removesuffix("\\n")
    if "](http" in text:
        text = _LINK.sub(r"\1", text)
    if not text.isascii():
        text = text.translate(_QUOTATION)
    if "\\n" not in text or "Traceback" not in text:
        return tuple(map(_stripped, _record(text))) if text[:2] == '{"' else (_stripped(text),)
    line = _stripped(text)
    inner = _unescaped(line.text)
    return tuple(LogLine(_stripped(part).text, line.worker, line.logged) for part in inner.split("\n"))


def _record(text: str) -> list[str]:
    """Return the lines of a JSON log record, as docker and log collectors write; other text unchanged."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    said = next((record[key] for key in _SAID if isinstance(record.get(key), str)), text)
    return [_CONTROL.sub("", part.rstrip()) for part in said.rstrip().split("\n")]


def _stripped(text: str) -> LogLine:
    """Return a line without its prefixes."""
    worker, logged, debug, at = "", False, False, 0
    if "|" in text[:80] or text[:1] == "[":
        found = _COMPOSE.match(text)
        if found:
            worker, at = found[1] or found[2], found.end()
    for _ in range(_MOST):
        for pattern in _PREFIXES:
            found = pattern.match(text, at)
            if found and found.end() > at:
                break
        else:
            found = _SYSLOG.match(text, at) if logged else None
            if not found:
                break
        if pattern is _QUOTE:
            rest = text[found.end() :]
            if _BORDER in found[0] and rest.endswith(_BORDER):  # rich draws boxes around tracebacks
                rest = rest[:-1].rstrip()
            text, at = (rest.lstrip() if found[0][0] == "E" else rest), 0
            continue
        tag = next((group for group in found.groups() if group), None) if found.re.groups else None
        worker = f"{worker} {tag}".strip() if tag else worker
        logged, debug = True, debug or (pattern is _LEVEL and "DEBUG" in found[0])
        at = found.end()
    text = text[at:]
    found = _GROUP.match(text)
    return LogLine(text[found.end() :] if found else text, worker, logged, debug)


def _unescaped(text: str) -> str:
    """Return a line with its escaped line ends replaced; of a JSON object, the texts of several lines."""
    start = text.find("{")
    if start >= 0:
        try:
            value, _ = json.JSONDecoder().raw_decode(text[start:])
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            texts = [str(part) for part in value.values() if isinstance(part, str) and "\n" in part]
            if texts:
                return "\n".join(texts)
    return text.replace("\\r\\n", "\n").replace("\\n", "\n").replace('\\"', '"')
