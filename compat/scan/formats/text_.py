"""Write a report as text for a terminal: each finding with its line of code and what to write instead."""

from collections.abc import Iterator

from compat._cli import console
from compat._cli.printable import printable
from compat._cli.text import counted
from compat.index.records import Successor
from compat.scan.findings import BrokenRange, Finding, Report
from compat.scan.options import ScanOptions

_COLOURS = {"error": "31", "warning": "33", "note": "36", "bold": "1", "dim": "2", "green": "32"}
CAUSES = {
    "symbol_moved": "moved",
    "symbol_renamed": "renamed",
    "symbol_removed": "removed",
    "not_yet_added": "not yet added",
    "module_moved": "module moved",
    "module_removed": "module removed",
    "placeholder": "a stub",
    "package_missing": "needs another package",
    "unknown": "in no release",
}


def render(report: Report, options: ScanOptions) -> str:
    """Return the report as text, with colours only on a terminal."""
    coloured = options.output is None and console.coloured()
    parts: list[str] = []
    shown = [finding for finding in report.findings if options.notes or finding.level != "note"]
    for finding in shown:
        parts += _finding(finding, coloured=coloured)
    return "\n".join(
        [*parts, _summary(report, shown), *(each.text for each in report.fits), *_changes(report)]
    )


def cause_text(finding: Finding, broken: BrokenRange) -> str:
    """Return why a reference breaks in a range of releases, in a few words."""
    special = {"CPT005": "other arguments", "CPT006": "another base class", "CPT009": "a function"}
    return special.get(finding.rule) or CAUSES.get(broken.cause, broken.cause)


def _summary(report: Report, shown: list[Finding]) -> str:
    notes = sum(finding.level == "note" for finding in report.findings)
    hidden = (
        f", {counted(notes, 'note')} (shown with --notes)"
        if notes and notes > sum(each.level == "note" for each in shown)
        else ""
    )
    files = len({finding.path for finding in shown})
    return f"{counted(len(shown), 'finding')} in {files} of {counted(report.files, 'file')}{hidden}"


def _changes(report: Report) -> Iterator[str]:
    """Yield what changed between two compared releases and does not break."""
    if report.changes:
        yield f"changed, without breaking anything here: {counted(len(report.changes), 'name')}"
        yield from (f"  {printable(each.text)}" for each in report.changes)


def calls_of(new: Successor) -> Iterator[str]:
    """Yield the old and the new parameters, one below the other, where they differ."""
    for change in new.call_changes:
        for word, parameters in (("was", change.old), ("is ", change.new)):
            if parameters is not None:
                yield f"{word} {printable(change.method + parameters)}"


def _finding(finding: Finding, *, coloured: bool) -> Iterator[str]:
    def paint(text: str, colour: str) -> str:
        return f"\033[{_COLOURS[colour]}m{text}\033[0m" if coloured else text

    cell = f" cell {finding.cell[0]}, line {finding.cell[1]}:" if finding.cell else ""
    message = printable(finding._replace(broken_ranges=()).message())
    where = paint(f"{printable(finding.path)}:{finding.line}:{finding.column}:", "bold")
    yield f"{where}{cell} {paint(finding.rule, finding.level)} {message}"
    if not finding.code.strip():
        yield ""
        return
    number = str(finding.line)
    line = printable(finding.code.replace("\t", " "))
    end = finding.end_column if finding.end_line == finding.line else len(line) + 1
    marks = " " * (finding.column - 1) + "^" * max(1, end - finding.column)
    gap = " " * len(number)
    yield f"  {paint(f'{number} |', 'dim')} {line}"
    yield f"  {paint(f'{gap} |', 'dim')} {paint(marks, finding.level)}"
    for each in finding.broken_ranges:
        what = cause_text(finding, each)
        if each.successor:
            new = each.successor
            statement = paint(printable(new.statement), "green")
            what = f"{what}: {statement} ({printable(new.evidence)}){new.doubt}"
        else:
            what = f"{what}: {printable(each.reason)}"
        yield f"  {paint(f'{gap} =', 'dim')} {each.text} {what}"
        if each.successor and not each.successor.same_call:
            yield from (f"  {gap}     {line}" for line in calls_of(each.successor))
    yield ""
