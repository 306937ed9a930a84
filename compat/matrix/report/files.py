"""Write reports about all cells, in several formats, from the outcome files alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from compat._cli import console
from compat._cli.junit import JUnitCase, junit_suite
from compat._cli.printable import printable
from compat._util import atomic_write
from compat.errors import NothingSelectedError
from compat.matrix.model.outcome import (
    OUTCOME,
    Cell,
    CellOutcome,
    State,
    outcome_path,
    read_any_outcome,
    read_outcome,
)
from compat.matrix.report import table
from compat.matrix.report.matrix_page import as_html

NAMES = ("matrix.json", "matrix.md", "matrix.html", "junit.xml")


def read_outcomes(reports: Path, cells: Sequence[Cell] = ()) -> tuple[CellOutcome, ...]:
    """Return the outcome of every cell that has a report folder.

    Args:
        reports: the folder of all reports.
        cells: the cells of the matrix, which come first and in this order; others follow by name.

    Raises:
        NothingSelectedError: the folder has no outcome.
    """
    folders = (
        {path.name: path for path in sorted(reports.iterdir()) if path.is_dir()} if reports.is_dir() else {}
    )
    known = [cell for cell in cells if cell.id in folders]
    for cell in known:
        del folders[cell.id]
    outcomes = [read_outcome(outcome_path(cell, reports), cell) for cell in known]
    outcomes += [read_any_outcome(path) for path in folders.values() if (path / OUTCOME).exists()]
    if not outcomes:
        raise NothingSelectedError(f'{reports}: no outcome of a cell; run "compat matrix run ID…" first')
    return tuple(outcomes)


def write_reports(outcomes: Sequence[CellOutcome], reports: Path) -> None:
    """Write the JSON, Markdown, HTML and JUnit reports, each atomically."""
    contents = (as_json(outcomes), as_markdown(outcomes), as_html(outcomes), as_junit(outcomes))
    for name, content in zip(NAMES, contents, strict=True):
        atomic_write.write_text(reports / name, content + "\n")


def as_json(outcomes: Sequence[CellOutcome]) -> str:
    """Return the complete report as JSON."""
    cells = [outcome.document() for outcome in outcomes]
    budget, peak = table.disk(outcomes)
    disk = {"budget_bytes": budget, "peak_bytes": peak} if budget else None
    return console.document("matrix report", cells=cells, disk=disk)


def as_markdown(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary as Markdown, with the reasons and disagreements of cells that did not pass."""
    lines = [_row(table.HEAD), _row(["---"] * len(table.HEAD)), *map(_row, table.rows(outcomes))]
    for outcome in outcomes:
        if not outcome.passed:
            lines += ["", f"**{outcome.cell.id}** {outcome.state.value}: {printable(outcome.reason)}", ""]
            complaints = [outcome.complaint(entry).partition(": ")[2] for entry in outcome.disagreements]
            lines += [
                f"- `{printable(entry.location)}`: {printable(text)}"
                for entry, text in zip(outcome.disagreements, complaints, strict=True)
            ]
        if remarks := table.remarks(outcome):
            lines += ["", printable(remarks[0]), ""]
            lines += [f"- {printable(line.strip())}" for line in remarks[1:]]
    if line := table.disk_line(outcomes):
        lines += ["", line.strip()]
    return "\n".join(lines)


def as_gate(outcomes: Sequence[CellOutcome], *, open_: bool) -> str:
    """Return the result of a gate as Markdown, for the summary of a CI job."""
    passed = sum(outcome.passed for outcome in outcomes)
    head = f"**{'open' if open_ else 'shut'}**: {passed} of {len(outcomes)} required cells passed"
    return f"{head}\n\n{as_markdown(outcomes)}"


def as_junit(outcomes: Sequence[CellOutcome]) -> str:
    """Return the outcomes as JUnit test cases; a cell that did not run is an error, not a skip."""
    seconds = f"{sum(outcome.seconds for outcome in outcomes):.1f}"
    suite = junit_suite("matrix", [_junit_case(outcome) for outcome in outcomes], time=seconds)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _junit_case(outcome: CellOutcome) -> JUnitCase:
    problem: Literal["failure", "error"] = "failure" if outcome.state is State.FAILED else "error"
    return JUnitCase(
        suite="matrix",
        name=outcome.cell.id,
        seconds=f"{outcome.seconds:.1f}",
        problem="" if outcome.passed else problem,
        message=outcome.reason,
        lines=[outcome.complaint(entry) for entry in outcome.disagreements],
        output=table.layers(outcome),
    )


def as_text(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary for a terminal."""
    return f"{table.text(outcomes)}\n{table.closing(outcomes)}{table.disk_line(outcomes)}"


def as_github(pairs: Sequence[dict[str, object]]) -> str:
    """Return the cells as a job matrix of GitHub Actions, in one line of JSON."""
    return json.dumps({"include": list(pairs)}, sort_keys=True)


def _row(cells: Sequence[str]) -> str:
    return printable(f"| {' | '.join(cells)} |")
