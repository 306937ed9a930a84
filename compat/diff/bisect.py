"""Find the commits of a range that break what works before it, by reading only as many as that needs."""

from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)


class Boundary(NamedTuple):
    """Two neighbouring commits between which something changes, by their places in the range."""

    before: int
    after: int


def boundaries(count: int, state: Callable[[int], State]) -> Iterator[Boundary]:
    """Yield the places at which the state changes, in order; between two that are alike, nothing changes.

    Args:
        count: the number of commits, oldest first.
        state: returns the state at a place; it is asked once for each place that is looked at.
    """
    known: dict[int, State] = {}

    def at(place: int) -> State:
        if place not in known:
            known[place] = state(place)
        return known[place]

    def between(low: int, high: int) -> Iterator[Boundary]:
        if at(low) == at(high):
            return
        if high - low == 1:
            yield Boundary(low, high)
            return
        middle = (low + high) // 2
        yield from between(low, middle)
        yield from between(middle, high)

    yield from between(0, count - 1)
