"""Apply operators to values that are known, within bounds of time and memory."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from compat.scan.interpreter.values import LARGEST, UNKNOWN, bounded, known, size

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def compared(op: ast.cmpop, left: Any, right: Any) -> Any:
    """Return the result of a comparison of constants other than `is`; UNKNOWN if one of them is."""
    if not (known(left) and known(right)):
        return UNKNOWN
    try:
        if isinstance(op, ast.In | ast.NotIn):
            return (left in right) == isinstance(op, ast.In)
        compare = _COMPARE.get(type(op))
        return UNKNOWN if compare is None else bool(compare(left, right))
    except Exception:  # noqa: BLE001 -- a comparison of other types may raise anything
        return UNKNOWN


def calculated(op: ast.operator, left: Any, right: Any) -> Any:
    """Return the result of an operator on numbers, or the concatenation of texts or of tuples."""
    if isinstance(op, ast.Mod) and isinstance(left, str):
        return _filled(left, right)
    numbers = all(isinstance(each, int | float) for each in (left, right))
    joined = isinstance(op, ast.Add) and type(left) is type(right) and type(left) in (str, tuple)
    if not (numbers or joined) or size(left, right) > LARGEST:
        return UNKNOWN
    try:
        return bounded(_ARITHMETIC[type(op)](left, right))
    except (ArithmeticError, KeyError):
        return UNKNOWN


def _filled(template: str, values: Any) -> Any:
    """Return a template with its `%s` and `%d` replaced; any other format may ask for any amount of text."""
    plain = template.replace("%s", "").replace("%d", "")
    if "%" in plain or not known(values) or size(template) * size(values) > LARGEST:
        return UNKNOWN
    try:
        return template % values
    except (TypeError, ValueError):
        return UNKNOWN


def hashable(value: Any) -> bool:
    """Return whether a constant can be an element of a set."""
    return known(value) and (all(map(hashable, value)) if type(value) is tuple else type(value) is not dict)
