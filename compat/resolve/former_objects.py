"""Find what a location was in the nearest release that had it: its definition, kind and signature."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.model.symbols import UNUSABLE, split_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compat.index.query.answers import Answer
    from compat.index.records import Successor
    from compat.model.symbols import Kind


class FormerObject(NamedTuple):
    """The object of a location that a release lacks, as in a release that has it."""

    module: str
    name: str
    """The definition, which the location may only have re-exported."""
    version: str
    kind: Kind | None
    """`class` if it was a class in any release, since code that was written for that release may need one."""
    signature: str | None


def former_object(resolver: NameResolver, package: str, module: str, name: str) -> FormerObject | None:
    """Return the object of a location in the nearest release that has it, preferably an earlier one.

    None if the location is a module, or if no release has it.
    """
    index = resolver.index
    if not name:
        return None
    with index.watched():  # the rows of other releases do not limit how long the result applies
        for at in _nearest_first(resolver, package, index.bound_ranges(module, name, package)):
            answer = NameResolver(index, alone(index, package, at)).answer(module, name)
            if answer.status in UNUSABLE:
                continue
            home = _home(resolver, package, answer) or (module, name)
            was_class = any("class" in index.kinds_ever(*each, package) for each in ((module, name), home))
            kind = "class" if was_class else answer.kind
            return FormerObject(*home, index.versions(package)[at], kind, index.signature(answer.signature))
    return None


def handed_on(resolver: NameResolver, package: str, module: str) -> tuple[tuple[str, str], ...]:
    """Return the locations of the definitions that a module only handed on in the nearest release with it.

    Empty if it defined a class or function of its own there, or if no release has it.
    """
    index = resolver.index
    with index.watched():  # the rows of other releases do not limit how long the result applies
        at = _nearest(resolver, package, module)
        if at is None:
            return ()
        there = NameResolver(index, alone(index, package, at))
        names = [name for name in index.names(module, package, at) if name and name[:2] != "__"]
        answers = [there.answer(module, name) for name in names]
        objects = [answer for answer in answers if answer.kind in {"class", "function"}]
        if any(answer.status == "defined" for answer in objects):
            return ()
        homes = [_home(resolver, package, answer) for answer in objects]
        return tuple(home for home in homes if home is not None)


def definitions(resolver: NameResolver, package: str, module: str) -> frozenset[str]:
    """Return the classes and functions that a module defined in the nearest release that has it."""
    index = resolver.index
    with index.watched():
        at = _nearest(resolver, package, module)
        bound = {} if at is None else index.names(module, package, at)
        return frozenset(
            name
            for name, branches in bound.items()
            if name[:2] != "__"
            and any(each.status == "defined" and each.kind in {"class", "function"} for each in branches)
        )


def _nearest(resolver: NameResolver, package: str, module: str) -> int | None:
    """Return the nearest release that has a module; None if no release has it."""
    ranges = resolver.index.present_ranges(module, package)
    return next(_nearest_first(resolver, package, ranges), None)


def compared(resolver: NameResolver, former: FormerObject | None, successor: Successor) -> Successor:
    """Return a successor with the kinds and signatures of the old and the new object."""
    if former is None or not successor.name:
        return successor
    answer = resolver.answer(successor.module, successor.name)
    found = successor._replace(
        old_kind=former.kind,
        kind=answer.kind,
        old_signature=former.signature,
        signature=resolver.index.signature(answer.signature),
    )
    alike = found.old_signature is not None and found.old_signature == found.signature
    return found._replace(certain=found.certain or (alike and found.same_kind))


def _nearest_first(resolver: NameResolver, package: str, ranges: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Yield a release of each range, and the two ends of an earlier one: the nearest earlier ones first."""
    here = resolver.environment.release_indexes[package]
    for first, last in reversed(ranges):
        if first <= here:  # within a range the result does not depend on the release
            yield from dict.fromkeys((last, first) if last < here else (first,))
    yield from (first for first, _ in ranges if first > here)


def _home(resolver: NameResolver, package: str, answer: Answer) -> tuple[str, str] | None:
    """Return the location in the package from which an answer is re-exported, if any.

    A module is a name of the package that contains it.
    """
    module, name = split_location(answer.origin or "")
    if not name:
        module, _, name = module.rpartition(".")
    owned = package in resolver.index.owners.get(module.partition(".")[0], ())
    return (module, name) if owned and module and name else None
