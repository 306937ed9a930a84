"""The gate: check that every required cell has passed, with an outcome that is not stale."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from compat.errors import UsageError
from compat.matrix.judge.inputs import Sources, digests
from compat.matrix.model.outcome import (
    Cell,
    CellOutcome,
    Digests,
    Level,
    State,
    another_python,
    levels_of,
    outcome_path,
    read_outcome,
)
from compat.model.releases import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The outcomes of the required cells."""

    required: tuple[CellOutcome, ...]

    @property
    def failures(self) -> tuple[CellOutcome, ...]:
        """The required cells that did not pass."""
        return tuple(outcome for outcome in self.required if not outcome.passed)

    @property
    def open(self) -> bool:
        """Whether every required cell passed; the gate of an empty matrix is closed."""
        return bool(self.required) and not self.failures


def read_gate(pairs: Sequence[Pair], level: Level, reports: Path, sources: Sources) -> Gate:
    """Return the gate for some pairs at one level; the level `gpu` requires `import` as well.

    The level `tests` requires those pairs that have tests; there must be one.

    An outcome counts only if entry in the matrix, lock, index and all code that decides a verdict are the
    same now. Otherwise it is stale and counts as failed.
    """
    levels = (Level.IMPORT, Level.GPU) if level is Level.GPU else (level,)
    cells = [(pair, each) for pair in pairs for each in levels_of(pair, levels)]
    return Gate(required=tuple(_fresh(pair, each, reports, sources) for pair, each in cells))


def _fresh(pair: Pair, level: Level, reports: Path, sources: Sources) -> CellOutcome:
    cell = Cell(pair_id=pair.id, level=level)
    outcome = read_outcome(outcome_path(cell, reports), cell)
    if reason := another_python(outcome, pair.python):
        return replace(outcome, state=State.FAILED, reason=reason)
    if not outcome.passed:
        return outcome
    try:
        now = digests(pair, sources.lock(pair), sources, level)
    except UsageError as error:
        return replace(outcome, state=State.FAILED, reason=str(error))
    if stale := differences(outcome.digests, now):
        reason = f"the outcome is stale: {', '.join(stale)} changed since; run the cell again"
        return replace(outcome, state=State.FAILED, reason=reason)
    return outcome


def differences(then: Digests, now: Digests) -> list[str]:
    """Return the names of the inputs that differ between two sets of digests."""
    words = {"pair": "entry in the matrix", "lock": "lock", "index": "index", "probe": "code"}
    old, new = asdict(then), asdict(now)
    return [word for key, word in words.items() if old[key] != new[key]]
