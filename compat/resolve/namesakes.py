"""Judge whether an object that has the name of a missing one may stand in for it."""

from __future__ import annotations

from compat.index.records import Successor
from compat.model.symbols import is_peripheral
from compat.resolve.former_objects import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compat.index.query.name_resolution import NameResolver
    from compat.resolve.canonical import Binding
    from compat.resolve.former_objects import FormerObject

TWIN = 0.9
"""The confidence of an object with the name and a telling signature of the missing one."""
UNIQUE = 0.7
"""The confidence of the only object of its kind with the name of the missing one."""
NAMESAKE = 0.5
"""The confidence of one of several objects of the kind with the name of the missing one."""


def namesake(
    resolver: NameResolver, real: Sequence[Binding], former: FormerObject | None, module: str, name: str
) -> Successor | None:
    """Return the likeliest of the places that have a real object with the name of a location.

    An object in tests, examples or vendored code is another one. If the location had an object in another
    release, the kind counts, too: a class is not succeeded by a module, and a value only by the single value
    with its name.

    Args:
        resolver: the resolver for the release.
        real: the places that have a real object with this name, the canonical one first.
        former: the object of the location in another release; None if it never had any, or if the location is
            bound in this release as well, to a stub or in a module that cannot be imported.
        module: the module of the location, which is missing or a stub.
        name: its name; empty for a module.
    """
    if not is_peripheral(module):
        homes = {each: (each.module, each.origin.partition(":")[0]) for each in real}
        real = [each for each in real if not any(map(is_peripheral, homes[each]))]
    if former is not None:
        return _of_its_kind(resolver, real, former)
    if any(each.answer.status == "submodule" for each in real[:1]):
        real = _of_its_path(resolver, real, f"{module}.{name}" if name else module)
    if not real:
        return None
    best, definers = real[0], sum(each.answer.status == "defined" for each in real)
    what = f"{best.answer.status} there under the same name"
    if definers <= 1:
        return Successor(best.module, best.name, 1.0, what, certain=False)
    confidence = 0.9 if best.module.startswith(f"{module}.") else 0.7
    evidence = f"{what}; {definers} modules define it"
    return Successor(best.module, best.name, confidence, evidence, certain=False)


def _of_its_path(resolver: NameResolver, real: Sequence[Binding], path: str) -> list[Binding]:
    """Return the only module, or the one whose path has all parts of the missing one's in order.

    Several modules are called `utils` or `model_runner` by chance. One that has no definition of those of the
    missing module in other releases does not take its place.
    """
    package = resolver.owner(path)
    lost = definitions(resolver, package, path) if package else frozenset()
    if package and lost:
        at = resolver.environment.release_indexes[package]
        real = [each for each in real if not lost.isdisjoint(resolver.index.names(each.origin, package, at))]
    if len({each.origin for each in real}) == 1:
        return list(real)
    near = [each for each in real if _has_in_order(each.origin.split("."), path.split("."))]
    shortest = min((each.origin.count(".") for each in near), default=0)
    closest = [each for each in near if each.origin.count(".") == shortest]
    return closest if len({each.origin for each in closest}) == 1 else []


def _has_in_order(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    rest = iter(parts)
    return all(part in rest for part in wanted)


def _of_its_kind(resolver: NameResolver, real: Sequence[Binding], former: FormerObject) -> Successor | None:
    """Return the first place with an object of the kind of the former one."""
    real = [each for each in real if each.answer.kind in (former.kind, None)]
    objects = {each.origin for each in real}
    if not real or (len(objects) > 1 and former.kind not in ("class", "function")):
        return None
    best = real[0]
    signature = resolver.index.signature(best.answer.signature) or ""
    if "," in signature and signature == former.signature:
        confidence = TWIN
    else:
        confidence = UNIQUE if len(objects) == 1 else NAMESAKE
    what = f"{best.answer.status} there under the same name"
    return Successor(best.module, best.name, confidence, what, certain=False)
