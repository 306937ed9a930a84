"""Signatures over many releases: one object a release, and answers with the ranges in which they hold."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from compat.callables.signatures import Signatures
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from compat.callables.class_definitions import ClassDefinition
    from compat.callables.parameters import Parameters
    from compat.callables.signatures import Bases
    from compat.index.reader import Index
    from compat.source_outlines.reader import SourceOutlines

T = TypeVar("T")


class ReleaseSignatures:
    """The signatures of each release of each package.

    Args:
        outlines: the outlines of the releases.
        index: the index of releases.
        resolver: returns what resolves names in a release of a package.
    """

    def __init__(
        self, outlines: SourceOutlines, index: Index, resolver: Callable[[str, int], NameResolver]
    ) -> None:
        self.packages = outlines.packages
        self._outlines = outlines
        self._index = index
        self._resolver = resolver
        self._at = lru_cache(maxsize=600)(self._make)

    def _make(self, package: str, at: int) -> Signatures:
        return Signatures(self._outlines, self._index, package, at, self._resolver(package, at))

    def parameters(self, package: str, module: str, name: str, method: str, at: int) -> Parameters | None:
        """Return the parameters of a function, or of a method of a class, in a release of the index."""
        return self._at(package, at).parameters(module, name, method)

    def members(self, package: str, module: str, name: str, at: int) -> frozenset[str] | None:
        """Return the attributes and methods of a class in a release, or None if some are not known."""
        return self._at(package, at).members(module, name)

    def bases(self, package: str, module: str, name: str, at: int) -> list[tuple[str, str]]:
        """Return the bases of a class in a release that are in the same package, as module and name."""
        signatures = self._at(package, at)
        start = signatures.definition(module, name)
        bases = signatures.bases(start) if start is not None else []
        return [(each.module, each.name) for each in bases if hasattr(each, "module")]


class RangedAnswer(NamedTuple, Generic[T]):
    """An answer, and the releases from the first to the last in which it is the same."""

    first: int
    last: int
    answer: T


class PackageSignatures:
    """The signatures of one package in all its releases, for questions about them.

    Args:
        outlines: the outlines of the releases.
        index: the index of releases.
        package: the package.
        releases: releases, by their indexes, that each remember all that was found in them.
    """

    def __init__(
        self, outlines: SourceOutlines, index: Index, package: str, releases: Sequence[int] = ()
    ) -> None:
        self._outlines = outlines
        self.index = index
        self.package = package
        self.known: Mapping[int, Signatures] = {at: self.of(at) for at in releases}
        self._bases: dict[ClassDefinition, AnswersByRelease[Bases]] = {}

    def of(self, release: int) -> Signatures:
        """Return the signatures of a release, in which nothing has been looked up yet."""
        resolver = NameResolver(self.index, alone(self.index, self.package, release))
        return Signatures(self._outlines, self.index, self.package, release, resolver, bases=self._bases_of)

    def _bases_of(self, of: ClassDefinition, release: int) -> Bases:
        """Return the bases of a class; most classes keep theirs over many releases."""
        if of not in self._bases:
            self._bases[of] = AnswersByRelease(self, lambda signatures: signatures.find_bases(of))
        return self._bases[of].at(release)


class AnswersByRelease(Generic[T]):
    """The answers to one question about signatures in the releases of a package.

    Each is worked out once for all releases around it in which the files and names that it depends on
    stay as they are. A question may ask others: its answer then holds no longer than theirs.

    Args:
        signatures: the signatures of the package.
        ask: returns the answer of one release.
    """

    def __init__(self, signatures: PackageSignatures, ask: Callable[[Signatures], T]) -> None:
        self._signatures = signatures
        self._ask = ask
        self._known: list[RangedAnswer[T]] = []
        self._latest: RangedAnswer[T] | None = None

    def at(self, release: int) -> T:
        """Return the answer of the release with an index."""
        return self._ranged(release).answer

    def runs(self, releases: Sequence[int]) -> Iterator[tuple[range, T]]:
        """Yield runs of positions in ascending release indexes, each with the answer that they share."""
        slot = 0
        while slot < len(releases):
            found = self._ranged(releases[slot])
            end = bisect_right(releases, found.last, slot)
            yield range(slot, end), found.answer
            slot = end

    def _ranged(self, release: int) -> RangedAnswer[T]:
        found = self._latest
        if found is None or not found.first <= release <= found.last:  # mostly asked for in their order
            found = next((each for each in self._known if each.first <= release <= each.last), None)
        if found is None:
            found = self._answer(release)
            self._known.append(found)
        self._latest = found
        self._signatures.index.note(self._signatures.package, found.first, found.last)
        return found

    def _answer(self, release: int) -> RangedAnswer[T]:
        index, package, known = self._signatures.index, self._signatures.package, self._signatures.known
        if release in known:
            return RangedAnswer(release, release, self._ask(known[release]))
        with index.watched() as same:
            answer = self._ask(self._signatures.of(release))
        newest = len(index.versions(package)) - 1
        first, last = same.get(package, (0, newest))
        return RangedAnswer(first, min(last, newest), answer)
