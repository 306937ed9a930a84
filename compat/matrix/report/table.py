"""The summary of a matrix as a table with one row per cell, and as lines of text."""

from collections.abc import Sequence

from compat._cli.printable import printable
from compat._cli.text import aligned, duration, size
from compat.matrix.model.outcome import CellOutcome, State

HEAD = (
    "pair",
    "state",
    "modules",
    "refused",
    "listed",
    "imported",
    "checked",
    "conditional",
    "unchecked",
    "disagree",
    "expected",
    "layers",
    "tests",
    "time",
    "disk",
)
TEXT_COLUMNS = 2
"""The number of columns with words, which are aligned left; the others have numbers."""


def rows(outcomes: Sequence[CellOutcome]) -> list[tuple[str, ...]]:
    """Return one row of strings for each outcome, in the order of `HEAD`."""
    return [
        (
            outcome.cell.id if outcome.cell.level.value != "import" else outcome.cell.pair_id,
            outcome.state.value,
            *(
                str(count)
                for count in (
                    outcome.counts.modules,
                    outcome.counts.refused,
                    outcome.counts.listed,
                    outcome.counts.imported,
                    outcome.counts.checked,
                    outcome.counts.conditional,
                    outcome.counts.unchecked,
                    outcome.counts.disagreements,
                    outcome.counts.expected,
                )
            ),
            _layers(outcome),
            _tests(outcome),
            duration(outcome.seconds),
            size(outcome.peak_bytes),
        )
        for outcome in outcomes
    ]


def layers(outcome: CellOutcome) -> list[str]:
    """Return the numbers of layers of each package, one line each."""
    return [f"{outcome.cell.id}: layers of {package}: {each}" for package, each in outcome.layers.items()]


def _layers(outcome: CellOutcome) -> str:
    tried = sum(each.built + each.refused + each.broken for each in outcome.layers.values())
    return f"{sum(each.built for each in outcome.layers.values())}/{tried}" if outcome.layers else "-"


def _tests(outcome: CellOutcome) -> str:
    return f"{outcome.counts.tests_passed}/{outcome.counts.tests}" if outcome.counts.tests else "-"


def text(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary as an aligned table, followed by the reasons of cells that did not pass."""
    lines = aligned([HEAD, *rows(outcomes)], words=TEXT_COLUMNS)
    for outcome in outcomes:
        lines += map(printable, [*complaints(outcome), *remarks(outcome)])
    return "\n".join(lines)


def complaints(outcome: CellOutcome) -> list[str]:
    """Return the reason and the disagreements of a cell that did not pass, one line each."""
    if outcome.state is State.PASSED:
        return []
    head = f"{outcome.cell.id}: {outcome.state.value}: {outcome.reason}"
    return [head, *(f"  {outcome.complaint(entry)}" for entry in outcome.disagreements)]


def disk(outcomes: Sequence[CellOutcome]) -> tuple[int, int]:
    """Return the disk limit of the cells and the most that was in use, in bytes; 0 without a limit."""
    kept = [outcome for outcome in outcomes if outcome.budget_bytes]
    budgets = [outcome.budget_bytes for outcome in kept]
    return max(budgets, default=0), max((outcome.shared_bytes for outcome in kept), default=0)


def disk_line(outcomes: Sequence[CellOutcome]) -> str:
    """Return a line about the disk limit with a leading line break, or an empty string without a limit."""
    budget, peak = disk(outcomes)
    return f"\nuv's cache and the environments used at most {size(peak)} of {size(budget)}" if budget else ""


def remarks(outcome: CellOutcome) -> list[str]:
    """Return lines about an existing environment and the options with which a cell ran; often none."""
    what = outcome.machine.get("environment", "")
    how = [f"in {what}"] if what else []
    how += [f"with {' '.join(outcome.options)}"] if outcome.options else []
    if not how:
        return []
    return [f"{outcome.cell.id}: ran {' '.join(how)}", *(f"  {line}" for line in outcome.declared)]


def closing(outcomes: Sequence[CellOutcome]) -> str:
    """Return the number of cells by state: `3 passed, 1 failed, 1 blocked`."""
    counts = {state: sum(outcome.state is state for outcome in outcomes) for state in State}
    return ", ".join(f"{count} {state.value}" for state, count in counts.items() if count) or "no cells"
