"""Apply the simple regular expressions with which code takes a version apart.

A pattern of the scanned code may take exponential time. Only patterns without a repeated group, with few
repetitions and for a short text are applied; anything else is unknown.
"""

import re
from functools import lru_cache, partial
from typing import Any, NamedTuple

from compat.scan.interpreter.values import UNKNOWN

_FUNCTIONS = frozenset({"re.match", "re.search", "re.fullmatch"})
_LONGEST_PATTERN = 100
_LONGEST_TEXT = 40
"""Number of characters; no version is longer."""
_MOST_REPETITIONS = 5
"""With each repetition, the time grows by a factor of the text's length; an alternative counts as one."""
_SIMPLE = re.compile(r"(?:(?:\\[dwsDWS.+]|\[[\w.\\+-]+\]|[\w.^$ -])[+*?]{0,2}|\||\((?:\?:|\?P<\w+>)?|\)\??)*")
"""Characters, classes, alternatives, groups and repetitions; a group is at most optional."""


class Pattern(NamedTuple):
    """The result of `re.compile` without flags."""

    text: str

    def method(self, name: str) -> Any:
        """Return a method that matches a text, `UNKNOWN` for any other name."""
        function = f"re.{name}"
        return partial(matched, function, self.text) if function in _FUNCTIONS else UNKNOWN


def matched(function: str, pattern: Any, text: Any) -> Any:
    """Return the match of a pattern, None if there is none, `UNKNOWN` if the pattern is not simple."""
    if function not in _FUNCTIONS or not isinstance(pattern, str) or not isinstance(text, str):
        return UNKNOWN
    compiled = _compiled(pattern) if len(text) <= _LONGEST_TEXT else None
    return UNKNOWN if compiled is None else getattr(compiled, function.removeprefix("re."))(text)


@lru_cache(maxsize=100)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a simple pattern; None for any other one."""
    repetitions = sum(pattern.replace("(?", "").count(sign) for sign in "+*?|")
    if len(pattern) > _LONGEST_PATTERN or repetitions > _MOST_REPETITIONS or not _SIMPLE.fullmatch(pattern):
        return None
    try:
        return re.compile(pattern)
    except re.error:
        return None
