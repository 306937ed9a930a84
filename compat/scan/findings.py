"""Findings: what breaks where, in which releases, why, and what to write there."""

from typing import TYPE_CHECKING, Any, NamedTuple

from compat.model.symbols import Status, import_statement
from compat.scan.sources.discovery import Skipped

if TYPE_CHECKING:  # a scan that finds nothing does not load it
    from compat.model.diagnosis import Cause

LEVELS = {"CPT001": "error", "CPT002": "error", "CPT003": "warning", "CPT004": "note"}
RULES = {
    "CPT001": "missing in a release",
    "CPT002": "a placeholder in a release",
    "CPT003": "bound only when another package is there",
    "CPT004": "private, or not to be known without running",
}


class Successor(NamedTuple):
    """What to use instead."""

    module: str
    name: str
    confidence: float
    """From 0 to 1."""
    evidence: str
    same_call: bool = True
    """Whether it is called as what it replaces was."""
    certain: bool = True
    """Whether it is the same thing: followed from release to release, or with the very same signature."""

    @property
    def statement(self) -> str:
        """The import."""
        return import_statement(self.module, self.name)

    @property
    def doubt(self) -> str:
        """What is to be said with it."""
        if not self.same_call:
            return "; it is called differently"
        return "" if self.certain else "; it may be another thing"


class BrokenRange(NamedTuple):
    """Releases one after another in which the same is wrong."""

    first: str
    last: str
    cause: "Cause"
    reason: str
    """Why, for people."""
    replacement: Successor | None

    @property
    def text(self) -> str:
        """The releases as people write them."""
        return _row((self.first, self.last))


class Finding(NamedTuple):
    """One reference and what is wrong with it."""

    path: str
    line: int
    """From 1; of a notebook, in the code of all cells."""
    column: int
    """From 1, in characters, as the end is."""
    end_line: int
    end_column: int
    """The first column that does not belong to it."""
    rule: str
    package: str
    statement: str
    """What is asked for, as an import statement or a dotted path."""
    status: Status
    broken_in: tuple[tuple[str, str], ...]
    """First and last of each row of releases in which it is so."""
    broken_ranges: tuple[BrokenRange, ...]
    """The same releases, apart where cause or replacement differ."""
    broken: int
    """How many releases that are."""
    form: str
    function: str | None = None
    """The function that the reference stands in: it breaks when that is called."""
    code: str = ""
    """The line that it begins on."""
    fixable: bool = False
    cell: tuple[int, int] | None = None
    """Of a notebook: the number of the cell and the line in it."""

    @property
    def level(self) -> str:
        """`error`, `warning` or `note`."""
        return LEVELS[self.rule]

    @property
    def replacement(self) -> Successor | None:
        """What to write in the newest of the releases."""
        return self.broken_ranges[-1].replacement if self.broken_ranges else None

    @property
    def releases(self) -> str:
        """The releases as people write them."""
        return ", ".join(map(_row, self.broken_in))

    def message(self) -> str:
        """Return the finding in one line."""
        what = {
            "CPT001": "is missing",
            "CPT002": "is a placeholder",
            "CPT003": "is there only with another package",
        }
        if self.rule == "CPT004":
            what_it_is = self.status if self.status == "dynamic" else "private"
            return f"{self.statement}: {what_it_is}; it may change without notice"
        where = f" (in {self.function})" if self.function else ""
        text = f"{self.statement} {what[self.rule]} in {self.package} {self.releases}{where}"
        successor = self.replacement
        return f"{text}; there: {successor.statement}{successor.doubt}" if successor else text

    def as_document(self) -> dict[str, Any]:
        """Return the finding as the contract's JSON object."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
            "rule": self.rule,
            "level": self.level,
            "package": self.package,
            "import": self.statement,
            "form": self.form,
            "function": self.function,
            "cell": None if self.cell is None else {"number": self.cell[0], "line": self.cell[1]},
            "status": self.status,
            "broken_in": [{"first": first, "last": last} for first, last in self.broken_in],
            "runs": [
                {
                    "first": release_range.first,
                    "last": release_range.last,
                    "cause": release_range.cause,
                    "reason": release_range.reason,
                    "replacement": _successor(release_range.replacement),
                }
                for release_range in self.broken_ranges
            ],
            "replacement": _successor(self.replacement),
            "fixable": self.fixable,
            "message": self.message(),
        }


def _row(row: tuple[str, str]) -> str:
    first, last = row
    return first if first == last else f"{first}..{last}"


def _successor(successor: Successor | None) -> dict[str, Any] | None:
    if successor is None:
        return None
    return {
        "module": successor.module,
        "name": successor.name,
        "import": successor.statement,
        "confidence": successor.confidence,
        "evidence": successor.evidence,
        "same_call": successor.same_call,
        "certain": successor.certain,
    }


class Releases(NamedTuple):
    """The releases of a package that were asked about."""

    package: str
    versions: tuple[str, ...]
    source: str
    """Why these."""


class Report(NamedTuple):
    """What a scan found."""

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    """What was not read, and why."""
    release_sets: tuple[Releases, ...]
    files: int
    """Source files that were looked at."""
    parsed: int
    """Those that name one of the packages."""
