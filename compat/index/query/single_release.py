"""A release by itself: its environment, and what can be told of one release without looking at the others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from compat.index.query.name_resolution import Facts, NameResolver
from compat.index.reader import Index
from compat.model.package_names import KERNELS, SGLANG

T = TypeVar("T")


def alone(index: Index, package: str, release_index: int) -> Facts:
    """Return the environment of which nothing is known but one release, and the kernels it pins."""
    return Facts(
        release_indexes={package: release_index, **companions(index, package, release_index)},
        alone=package if index.concluded else None,
    )


def companions(index: Index, package: str, release_index: int) -> dict[str, int]:
    """Return the kernel release that a release of sglang pins, when the index has it."""
    if index.concluded:
        return index.companions(package, release_index)
    return pinned(index, package, release_index)


def pinned(index: Index, package: str, release_index: int) -> dict[str, int]:
    """Return what `companions` does, from the requirements of the release."""
    if package != SGLANG:
        return {}
    from packaging.requirements import Requirement  # a built index has the answers
    from packaging.utils import canonicalize_name

    for line in index.requires_dist(package, release_index):
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name in KERNELS and name in index.packages:
            for place, version in enumerate(index.versions(name)):
                if requirement.specifier.contains(version, prereleases=True):
                    return {name: place}
    return {}


def stretches(
    index: Index, package: str, resolvers: Sequence[NameResolver], ask: Callable[[NameResolver], T]
) -> Iterator[tuple[int, T]]:
    """Yield for each of some worlds its place in the sequence and what `ask` finds in it.

    The worlds hold releases of a package, one after another. What `ask` finds is taken over into the next
    world as long as nothing that it read differs there: then the same object is yielded again.
    """
    place = 0
    while place < len(resolvers):
        resolver = resolvers[place]
        release_indexes = _Watched(resolver.environment.release_indexes)
        here = resolver.environment.release_indexes[package]
        with index.watched() as until:
            found = ask(NameResolver(index, resolver.environment.at(release_indexes)))
        last = until.get(package, len(index.versions(package)))
        others = {
            name: resolver.environment.release_indexes.get(name) for name in release_indexes.seen - {package}
        }
        while True:
            yield place, found
            place += 1
            if place >= len(resolvers):
                return
            there = resolvers[place].environment.release_indexes
            same = here <= there[package] <= last and resolvers[place].facts == resolver.facts
            if not same or any(there.get(name) != at for name, at in others.items()):
                break


class _Watched(dict[str, int]):
    """Positions that remember which packages were asked about."""

    def __init__(self, release_indexes: Mapping[str, int]) -> None:
        super().__init__(release_indexes)
        self.seen: set[str] = set()

    def __contains__(self, package: object) -> bool:
        self.seen.add(str(package))
        return super().__contains__(package)

    def __getitem__(self, package: str) -> int:
        self.seen.add(package)
        return super().__getitem__(package)
