"""The history of a location over all releases of its package: which have it, first and last."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
from compat.model.release_ranges import ReleaseRange, ranges_of
from compat.model.symbols import location

Flags = Sequence[bool]
"""For each release, oldest first, whether it has the location."""


class History:
    """Cached answers about locations in single releases, without the other packages."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.resolver = lru_cache(maxsize=None)(self._make_resolver)
        self.flags = lru_cache(maxsize=None)(self._find_flags)

    def _make_resolver(self, package: str, release_index: int) -> NameResolver:
        return NameResolver(self.index, alone(self.index, package, release_index))

    def _find_flags(self, package: str, module: str, name: str) -> Flags:
        return [
            self.resolver(package, at).answer(module, name).status != "missing"
            for at in range(len(self.index.versions(package)))
        ]

    def releases(self, package: str, module: str, name: str) -> str:
        """Return the releases that have a location as text, `0.2.6 to 0.21.0`; empty if none has it."""
        versions, flags = self.index.versions(package), self.flags(package, module, name)
        parts = []
        for first, last in ranges(flags):
            if last == len(flags) - 1:
                parts.append(f"{versions[first]} and later" if first != last else versions[first])
            else:
                parts.append(versions[first] if first == last else f"{versions[first]} to {versions[last]}")
        return ", ".join(parts)

    def boundary(self, package: str, module: str, name: str, release_index: int) -> str:
        """Return one line about which releases have a location, as seen from a release that lacks it."""
        where = location(module, name)
        versions, flags = self.index.versions(package), self.flags(package, module, name)
        releases = self.releases(package, module, name)
        if not releases:
            return f"no indexed release of {package} has {where}"
        before = [at for at, there in enumerate(flags[:release_index]) if there]
        line = f"{where} exists in {package} {releases}"
        if before:
            return (
                f"{line}; the last release that has it is {versions[before[-1]]}, "
                f"and {versions[before[-1] + 1]} lacks it"
            )
        first = next((at for at in range(release_index, len(flags)) if flags[at]), None)
        return line if first is None else f"{line}; the first release that has it is {versions[first]}"


def ranges(flags: Flags) -> Iterator[ReleaseRange]:
    """Return the ranges of releases whose flags are true, in order."""
    return ranges_of(at for at, there in enumerate(flags) if there)
