"""Ranges of consecutive releases, by their indexes in the ordered list of a package's releases."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class ReleaseRange(NamedTuple):
    """A range of consecutive releases, both ends included."""

    first: int
    """The index of the first release, or its position if the list has only some releases."""
    last: int
    """The same for the last release."""


def ranges_of(release_indexes: Iterable[int]) -> Iterator[ReleaseRange]:
    """Yield the ranges of consecutive indexes in ascending release indexes."""
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


def range_text(release_range: tuple[str, str]) -> str:
    """Return a range of releases as text: `0.9.0..0.9.2`, or `0.9.0` for one release."""
    first, last = release_range
    return first if first == last else f"{first}..{last}"
