"""Decode the signatures that the index stores, and compare two of them."""

from __future__ import annotations

from functools import lru_cache

from compat._util.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ast import Expression


class CallChange(NamedTuple):
    """The parameters of a function, or of one method of a class, before and after a change."""

    method: str
    """The method; empty for a function."""
    old: str | None
    """The parameters, such as `(x, *, out=None)`; None if there was no such method."""
    new: str | None


def signature_document(signature: str | None) -> str | dict[str, str] | None:
    """Return the parameters of a function, or the parameters of the methods of a class by name."""
    if signature is None or signature.startswith("("):
        return signature
    import json  # rarely needed

    methods: dict[str, str] = json.loads(signature)
    return methods


def changes(old: str, new: str) -> tuple[CallChange, ...]:
    """Return the differences between two signatures; a class is called by its `__init__`."""
    before, after = _methods(old), _methods(new)
    if "" in before or "" in after:
        before, after = ({"": each.get("", each.get("__init__"))} for each in (before, after))
    return tuple(
        CallChange(method, before.get(method), after.get(method))
        for method in sorted(before.keys() | after.keys())
        if before.get(method) != after.get(method)
    )


@lru_cache(maxsize=1_000)
def accepts_same_calls(old: str, new: str) -> bool:
    """Return whether every call of the old object is one of the new object, and its other methods are equal.

    A function, or the constructor of a class, may gain parameters with a default value at the end.
    """
    if old == new:
        return True
    before, after = _methods(old), _methods(new)
    called = "" if "" in before else "__init__"
    if before.keys() != after.keys() or any(before[each] != after[each] for each in before if each != called):
        return False
    earlier, later = before[called], after[called]
    return earlier is not None and later is not None and _extends(earlier, later)


def parameter_names(signature: str) -> tuple[str, ...]:
    """Return the names of the parameters of a function, such as `(x, *, out=None)`."""
    import ast

    try:
        found = _parameters(ast.parse(f"lambda {signature[1:-1]}: 0", mode="eval"))
    except SyntaxError:
        return ()
    return (*found.positional, *sorted(found.keywords), *sorted(found.rest))


def _extends(old: str, new: str) -> bool:
    import ast  # signatures are rarely compared in detail

    try:
        one, other = (_parameters(ast.parse(f"lambda {each[1:-1]}: 0", mode="eval")) for each in (old, new))
    except SyntaxError:
        return False
    return (
        other.positional[: len(one.positional)] == one.positional
        and one.keywords <= other.keywords.union(other.positional)
        and other.required <= one.required
        and one.rest <= other.rest
    )


class _Parameters(NamedTuple):
    """The names of the parameters of a function, by how they are passed."""

    positional: list[str]
    keywords: frozenset[str]
    required: frozenset[str]
    rest: frozenset[str]
    """`*args` and `**kwargs`."""


def _parameters(node: Expression) -> _Parameters:
    arguments = node.body.args  # type: ignore[attr-defined]
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    keywords = {
        each.arg: value for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }
    required = {name for name, default in keywords.items() if default is None}
    return _Parameters(
        positional,
        frozenset(keywords),
        frozenset(required.union(positional[: len(positional) - len(arguments.defaults)])),
        frozenset(each.arg for each in (arguments.vararg, arguments.kwarg) if each is not None),
    )


def _methods(signature: str) -> dict[str, str | None]:
    document = signature_document(signature)
    return {"": document} if not isinstance(document, dict) else {**document}
