"""Select the releases that the pins of a project match, and say where the pins contradict each other."""

from collections.abc import Iterable, Mapping

from compat.index.reader import Index
from compat.scan.releases import selection
from compat.scan.releases.index_lookup import ReleaseSet

_MOST_PINS = 6
"""Pins that are reported with their places."""


def pinned_releases(
    index: Index, package: str, pins: dict[str, str], installed: dict[str, str]
) -> ReleaseSet:
    """Return the releases that the pins of a project match, or those that its scripts install, or the newest.

    Pins that no release satisfies together are reported, and scripts that disagree select nothing.
    """
    versions = index.versions(package)
    matching = {
        specifier: frozenset(selection.matching_indexes(versions, specifier) or ())
        for specifier in (*pins, *installed)
    }
    source = _places(package, pins)
    at = frozenset[int]().union(*(matching[specifier] for specifier in pins))
    if at:
        if _contradicting(matching[specifier] for specifier in pins):
            source += "; these pins contradict each other"
        apart = {
            each: place for each, place in installed.items() if matching[each] and not matching[each] & at
        }
        if apart:
            source += f"; but {_places(package, apart)}"
        return selection.release_set(index, package, at, source)
    newest = selection.newest_releases(index, package)
    if pins:
        return newest._replace(source=f"{newest.source}; no indexed release matches {source}")
    at = frozenset[int]().union(*(matching[specifier] for specifier in installed))
    if not at:
        return newest
    source = _places(package, installed)
    if _contradicting(matching[specifier] for specifier in installed):
        return newest._replace(source=f"{newest.source}; scripts install different releases: {source}")
    return selection.release_set(index, package, at, source)


def _places(package: str, pins: Mapping[str, str]) -> str:
    """Return pins with their places as text, the first few of many."""
    texts = [f"{package}{specifier} in {place}" for specifier, place in pins.items()]
    more = [f"and {len(texts) - _MOST_PINS} more"] if len(texts) > _MOST_PINS else []
    return ", ".join([*texts[:_MOST_PINS], *more])


def _contradicting(releases: Iterable[frozenset[int]]) -> bool:
    """Return whether pins that each match some release match none together."""
    known = [each for each in releases if each]
    return len(known) > 1 and not frozenset.intersection(*known)
