"""The history of a location over all releases of its package: which have it, first and last."""

from collections.abc import Sequence
from functools import lru_cache

from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
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

    def intervals(self, package: str, module: str, name: str) -> str:
        """Return the releases that have a location as text, `0.2.6 to 0.21.0`; empty if none has it."""
        versions, flags = self.index.versions(package), self.flags(package, module, name)
        ranges = []
        for first, last in runs(flags):
            if last == len(flags) - 1:
                ranges.append(f"{versions[first]} and later" if first != last else versions[first])
            else:
                ranges.append(versions[first] if first == last else f"{versions[first]} to {versions[last]}")
        return ", ".join(ranges)

    def boundary(self, package: str, module: str, name: str, release_index: int) -> str:
        """Return one line about which releases have a location, as seen from a release that lacks it."""
        where = location(module, name)
        versions, flags = self.index.versions(package), self.flags(package, module, name)
        ranges = self.intervals(package, module, name)
        if not ranges:
            return f"no indexed release of {package} has {where}"
        before = [at for at, there in enumerate(flags[:release_index]) if there]
        line = f"{where} exists in {package} {ranges}"
        if before:
            return (
                f"{line}; the last release that has it is {versions[before[-1]]}, "
                f"and {versions[before[-1] + 1]} lacks it"
            )
        first = next((at for at in range(release_index, len(flags)) if flags[at]), None)
        return line if first is None else f"{line}; the first release that has it is {versions[first]}"


def runs(flags: Flags) -> list[tuple[int, int]]:
    """Return the first and last index of each run of true flags."""
    found: list[tuple[int, int]] = []
    for at, there in enumerate(flags):
        if there and found and found[-1][1] == at - 1:
            found[-1] = (found[-1][0], at)
        elif there:
            found.append((at, at))
    return found
