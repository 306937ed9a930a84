"""The environment of a single release, and queries over many releases that reuse unchanged answers."""

from __future__ import annotations

import sys

from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.model.package_names import KERNELS, SGLANG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _collections_abc import dict_keys
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeVar

    from compat.index.reader import Index

    T = TypeVar("T")


def alone(index: Index, package: str, release_index: int) -> Facts:
    """Return the facts of an environment with one release and the kernels that it pins."""
    return Facts(
        release_indexes={package: release_index, **companions(index, package, release_index)},
        alone=package if index.concluded else None,
    )


def companions(index: Index, package: str, release_index: int) -> dict[str, int]:
    """Return the kernel release that an sglang release pins, if it is indexed."""
    if index.concluded:
        return index.companions(package, release_index)
    return pinned(index, package, release_index)


def pinned(index: Index, package: str, release_index: int) -> dict[str, int]:
    """Return the same as `companions`, computed from the requirements of the release."""
    if package != SGLANG:
        return {}
    from packaging.requirements import Requirement  # only needed while an index is built
    from packaging.utils import canonicalize_name

    for line in index.requires_dist(package, release_index):
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name in KERNELS and name in index.packages:
            for at, version in enumerate(index.versions(name)):
                if requirement.specifier.contains(version, prereleases=True):
                    return {name: at}
    return {}


def ask_each(
    index: Index, package: str, environments: Sequence[Facts], ask: Callable[[NameResolver], T]
) -> Iterator[tuple[range, T]]:
    """Yield each result of `ask`, with the range of positions in `environments` that it applies to.

    The environments have consecutive releases of a package. A result is reused for
    the next environment as long as all rows and facts that it depends on are equal.
    """
    slot = 0
    while slot < len(environments):
        environment = environments[slot]
        releases = _WatchedReleases(environment.release_indexes)
        with index.watched() as until:
            found = ask(NameResolver(index, environment.at(releases)))
        last = max(until.get(package, sys.maxsize), environment.release_indexes[package])
        first = slot
        while slot < len(environments) and releases.fit(environments[slot], environment, package, last):
            slot += 1
        yield range(first, slot), found


class _WatchedReleases(dict[str, int]):
    """Release indexes by package; records which packages were looked up."""

    def __init__(self, release_indexes: Mapping[str, int]) -> None:
        super().__init__(release_indexes)
        self._seen: set[str] = set()
        self._all_seen = False

    def __contains__(self, package: object) -> bool:
        self._seen.add(str(package))
        return super().__contains__(package)

    def __getitem__(self, package: str) -> int:
        self._seen.add(package)
        return super().__getitem__(package)

    def __iter__(self) -> Iterator[str]:
        self._all_seen = True
        return super().__iter__()

    def keys(self) -> dict_keys[str, int]:
        self._all_seen = True
        return super().keys()

    def fit(self, other: Facts, mine: Facts, package: str, last: int) -> bool:
        """Return whether another environment has equal values for everything that was looked up."""
        ours, theirs = mine.release_indexes, other.release_indexes
        if not ours[package] <= theirs[package] <= last or other[1:] != mine[1:]:
            return False
        asked = ours.keys() | theirs.keys() if self._all_seen else self._seen
        return all(theirs.get(name) == ours.get(name) for name in asked if name != package)
