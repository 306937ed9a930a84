"""Guards: the condition under which a module binds a top-level name, as a tree to store and evaluate.

A guard has four kinds of leaf and three connectives. Evaluation is three-valued: None means that the known
facts do not decide. The nodes are named tuples, because importing a module defines these much faster than
dataclasses; no two kinds have the same fields, so that nodes of two kinds never compare equal.
"""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.errors import IntegrityError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias


class Const(NamedTuple):
    """A guard that always or never holds: `if TYPE_CHECKING`, `if sys.platform == "darwin"`."""

    value: bool


class Imports(NamedTuple):
    """The body of a `try`: holds when all its imports succeed, in this order."""

    targets: tuple[str, ...]
    """Locations, `module` or `module:name`."""
    alone: bool = True
    """Whether the body consists of imports and plain assignments only; other statements may raise, too."""


class Condition(NamedTuple):
    """The expression of an `if`, with fully qualified names: `sglang.srt.utils.is_cuda()`."""

    text: str


class Flag(NamedTuple):
    """The truth value of a top-level name of another module."""

    target: str
    """A location, `vllm.triton_utils:HAS_TRITON`; the colon distinguishes it from an expression."""


class Not(NamedTuple):
    """Holds when the inner guard does not: the `else` or `except` branch."""

    guard: Guard


class All(NamedTuple):
    """Holds when all parts hold."""

    guards: tuple[Guard, ...]
    word: str = "and"


class AnyOf(NamedTuple):
    """Holds when at least one part holds."""

    guards: tuple[Guard, ...]
    word: str = "or"


Guard: TypeAlias = Const | Imports | Condition | Flag | Not | All | AnyOf

ALWAYS = Const(True)  # noqa: FBT003 -- a truth value is all that a constant has
NEVER = Const(False)  # noqa: FBT003


_HAS_RUN = "() has run"


def after_call(function: str) -> Condition:
    """Return the guard of a name that a function binds by `global`: it holds once the function has run."""
    return Condition(f"{function}{_HAS_RUN}")


def waits_for_call(description: str | None) -> bool:
    """Return whether a guard, as `describe` returns it, holds only once a function has run."""
    return description is not None and description.endswith(_HAS_RUN)


def both(left: Guard, right: Guard) -> Guard:
    """Return the conjunction of two guards, simplified."""
    if left == ALWAYS or right == NEVER:
        return right
    if right == ALWAYS or left == NEVER:
        return left
    parts = tuple(dict.fromkeys((*_parts(left, All), *_parts(right, All))))
    return All(parts) if len(parts) > 1 else parts[0]


def either(left: Guard, right: Guard) -> Guard:
    """Return the disjunction of two guards, simplified."""
    if left == NEVER or right == ALWAYS:
        return right
    if right == NEVER or left == ALWAYS:
        return left
    parts = tuple(dict.fromkeys((*_parts(left, AnyOf), *_parts(right, AnyOf))))
    return AnyOf(parts) if len(parts) > 1 else parts[0]


def negated(guard: Guard) -> Guard:
    """Return the negation of a guard, simplified."""
    if isinstance(guard, Const):
        return Const(not guard.value)
    return guard.guard if isinstance(guard, Not) else Not(guard)


def _parts(guard: Guard, connective: type[All | AnyOf]) -> tuple[Guard, ...]:
    return guard.guards if isinstance(guard, connective) else (guard,)


def evaluate(guard: Guard, leaf: Callable[[Imports | Condition | Flag], bool | None]) -> bool | None:
    """Return whether a guard holds, or None when the answers of `leaf` do not decide it.

    Args:
        guard: the guard to evaluate.
        leaf: returns whether an `Imports`, `Condition` or `Flag` holds, or None if unknown.
    """
    match guard:
        case Const(value):
            return value
        case Not(inner):
            truth = evaluate(inner, leaf)
            return None if truth is None else not truth
        case All(guards):
            truths = [evaluate(part, leaf) for part in guards]
            return False if False in truths else None if None in truths else True
        case AnyOf(guards):
            truths = [evaluate(part, leaf) for part in guards]
            return True if True in truths else None if None in truths else False
        case _:
            return leaf(guard)


def describe(guard: Guard) -> str:
    """Return the guard as text for people, close to the source: `try: import of vllm…`, `if …`."""
    match guard:
        case All(guards):
            return " and ".join(describe(part) for part in guards)
        case AnyOf(guards):
            return " or ".join(f"({describe(part)})" for part in guards)
        case Not(Imports(targets)):
            return f"except after import of {_summary(targets)}"
        case Not(inner):
            return f"not ({describe(inner)})"
        case Imports(targets):
            return f"try: import of {_summary(targets)}"
        case Condition(text):
            return f"if {text}"
        case Flag(target):
            return f"if {target}"
        case Const(value):
            return str(value).lower()
        case _:
            raise TypeError(guard)


def _summary(targets: tuple[str, ...]) -> str:
    if len(targets) == 1:
        return targets[0]
    packages = ", ".join(sorted({target.partition(".")[0].partition(":")[0] for target in targets}))
    return f"{len(targets)} names from {packages}"


def one_holds(guards: Iterable[Guard]) -> bool:
    """Return whether at least one of some guards always holds.

    This is so for ALWAYS, the two sides of one test, and a `try` with its handler: either the first n imports
    of the body succeed, or, when any of the body's imports fails, the handler runs.
    """
    each = list(guards)
    return ALWAYS in each or any(_complement(left, right) for left in each for right in each)


def _complement(left: Guard, right: Guard) -> bool:
    if not isinstance(right, Not):
        return False
    other = right.guard
    if isinstance(left, Imports) and isinstance(other, Imports):
        return other.targets[: len(left.targets)] == left.targets
    return left == other


def to_json(guard: Guard) -> Any:
    """Return the guard as JSON values; `from_json` is the inverse."""
    match guard:
        case Const(value):
            return value
        case Imports(targets, alone):
            return ["try" if alone else "try-more", *targets]
        case Condition(text):
            return ["if", text]
        case Flag(target):
            return ["flag", target]
        case Not(inner):
            return ["not", to_json(inner)]
        case All(guards):
            return ["all", *map(to_json, guards)]
        case AnyOf(guards):
            return ["any", *map(to_json, guards)]
        case _:
            raise TypeError(guard)


def from_json(value: Any) -> Guard:
    """Return the guard that `to_json` wrote.

    Raises:
        IntegrityError: `value` is not a guard; the index is damaged or from another version.
    """
    match value:
        case bool():
            return Const(value)
        case ["try", *targets]:
            return Imports(tuple(targets))
        case ["try-more", *targets]:
            return Imports(tuple(targets), alone=False)
        case ["if", text]:
            return Condition(text)
        case ["flag", target]:
            return Flag(target)
        case ["not", inner]:
            return Not(from_json(inner))
        case ["all", *parts]:
            return All(tuple(map(from_json, parts)))
        case ["any", *parts]:
            return AnyOf(tuple(map(from_json, parts)))
        case _:
            raise IntegrityError(f"index: {value!r} is not a guard; reinstall sglang-vllm-compat")
