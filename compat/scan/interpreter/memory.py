"""Results about one release, each with the other releases that have the same result.

Most code that a scan evaluates does not ask for the release at all. What was evaluated for one release then
holds for all of them, and need not be evaluated again.
"""

from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

EVERY = -1
"""The set of all releases, in the form that `compat.scan.releases.index_lookup` describes."""


class Memory:
    """Remembers results of one release, and the releases that share them."""

    def __init__(self) -> None:
        self.alike = EVERY
        """The releases that share everything that was asked since this was last set to `EVERY`."""
        self._results: dict[Hashable, tuple[Any, int]] = {}

    def note(self, alike: int) -> None:
        """Record that what is asked now has the same result in these releases only."""
        self.alike &= alike

    def get(self, key: Hashable) -> Any:
        """Return a remembered result, or None."""
        found = self._results.get(key)
        if found is None:
            return None
        self.alike &= found[1]
        return found[0]

    def keep(self, key: Hashable, result: Any) -> None:
        """Remember a result that depends at most on what was asked since `alike` was set to `EVERY`."""
        self._results[key] = result, self.alike

    def result(self, key: Hashable, work: Callable[[], Any], pending: Any = None) -> Any:
        """Return the result of `work`, which runs once per key.

        Args:
            key: identifies the result.
            work: computes it.
            pending: the result that counts while `work` runs, so that a cycle ends, and if it raises.
        """
        found = self._results.get(key)
        if found is None:
            found = self._results[key] = self.apart(lambda: self._worked(key, work, pending))
        self.alike &= found[1]
        return found[0]

    def _worked(self, key: Hashable, work: Callable[[], Any], pending: Any) -> Any:
        if pending is None:
            return work()
        self._results[key] = pending, EVERY
        try:
            return work()
        except BaseException:
            self.keep(key, pending)
            raise

    def aside(self, work: Callable[[], Any]) -> tuple[Any, int]:
        """Return the result of `work`, and the releases that share it, without noting them."""
        before, self.alike = self.alike, EVERY
        try:
            return work(), self.alike
        finally:
            self.alike = before

    def apart(self, work: Callable[[], Any]) -> tuple[Any, int]:
        """Return the result of `work`, and the releases that share it, whatever was asked before."""
        before, self.alike = self.alike, EVERY
        try:
            return work(), self.alike
        finally:
            self.alike &= before


class Remembering(Protocol):
    """Evaluates code for one release."""

    memory: Memory
    bit: int
    """The release, as a set of releases."""


T = TypeVar("T", bound=Remembering)


class Decisions(Generic[T]):
    """Results that depend on the release, computed once for all releases of a scan.

    Of what was asked for one release, only the result is noted: a test of the version has one of two results,
    and the releases with the same one share whatever depends on the test.
    """

    def __init__(self) -> None:
        self.releases: list[T] = []
        """What evaluates code for each of the releases, in their order."""
        self._found: dict[Hashable, list[tuple[int, Any]]] = {}
        self._open: set[Hashable] = set()

    def result(self, key: Hashable, here: T, ask: Callable[[T], Any]) -> Any:
        """Return the result of `ask` for one release, and note the releases with the same result.

        Args:
            key: identifies what is asked.
            here: evaluates code for the release.
            ask: returns the result for a release.
        """
        if key in self._open:
            return ask(here)  # within its own computation, so that the search for it ends
        if key not in self._found:
            self._open.add(key)
            try:
                self._found[key] = self._everywhere(ask)
            finally:
                self._open.discard(key)
        mask, result = next(each for each in self._found[key] if each[0] & here.bit)
        here.memory.note(mask)
        return result

    def _everywhere(self, ask: Callable[[T], Any]) -> list[tuple[int, Any]]:
        masks: dict[Any, int] = {}
        left = (1 << len(self.releases)) - 1
        while left:
            bit = left & -left
            release = self.releases[bit.bit_length() - 1]
            result, alike = release.memory.aside(lambda: ask(release))  # noqa: B023 -- called at once
            alike = (alike | bit) & left
            masks[result] = masks.get(result, 0) | alike
            left &= ~alike
        return [(mask, result) for result, mask in masks.items()]
