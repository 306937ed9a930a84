"""The gate: did every required cell pass? Anything else than an outcome that says so is a no."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compat.cells import Cell, Level, Outcome, read_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the required cells say."""

    required: tuple[Outcome, ...]

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The required cells that did not pass."""
        return tuple(outcome for outcome in self.required if not outcome.passed)

    @property
    def open(self) -> bool:
        """Whether everything passed; an empty matrix proves nothing and stays closed."""
        return bool(self.required) and not self.failures


def read_gate(pair_ids: Sequence[str], level: Level, reports: Path) -> Gate:
    """Return the gate over one level of some pairs; a level `gpu` requires `import` as well."""
    levels = (Level.IMPORT,) if level is Level.IMPORT else (Level.IMPORT, Level.GPU)
    cells = [Cell(pair_id=pair_id, level=each) for pair_id in pair_ids for each in levels]
    return Gate(required=tuple(read_outcome(reports / cell.id / "outcome.json", cell) for cell in cells))
