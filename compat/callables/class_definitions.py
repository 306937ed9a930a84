"""Classes as the outlines describe them, and the order in which Python looks through their bases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from compat.source_outlines.records import Definition

TRANSPARENT = frozenset({"ABC", "object", "Generic", "Protocol"})
"""Bases from elsewhere that add no parameters and no methods of interest; `Generic[T]` counts by its name."""
EXCEPTIONS = frozenset({"Exception", "RuntimeError", "ValueError"})
RECORDS = frozenset({"Struct", "BaseModel", "NamedTuple"})
"""Bases that make the annotated fields of a class the parameters of its constructor."""
_ACCESSORS = frozenset({"setter", "deleter", "getter"})
_DEEPEST = 64
"""The most levels of bases that are followed; merging their orders takes the cube of their number."""
_MOST_MERGED = 500
"""The most classes in the orders that are merged into one."""


@dataclass(frozen=True, slots=True)
class ForeignClass:
    """A base that is not in the package: only its name is known."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassDefinition:
    """A class of a package or of the scanned tree."""

    module: str
    """The module, or the path of the file in a tree."""
    name: str
    bases: tuple[str, ...]
    """As the source writes them."""
    decorators: frozenset[str]
    fields: tuple[str, ...]
    """Its annotated fields; `=` marks a default."""
    attributes: frozenset[str]
    """What the class or its methods set beside the fields."""
    functions: tuple[Definition, ...]
    """The functions directly in the class, in the order of the source."""
    readable: bool = True
    """Whether its description is complete and unambiguous."""

    def function(self, name: str) -> tuple[Definition, bool] | None:
        """Return the function of this name that counts, and whether it is the only one; None without one."""
        return chosen([each for each in self.functions if each.name == name])


def class_definition(
    definition: Definition, functions: Sequence[Definition], module: str, *, readable: bool = True
) -> ClassDefinition:
    """Return the class that a definition of an outline describes."""
    bases, decorators, fields, attributes = class_detail(definition)
    return ClassDefinition(
        module=module,
        name=definition.name,
        bases=tuple(bases),
        decorators=frozenset(decorators),
        fields=tuple(fields),
        attributes=frozenset(attributes),
        functions=tuple(functions),
        readable=readable and definition.detail.count("|") < 4,
    )


def chosen(definitions: Sequence[Definition]) -> tuple[Definition, bool] | None:
    """Return the definition that counts of several of one name, and whether no other one may."""
    found = [each for each in definitions if not {"overload", *_ACCESSORS} & set(function_decorators(each))]
    return (found[-1], len(found) == 1) if found else None


def function_decorators(definition: Definition) -> list[str]:
    """Return the last names of the decorators of a function."""
    return [each for each in (*definition.detail.split("|"), "")[1].split(",") if each]


def class_detail(definition: Definition) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return the bases, decorators, annotated fields and other attributes of a class."""
    parts = (*definition.detail.split("|"), "", "", "")
    bases, decorators, fields, others = ([each for each in part.split(",") if each] for part in parts[:4])
    # `Generic[K, V]` was split at its comma.
    return [each for each in bases if "]" not in each or "[" in each], decorators, fields, others


def bare(name: str) -> str:
    """Return the last part of a base without brackets: `Struct` for `msgspec.Struct`."""
    return name.partition("[")[0].rpartition(".")[2]


def outermost(definitions: Sequence[Definition]) -> Iterator[Definition]:
    """Yield the definitions that are not inside another one of a sequence in source order."""
    end = 0
    for each in definitions:
        if each.start > end and each.kind != "o":
            yield each
            end = each.end


def functions_in(definition: Definition, definitions: Sequence[Definition]) -> list[Definition]:
    """Return the functions directly in a class."""
    inside = [
        each
        for each in definitions
        if each.kind != "o" and definition.start < each.start and each.end <= definition.end
    ]
    return [each for each in outermost(inside) if each.kind == "f"]


def resolution_order(
    start: ClassDefinition, bases_of: Callable[[ClassDefinition], Sequence[ClassDefinition | ForeignClass]]
) -> list[ClassDefinition | ForeignClass] | None:
    """Return a class and all its bases in the order of Python's method resolution; None if there is none."""
    return _linearized(start, bases_of, [], {})


def _linearized(
    start: ClassDefinition | ForeignClass,
    bases_of: Callable[[ClassDefinition], Sequence[ClassDefinition | ForeignClass]],
    around: list[tuple[str, str]],
    known: dict[tuple[str, str], list[ClassDefinition | ForeignClass] | None],
) -> list[ClassDefinition | ForeignClass] | None:
    """Return the resolution order of a class; None too for one with more bases than people write."""
    if isinstance(start, ForeignClass):
        return [start]
    key = (start.module, start.name)
    if key in around or len(around) >= _DEEPEST:
        return None
    if key not in known:  # each path of a lattice of bases leads to the same classes
        known[key] = None
        bases = list(bases_of(start))
        ahead = [_linearized(base, bases_of, [*around, key], known) for base in bases]
        if all(each is not None for each in ahead):
            merged = _merged([*(list(each) for each in ahead if each), bases])
            known[key] = None if merged is None else [start, *merged]
    return known[key]


def _merged(
    sequences: list[list[ClassDefinition | ForeignClass]],
) -> list[ClassDefinition | ForeignClass] | None:
    """Return the C3 merge of resolution orders; None if they contradict each other or are too many."""
    if sum(map(len, sequences)) > _MOST_MERGED:
        return None
    found: list[ClassDefinition | ForeignClass] = []
    while sequences := [each for each in sequences if each]:
        tails = {_key(each) for sequence in sequences for each in sequence[1:]}
        head = next((each[0] for each in sequences if _key(each[0]) not in tails), None)
        if head is None:
            return None
        found.append(head)
        for each in sequences:
            if _key(each[0]) == _key(head):
                del each[0]
    return found


def _key(each: ClassDefinition | ForeignClass) -> tuple[str, str]:
    return ("", each.name) if isinstance(each, ForeignClass) else (each.module, each.name)
