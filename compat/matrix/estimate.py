"""How long the cells that are left will take, learnt from those that are done."""

from collections.abc import Sequence

from compat.matrix.environment import duration


class Estimate:
    """Plans in order; each finished cell corrects what is thought of the others."""

    def __init__(self, planned: Sequence[float]) -> None:
        """Begin with the planned seconds of each cell that is to be run."""
        self._planned = list(planned)
        self._spent: list[float] = []

    def done(self, seconds: float) -> None:
        """Tell how long the current cell has really taken."""
        self._spent.append(seconds)

    @property
    def seconds(self) -> float:
        """The time that is left: what is planned, by the ratio of real to planned so far."""
        place = len(self._spent)
        planned = sum(self._planned[:place])
        ratio = sum(self._spent) / planned if planned else 1.0
        return ratio * sum(self._planned[place:])

    def line(self) -> str:
        """Return the place among several cells and the time left: ` (2 of 5, about 6 min 10 s left)`."""
        count, place = len(self._planned), len(self._spent) + 1
        return f" ({place} of {count}, about {duration(self.seconds)} left)" if count > 1 else ""
