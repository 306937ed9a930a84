"""The summary of a matrix as an HTML page, with the reasons of each cell and links to its log."""

from collections.abc import Iterator, Sequence
from types import MappingProxyType

from compat._cli.html_page import legend, notes, report_page
from compat._cli.printable import html
from compat.matrix.model.outcome import CellOutcome, State
from compat.matrix.report import table

_COLOURS = MappingProxyType(
    {State.PASSED: "ok", State.FAILED: "bad", State.BLOCKED: "warn", State.NOT_RUN: "off"}
)
_STATES = MappingProxyType(
    {
        State.PASSED: "every answer that was checked agrees",
        State.FAILED: "something disagrees, or a test failed",
        State.BLOCKED: "the environment could not be prepared",
        State.NOT_RUN: "this machine cannot run it",
    }
)
_COLUMNS = MappingProxyType(
    {
        "modules": "modules that were imported",
        "refused": "modules that fail to import, as the index expects",
        "listed": "names that the index lists in them",
        "imported": "listed names that were bound",
        "checked": "names with a definite answer, compared with the run time",
        "conditional": "names whose answer depends on the machine",
        "unchecked": "names of modules that could not be imported",
        "disagree": "answers that the run time contradicts",
        "expected": "disagreements that matrix.toml explains",
        "layers": "layers that were built, of those that were tried",
        "tests": "tests that passed, of those that were collected",
    }
)
_MACHINE = ("python", "torch", "gpu", "driver", "platform", "environment")


def as_html(outcomes: Sequence[CellOutcome]) -> str:
    """Return the summary as one self-contained HTML page; its links lead to the logs beside it."""
    started = sorted(outcome.started[:10] for outcome in outcomes if outcome.started)
    facts = {
        "cells": table.closing(outcomes),
        "run on": " to ".join(dict.fromkeys((started[0], started[-1]))) if started else "",
        "disk": table.disk_line(outcomes).strip(),
    }
    states = [state for state in State if any(outcome.state is state for outcome in outcomes)]
    columns = "".join(f"<li><code>{html(name)}</code>: {html(text)}</li>" for name, text in _COLUMNS.items())
    body = [
        legend({state.value: (_COLOURS[state], _STATES[state]) for state in states}),
        *_table(outcomes),
        f"<details><summary>What the columns count</summary><ul>{columns}</ul></details>",
        *(line for outcome in outcomes for line in _cell(outcome)),
    ]
    return report_page("Matrix of sglang and vllm", facts, body, style="th.name { white-space: nowrap }")


def _table(outcomes: Sequence[CellOutcome]) -> Iterator[str]:
    head = "".join(
        f'<th scope="col"{"" if column < table.TEXT_COLUMNS else " class=number"}>{html(cell)}</th>'
        for column, cell in enumerate(table.HEAD)
    )
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Cells"><table>'
    yield f"<thead><tr>{head}</tr></thead><tbody>"
    for outcome, (name, state, *numbers) in zip(outcomes, table.rows(outcomes), strict=True):
        cells = "".join(f'<td class="number">{html(number)}</td>' for number in numbers)
        yield (
            f'<tr><th scope="row" class="name"><a href="#{html(outcome.cell.id)}">{html(name)}</a></th>'
            f'<td><span class="badge {_COLOURS[outcome.state]}">{html(state)}</span></td>{cells}</tr>'
        )
    yield "</tbody></table></div>"


def _cell(outcome: CellOutcome) -> Iterator[str]:
    """Yield the section of one cell: releases, machine, log, and everything that the text report tells."""
    name = html(outcome.cell.id)
    yield f'<section id="{name}"><h2>{name} <small>{html(outcome.pair)}</small></h2>'
    machine = ", ".join(f"{key} {outcome.machine[key]}" for key in _MACHINE if outcome.machine.get(key))
    yield f'<p>{html(machine)} <a href="{name}/log.txt">log</a> <a href="{name}/outcome.json">outcome</a></p>'
    lines = [*table.complaints(outcome), *table.remarks(outcome), *table.layers(outcome)]
    if lines:
        yield f'<pre tabindex="0">{chr(10).join(map(html, lines))}</pre>'
    expected = [
        f"{each.disagreement.location}: {each.reason}{f' ({each.link})' if each.link else ''}"
        for each in outcome.expected
    ]
    yield from notes(expected, "Expected disagreements")
    yield "</section>"
