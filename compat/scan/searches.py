"""Searches that go only as far as somebody looks, and are never gone through twice."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Searches(Generic[K, T]):
    """What has been found so far, by key; each reader goes on where another one has seen enough."""

    def __init__(self) -> None:
        self._found: dict[K, list[T]] = {}
        self._ahead: dict[K, Iterator[T]] = {}

    def of(self, key: K, search: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what a search finds.

        Args:
            key: which search it is.
            search: begins it; called once for a key.
        """
        found = self._found.setdefault(key, [])
        if key not in self._ahead:
            self._ahead[key] = search()
        at = 0
        while True:
            while at < len(found):
                yield found[at]
                at += 1
            following = next(self._ahead[key], None)
            if following is None:
                return
            found.append(following)
