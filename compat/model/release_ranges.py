"""Releases one after another in a package's list, by their indexes in it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class ReleaseRange(NamedTuple):
    """The releases from one to another."""

    first: int
    """Index of the first release, or slot where a list of some releases is meant."""
    last: int
    """The same of the last, which belongs to it."""


def ranges_of(release_indexes: Iterable[int]) -> Iterator[ReleaseRange]:
    """Yield the ranges that ascending release indexes make up, in order."""
    first = last = None
    for release_index in release_indexes:
        if first is None or last is None:
            first = release_index
        elif release_index != last + 1:
            yield ReleaseRange(first, last)
            first = release_index
        last = release_index
    if first is not None and last is not None:
        yield ReleaseRange(first, last)
