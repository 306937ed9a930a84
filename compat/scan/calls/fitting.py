"""Find the releases that fit a call or a subclass, nearest to one that does not."""

from collections.abc import Callable
from functools import lru_cache

_LONGEST_STEP = 4
"""The most releases that a search leaves out: what fits fewer releases in a row may be missed."""


class Fitting:
    """Finds releases that fit; each release is asked at most once.

    Args:
        fits: returns whether the release with an index fits.
        count: the number of releases.
    """

    def __init__(self, fits: Callable[[int], bool], count: int) -> None:
        self._fits = lru_cache(maxsize=None)(fits)
        self._count = count
        self.before = lru_cache(maxsize=None)(self._before)
        self.after = lru_cache(maxsize=None)(self._after)

    def anywhere(self, at: int) -> bool:
        """Return whether a release before or after one fits."""
        return self.before(at) is not None or self.after(at) is not None

    def _before(self, at: int) -> int | None:
        """Return the last release before one that fits; None if none was found."""
        return self._nearest(at, -1)

    def _after(self, at: int) -> int | None:
        """Return the first release after one that fits; None if none was found."""
        return self._nearest(at, 1)

    def _nearest(self, at: int, direction: int) -> int | None:
        unfit, step = at, 1
        last = 0 if direction < 0 else self._count - 1
        while unfit != last:
            ahead = unfit + direction * min(step, abs(last - unfit))
            if self._fits(ahead):
                return self._boundary(ahead, unfit)
            unfit, step = ahead, min(step + 1, _LONGEST_STEP)
        return None

    def _boundary(self, fit: int, unfit: int) -> int:
        """Return a release from one that fits to one that does not, whose neighbour does not fit."""
        while abs(fit - unfit) > 1:
            middle = (fit + unfit) // 2
            if self._fits(middle):
                fit = middle
            else:
                unfit = middle
        return fit
