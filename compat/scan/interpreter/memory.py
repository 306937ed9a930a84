"""Results about one release, each with the other releases that have the same result.

Most code that a scan evaluates does not ask for the release at all. What was evaluated for one release then
holds for all of them, and need not be evaluated again.
"""

from collections.abc import Callable, Hashable
from typing import Any

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

    def apart(self, work: Callable[[], Any]) -> tuple[Any, int]:
        """Return the result of `work`, and the releases that share it, whatever was asked before."""
        before, self.alike = self.alike, EVERY
        try:
            return work(), self.alike
        finally:
            self.alike &= before
