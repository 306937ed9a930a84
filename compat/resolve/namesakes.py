"""Find what a location that is gone stood for: the object that it handed on, or one of the same name."""

from __future__ import annotations

from compat.index.records import Successor
from compat.model.symbols import UNUSABLE, is_peripheral, location, split_location
from compat.resolve.successor_chains import follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compat.index.query.name_resolution import NameResolver
    from compat.index.records import Branch
    from compat.resolve.canonical import Binding

LONGEST = 6
"""The maximum number of re-exports to follow."""
TWIN = 0.9
"""The confidence of an object with the name and a telling signature of the missing one."""
UNIQUE = 0.7
"""The confidence of the only object of its kind with the name of the missing one."""
NAMESAKE = 0.5
"""The confidence of one of several objects of the kind with the name of the missing one."""


def handed_on(
    resolver: NameResolver, package: str, real: Sequence[Binding], module: str, name: str
) -> Successor | None:
    """Return the object that a location handed on when a release last had it, if it is still there.

    The object may have had another name where it came from. For the arguments see `of_same_name`.
    """
    release_index = resolver.environment.release_indexes[package]
    evidence, place = "", (module, name)
    for _ in range(LONGEST):
        last = resolver.index.last_bound(*place, package, release_index)
        target = last[1][-1].target if last else None
        source = split_location(target or "")
        if last is None or not source[1] or source == place or resolver.owner(source[0]) != package:
            return None
        version = resolver.index.versions(package)[last[0]]
        evidence = evidence or f"moved: {module} had it from {target} in {version}"
        if resolver.answer(*source).status not in UNUSABLE and resolver.problem(source[0]) is None:
            origin = resolver.answer(*source).origin or location(*source)
            public = next(((each.module, each.name) for each in real if each.origin == origin), source)
            return Successor(*public, 1.0, evidence, module, name)
        followed = follow(resolver, package, source[1], source[0])
        if followed:
            return followed[0]._replace(evidence=f"{evidence}; {followed[0].evidence}")
        place = source
    return None


def of_same_name(
    resolver: NameResolver, package: str, real: Sequence[Binding], module: str, name: str
) -> Successor | None:
    """Return the likeliest of the places that have a real object with the name of a location.

    An object in tests, examples or vendored code is another one. If the location was there in another
    release, its kind counts, too: a class is not succeeded by a module, and a value only by the single
    value with its name.

    Args:
        resolver: the resolver, with a release of `package`.
        package: the package of the location.
        real: the places that have a real object with this name, the canonical one first.
        module: the module of the location, which is missing or a stub.
        name: its name; empty for a module.
    """
    if not is_peripheral(module):
        real = [binding for binding in real if not is_peripheral(binding.origin.partition(":")[0])]
    if not real:
        return None
    release_index = resolver.environment.release_indexes[package]
    last = resolver.index.last_bound(module, name, package, release_index) if name else None
    if last is not None and last[0] != release_index:
        return _of_its_kind(resolver, real, last[1])
    best, definers = real[0], sum(binding.answer.status == "defined" for binding in real)
    what = f"{best.answer.status} there under the same name"
    if definers <= 1:
        return Successor(module=best.module, name=best.name, confidence=1.0, evidence=what)
    return Successor(
        module=best.module,
        name=best.name,
        confidence=0.9 if best.module.startswith(f"{module}.") else 0.7,
        evidence=f"{what}; {definers} modules define it",
    )


def _of_its_kind(
    resolver: NameResolver, real: Sequence[Binding], branches: Sequence[Branch]
) -> Successor | None:
    """Return the first place with an object of the kind of a definition that is gone."""
    kinds = {branch.kind for branch in branches}
    real = [binding for binding in real if binding.answer.kind in kinds]
    definers = _definers(real)
    if not real or (definers > 1 and real[0].answer.kind == "value"):
        return None
    best = real[0]
    signature = resolver.index.signature(best.answer.signature) or ""
    if "," in signature and best.answer.signature in {branch.signature for branch in branches}:
        confidence = TWIN
    else:
        confidence = UNIQUE if definers <= 1 else NAMESAKE
    evidence = f"{best.answer.status} there under the same name"
    return Successor(best.module, best.name, confidence, evidence)


def _definers(real: Sequence[Binding]) -> int:
    return len({binding.origin for binding in real})
