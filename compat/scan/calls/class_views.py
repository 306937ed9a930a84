"""What a class of the tree overrides, inherits and leaves abstract in one release of a package."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from compat.callables.class_definitions import TRANSPARENT, ClassDefinition, ForeignClass, function_decorators
from compat.callables.parameters import Parameters
from compat.callables.signatures import Signatures

Order = Sequence[ClassDefinition | ForeignClass]


class BaseMethod(NamedTuple):
    """A method of a class of the package that a class of the tree overrides."""

    owner: str
    parameters: Parameters


class ClassView(NamedTuple):
    """A class of the tree as it is beside one release."""

    package_bases: tuple[tuple[str, str], ...]
    """The module and the name of each class of the package among its bases, the nearest first."""
    complete: bool
    """Whether all of its bases are known."""
    overridden: Mapping[str, BaseMethod]
    """Its functions that override a method of the package."""
    names_above: frozenset[str]
    """The methods and attributes that its bases have."""
    abstract: Mapping[str, str]
    """The abstract methods that keep it from being instantiated, each with the class that declares it."""


_OF_CLASSES = frozenset({"staticmethod", "classmethod"})
"""Decorators of methods that need no object: a class that lacks one may never be instantiated."""
NOTHING = ClassView(package_bases=(), complete=False, overridden={}, names_above=frozenset(), abstract={})
"""The view of a class that has no bases of the package."""


def class_view(
    signatures: Signatures, order: Order | None, of_tree: Callable[[ClassDefinition], bool]
) -> ClassView:
    """Return what a class is beside a release.

    Args:
        signatures: the signatures of the release.
        order: the class and its bases, as Python looks through them.
        of_tree: returns whether a class is one of the tree.
    """
    above = (order or [])[1:]
    bases = [each for each in above if isinstance(each, ClassDefinition)]
    package = [each for each in bases if not of_tree(each)]
    if not order or not package or not isinstance(order[0], ClassDefinition):
        return NOTHING
    return ClassView(
        tuple((each.module, each.name) for each in package),
        all(isinstance(each, ClassDefinition) or each.name in TRANSPARENT for each in above),
        {
            each.name: found
            for each in order[0].functions
            if not _special(each.name) and (found := _overridden(signatures, above, each.name, of_tree))
        },
        frozenset(name for each in bases for name in names_of(each)),
        _abstract(order) if any(not isinstance(each, ClassDefinition) for each in above) else {},
    )


@lru_cache(maxsize=5_000)
def names_of(each: ClassDefinition) -> frozenset[str]:
    """Return the methods and attributes that a class itself has."""
    fields = frozenset(field.rstrip("=") for field in each.fields)
    return fields | each.attributes | {function.name for function in each.functions}


def _special(name: str) -> bool:
    return name.startswith("__")


def _overridden(
    signatures: Signatures, above: Order, name: str, of_tree: Callable[[ClassDefinition], bool]
) -> BaseMethod | None:
    """Return the nearest method of this name above a class, if a class of the package has it."""
    for at, each in enumerate(above):
        if isinstance(each, ForeignClass):
            if each.name not in TRANSPARENT:
                return None
        elif each.function(name):
            if of_tree(each):
                return None
            found = signatures.method(above[at:], name)
            return None if found is None else BaseMethod(each.name, found)
        elif name in names_of(each):
            return None
    return None


def _abstract(order: Order) -> dict[str, str]:
    """Return the methods of a class that are abstract, each with the class that declares it."""
    found: dict[str, str] = {}
    settled: set[str] = set()
    for each in order:
        if isinstance(each, ForeignClass):
            continue
        for function in each.functions:
            decorators = set(function_decorators(function))
            if function.name not in settled and "abstractmethod" in decorators:
                found.update({} if decorators & _OF_CLASSES else {function.name: each.name})
        settled |= names_of(each)
    return found
