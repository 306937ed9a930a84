"""Decide which cases of a `match` statement a value matches."""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from compat.scan.interpreter.values import UNKNOWN, compared_as, known
from compat.scan.syntax.bound_names import captured_names

Captures = dict[str, Any]
"""The names that a pattern binds."""


def pattern_matches(
    pattern: ast.pattern, value: Any, evaluate: Callable[[ast.expr], Any], captures: Captures
) -> bool | None:
    """Return whether a value matches a pattern, None if unknown.

    Args:
        pattern: the pattern.
        value: the value.
        evaluate: evaluates the constants of the pattern.
        captures: receives the names that the pattern binds; all of them are bound only after True.
    """
    value = compared_as(value)
    match pattern:
        case ast.MatchAs(pattern=None, name=name):
            captures.update({name: value} if name else {})
            return True
        case ast.MatchAs(pattern=ast.pattern() as inner, name=name):
            captures[str(name)] = value
            return pattern_matches(inner, value, evaluate, captures)
        case ast.MatchOr(patterns=patterns):
            return _any(pattern_matches(each, value, evaluate, captures) for each in patterns)
        case _ if not known(value):
            return None
        case ast.MatchValue(value=node):
            wanted = compared_as(evaluate(node))
            return bool(wanted == value) if known(wanted) else None
        case ast.MatchSingleton(value=wanted):
            return wanted is value
        case ast.MatchSequence(patterns=patterns):
            return _sequence_matches(patterns, value, evaluate, captures)
        case ast.MatchClass(cls=ast.Name(id=name), patterns=patterns, kwd_patterns=[]) if name in _CLASSES:
            if type(value) is not _CLASSES[name]:
                return False if type(value) in _CLASSES.values() else None
            return _all(pattern_matches(each, value, evaluate, captures) for each in patterns[:1])
    return None


_CLASSES = {"str": str, "int": int, "float": float}


def _sequence_matches(
    patterns: Sequence[ast.pattern], value: Any, evaluate: Callable[[ast.expr], Any], captures: Captures
) -> bool | None:
    if type(value) is not tuple:
        return False
    starred = next((at for at, each in enumerate(patterns) if isinstance(each, ast.MatchStar)), None)
    if starred is None:
        if len(patterns) != len(value):
            return False
        pairs = list(zip(patterns, value, strict=True))
    else:
        after = len(patterns) - starred - 1
        if len(patterns) - 1 > len(value):
            return False
        rest: ast.MatchStar = patterns[starred]  # type: ignore[assignment]
        captures.update({rest.name: value[starred : len(value) - after]} if rest.name else {})
        pairs = list(zip(patterns[:starred], value[:starred], strict=True))
        pairs += zip(patterns[starred + 1 :], value[len(value) - after :], strict=True)
    return _all(pattern_matches(each, part, evaluate, captures) for each, part in pairs)


def all_unknown(pattern: ast.pattern) -> Captures:
    """Return the names that a pattern binds, with unknown values."""
    return dict.fromkeys(captured_names(pattern), UNKNOWN)


def _any(answers: Iterator[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


def _all(answers: Iterator[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True
