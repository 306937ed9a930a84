"""The summary of a matrix: one row a cell, for people."""

from collections.abc import Sequence

from compat.matrix.outcome import CellOutcome, State
from compat.matrix.plan import duration, size

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
"""The first columns are words, the others numbers."""


def rows(outcomes: Sequence[CellOutcome]) -> list[tuple[str, ...]]:
    """Return one row of text for each outcome, in the order of `HEAD`."""
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
    """Return how the layers of each package came out, one line each."""
    return [f"{outcome.cell.id}: layers of {package}: {each}" for package, each in outcome.layers.items()]


def _layers(outcome: CellOutcome) -> str:
    tried = sum(each.built + each.refused + each.broken for each in outcome.layers.values())
    return f"{sum(each.built for each in outcome.layers.values())}/{tried}" if outcome.layers else "-"


def _tests(outcome: CellOutcome) -> str:
    return f"{outcome.counts.tests_passed}/{outcome.counts.tests}" if outcome.counts.tests else "-"


def text(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary as an aligned table, then why the cells that did not pass did not."""
    table = [HEAD, *rows(outcomes)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < TEXT_COLUMNS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    for outcome in outcomes:
        lines += [*complaints(outcome), *remarks(outcome)]
    return "\n".join(lines)


def complaints(outcome: CellOutcome) -> list[str]:
    """Return why a cell did not pass, one line each; nothing for a cell that did."""
    if outcome.state is State.PASSED:
        return []
    head = f"{outcome.cell.id}: {outcome.state.value}: {outcome.reason}"
    return [head, *(f"  {outcome.complaint(entry)}" for entry in outcome.disagreements)]


def disk(outcomes: Sequence[CellOutcome]) -> tuple[int, int]:
    """Return the disk budget that cells were run with, and the most that was in use: bytes, 0 for none."""
    kept = [outcome for outcome in outcomes if outcome.budget_bytes]
    budgets = [outcome.budget_bytes for outcome in kept]
    return max(budgets, default=0), max((outcome.shared_bytes for outcome in kept), default=0)


def disk_line(outcomes: Sequence[CellOutcome]) -> str:
    """Return a line of its own about the disk budget, when there was one."""
    budget, peak = disk(outcomes)
    return (
        f"\nuv's cache and the environments: {size(peak)} at most, of {size(budget)} allowed"
        if budget
        else ""
    )


def remarks(outcome: CellOutcome) -> list[str]:
    """Return in what kind of environment a cell was run, when it was not installed for it; one line each."""
    what = outcome.machine.get("environment", "")
    return [f"{outcome.cell.id}: run in {what}", *(f"  {line}" for line in outcome.declared)] if what else []


def closing(outcomes: Sequence[CellOutcome]) -> str:
    """Return the last line: `3 passed, 1 failed, 1 blocked`."""
    counts = {state: sum(outcome.state is state for outcome in outcomes) for state in State}
    return ", ".join(f"{count} {state.value}" for state, count in counts.items() if count) or "no cells"
