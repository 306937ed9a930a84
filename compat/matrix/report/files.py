"""Reports over all cells, from the outcome files alone."""

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from compat._cli import console
from compat._util import atomic_write
from compat.errors import NothingSelectedError
from compat.matrix.outcome import (
    OUTCOME,
    Cell,
    CellOutcome,
    State,
    outcome_path,
    read_any_outcome,
    read_outcome,
)
from compat.matrix.report import table

NAMES = ("matrix.json", "matrix.md", "matrix.html", "junit.xml")


def read_outcomes(reports: Path, cells: Sequence[Cell] = ()) -> tuple[CellOutcome, ...]:
    """Return the outcome of every cell that has a folder.

    Args:
        reports: the folder of all reports.
        cells: those of the matrix, in the order in which to tell them; others follow by name.

    Raises:
        NothingSelectedError: there is none.
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
        raise NothingSelectedError(f"{reports} holds no cell (run `python -m compat.matrix run ID…` first)")
    return tuple(outcomes)


def write_reports(outcomes: Sequence[CellOutcome], reports: Path) -> None:
    """Write the JSON, Markdown, HTML and JUnit reports, each in one step."""
    contents = (as_json(outcomes), as_markdown(outcomes), as_html(outcomes), as_junit(outcomes))
    for name, content in zip(NAMES, contents, strict=True):
        atomic_write.write_text(reports / name, content + "\n")


def as_json(outcomes: Sequence[CellOutcome]) -> str:
    """Return the canonical report."""
    cells = [outcome.document() for outcome in outcomes]
    budget, peak = table.disk(outcomes)
    disk = {"budget_bytes": budget, "peak_bytes": peak} if budget else None
    return console.document("matrix report", cells=cells, disk=disk)


def as_markdown(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary for people who read Markdown."""
    lines = [_row(table.HEAD), _row(["---"] * len(table.HEAD)), *map(_row, table.rows(outcomes))]
    for outcome in outcomes:
        if not outcome.passed:
            lines += ["", f"**{outcome.cell.id}** {outcome.state.value}: {_plain(outcome.reason)}", ""]
            told = [outcome.complaint(entry).partition(": ")[2] for entry in outcome.disagreements]
            lines += [
                f"- `{entry.location}`: {_plain(text)}"
                for entry, text in zip(outcome.disagreements, told, strict=True)
            ]
        if remarks := table.remarks(outcome):
            lines += ["", f"{_plain(remarks[0])}", "", *(f"- {_plain(line.strip())}" for line in remarks[1:])]
    if line := table.disk_line(outcomes):
        lines += ["", line.strip()]
    return "\n".join(lines)


def as_gate(outcomes: Sequence[CellOutcome], *, open_: bool) -> str:
    """Return the verdict of a gate for a CI job's summary."""
    passed = sum(outcome.passed for outcome in outcomes)
    head = f"**{'open' if open_ else 'shut'}**: {passed} of {len(outcomes)} required cells passed"
    return f"{head}\n\n{as_markdown(outcomes)}"


def as_html(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary as one page that needs nothing else."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.HEAD)
    rows = "\n".join(
        f'<tr class="{outcome.state.value}">'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for outcome, row in zip(outcomes, table.rows(outcomes), strict=True)
    )
    lines = "\n".join(
        line
        for outcome in outcomes
        for line in (*table.complaints(outcome), *table.layers(outcome), *table.remarks(outcome))
    )
    lines += table.disk_line(outcomes)
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Matrix</title>\n'
        "<style>body{font:14px sans-serif}td,th{padding:2px 8px;text-align:left}"
        ".passed{background:#dfd}.failed{background:#fdd}.blocked,.not-run{background:#ffd}</style>\n"
        f"<table><tr>{head}</tr>\n{rows}\n</table>\n<pre>{html.escape(lines)}</pre>\n</html>"
    )


def as_junit(outcomes: Sequence[CellOutcome]) -> str:
    """Return the outcomes as JUnit test cases; a cell that did not run is an error, never a skip."""
    suite = ET.Element(
        "testsuite",
        name="matrix",
        tests=str(len(outcomes)),
        failures=str(sum(outcome.state is State.FAILED for outcome in outcomes)),
        errors=str(sum(outcome.state in {State.BLOCKED, State.NOT_RUN} for outcome in outcomes)),
        time=f"{sum(outcome.seconds for outcome in outcomes):.1f}",
    )
    for outcome in outcomes:
        case = ET.SubElement(
            suite, "testcase", classname="matrix", name=outcome.cell.id, time=f"{outcome.seconds:.1f}"
        )
        if not outcome.passed:
            kind = "failure" if outcome.state is State.FAILED else "error"
            problem = ET.SubElement(case, kind, message=_plain(outcome.reason))
            problem.text = _plain("\n".join(map(outcome.complaint, outcome.disagreements)))
        if lines := table.layers(outcome):
            ET.SubElement(case, "system-out").text = _plain("\n".join(lines))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def as_text(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary for a terminal."""
    return f"{table.text(outcomes)}\n{table.closing(outcomes)}{table.disk_line(outcomes)}"


def as_github(pairs: Sequence[dict[str, object]]) -> str:
    """Return the value of a CI job matrix, in one line."""
    return json.dumps({"include": list(pairs)}, sort_keys=True)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return the text without control characters, which no XML may hold."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text)
