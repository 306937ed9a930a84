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

    from compat.callables.parameters import Parameters
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


class AnswersByRelease(Generic[T]):
    """The answers to one question about signatures in the releases of a package.

    Each is worked out once for all following releases in which the files and names that it depends on
    stay as they are. A question may ask others: its answer then holds no longer than theirs.

    Args:
        outlines: the outlines of the releases.
        index: the index of releases.
        package: the package.
        ask: returns the answer of one release.
        shared: the signatures of some releases, which remember what other questions found in them.
    """

    def __init__(
        self,
        outlines: SourceOutlines,
        index: Index,
        package: str,
        ask: Callable[[Signatures], T],
        shared: Mapping[int, Signatures],
    ) -> None:
        self._outlines = outlines
        self._index = index
        self._package = package
        self._ask = ask
        self._shared = shared
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
        self._index.note(self._package, found.last)
        return found

    def _answer(self, release: int) -> RangedAnswer[T]:
        package = self._package
        if release in self._shared:
            return RangedAnswer(release, release, self._ask(self._shared[release]))
        with self._index.watched() as until:
            resolver = NameResolver(self._index, alone(self._index, package, release))
            signatures = Signatures(self._outlines, self._index, package, release, resolver)
            answer = self._ask(signatures)
        last = until.get(package, len(self._index.versions(package)) - 1)
        return RangedAnswer(release, min(last, signatures.until), answer)
