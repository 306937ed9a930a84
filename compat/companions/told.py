"""Leave out what cannot become a finding: attributes that every read release has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from compat.companions.demands import Demand
from compat.companions.extract.read_releases import CompanionRelease
from compat.companions.extract.supply import ABSENT, Need, Supply


def with_attributes(
    demands: Iterable[Demand], read: Mapping[str, Sequence[CompanionRelease]]
) -> dict[str, list[CompanionRelease]]:
    """Return the releases with the attributes that they take from others among their needs.

    Attributes that every release has are left out, with their states, unless something imports them.
    """
    releases = [release for each in read.values() for release in each]
    lacking = lacking_in(read)
    imported = {each.target for each in demands}.union(*(needed_by(each.supply.needs) for each in releases))
    taken: set[str] = set().union(*(needed_by(each.supply.attributes) for each in releases))
    dropped = taken - lacking - imported

    @cache  # most names of a release need the same
    def together(needs: tuple[Need, ...], attributes: tuple[Need, ...]) -> tuple[Need, ...]:
        return tuple(sorted([*needs, *(each for each in attributes if each.target in lacking)]))

    def kept(release: CompanionRelease) -> CompanionRelease:
        states, needs, attributes = release.supply
        found = {
            target: together(needs.get(target, ()), attributes.get(target, ()))
            for target in states
            if target not in dropped
        }
        supply = Supply(
            {target: state for target, state in states.items() if target not in dropped},
            {target: each for target, each in found.items() if each},
        )
        return release._replace(supply=supply)

    return {name: list(map(kept, each)) for name, each in read.items()}


def needed_by(needs: Mapping[str, Iterable[Need]]) -> set[str]:
    return {need.target for each in needs.values() for need in each}


def lacking_in(read: Mapping[str, Sequence[CompanionRelease]]) -> set[str]:
    """Return the locations that some read release does not have."""
    return {
        target
        for releases in read.values()
        for release in releases
        for target, state in release.supply.states.items()
        if state == ABSENT
    }


def told(demands: Iterable[Demand], read: Mapping[str, Sequence[CompanionRelease]]) -> Iterator[Demand]:
    """Yield the demands that can become findings: all imports, and what some read release does not have."""
    lacking = lacking_in(read)
    for demand in demands:
        if demand.form == "import" or demand.target in lacking:
            yield demand
