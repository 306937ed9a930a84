"""The records of a scan: findings, the release ranges in which each breaks, and the report."""

from typing import TYPE_CHECKING, Any, NamedTuple

from compat.index.query.answers import REFUSES
from compat.index.records import Successor
from compat.model.release_ranges import range_text
from compat.model.symbols import Status
from compat.scan.sources.discovery import Skipped

if TYPE_CHECKING:  # a scan that finds nothing does not load it
    from compat.model.diagnosis import Cause
    from compat.model.safety import Safety
    from compat.scan.release_facts import Change, Fit
    from compat.scan.releases.index_lookup import ReleaseSet

LEVELS = {
    "CPT000": "error",
    "CPT001": "error",
    "CPT002": "error",
    "CPT003": "warning",
    "CPT004": "note",
    "CPT005": "error",
    "CPT006": "error",
    "CPT007": "error",
    "CPT008": "error",
    "CPT009": "error",
}
RULES = {
    "CPT000": "a file or cell that cannot be read or parsed",
    "CPT001": "missing in a release",
    "CPT002": "a placeholder in a release",
    "CPT003": "bound only when another package is installed",
    "CPT004": "private, or known only at run time",
    "CPT005": "called with arguments that a release does not take, or without one that it requires",
    "CPT006": "a subclass that does not fit its base class",
    "CPT007": "an environment variable that the release does not read",
    "CPT008": "a command-line option that the release does not have",
    "CPT009": "used as a class where it is a function",
}


_USES = {
    "base_class": "as a base class",
    "instance_check": "in isinstance or issubclass",
    "handler": "in an except clause",
    "type": "as a type",
    "pattern": "in a class pattern",
    "class_attribute": "for an attribute",
}


_UNFIT = {
    "call": "does not fit",
    "override": "does not fit its base class in",
    "unused_override": "overrides nothing in",
    "super_call": "calls a method that the base class does not have in",
    "abstract_class": "has abstract methods in",
}


class BrokenRange(NamedTuple):
    """Consecutive releases in which a reference breaks for the same reason."""

    first: str
    last: str
    cause: "Cause"
    reason: str
    """One sentence for people."""
    successor: Successor | None

    @property
    def text(self) -> str:
        """The releases as text: `0.9.0`, or `0.9.0..0.9.2`."""
        return range_text((self.first, self.last))


class Finding(NamedTuple):
    """One reference that breaks in some releases, or is worth a note."""

    path: str
    line: int
    """From 1; in a notebook, counted over the code of all cells."""
    column: int
    """From 1, in characters."""
    end_line: int
    end_column: int
    """The first column after the reference."""
    rule: str
    package: str
    """Empty for CPT000, as is the statement."""
    statement: str
    """The reference as an import statement or a dotted path."""
    status: Status | None
    broken_in: tuple[tuple[str, str], ...]
    """First and last release of each range in which the reference breaks."""
    broken_ranges: tuple[BrokenRange, ...]
    """The same releases, apart where cause or successor differ."""
    broken: int
    """Number of these releases."""
    form: str
    function: str | None = None
    """The function that contains the reference and fails when it is called."""
    code: str = ""
    """The source line on which the reference begins."""
    safety: "Safety | None" = None
    """Whether the fix is safe; None if there is no fix."""
    cell: tuple[int, int] | None = None
    """For a notebook: the number of the cell and the line in it."""
    unread: str = ""
    """For CPT000: why the file or cell cannot be read or parsed."""

    @property
    def level(self) -> str:
        """`error`, `warning` or `note`; an override that nothing calls any more is a warning."""
        return "warning" if self.form == "unused_override" else LEVELS[self.rule]

    @property
    def successor(self) -> Successor | None:
        """What to write in the newest of the releases."""
        return self.broken_ranges[-1].successor if self.broken_ranges else None

    @property
    def releases(self) -> str:
        """The broken releases as text."""
        return ", ".join(map(range_text, self.broken_in))

    def message(self) -> str:
        """Return the finding in one line."""
        what = {
            "CPT001": "is missing",
            "CPT002": "is a placeholder",
            "CPT003": "is available only with another package",
        }
        if self.rule == "CPT000":
            return f"the {'cell' if self.cell else 'file'} was not checked: {self.unread}"
        if self.rule == "CPT004":
            what_it_is = self.status if self.status == "dynamic" else "private"
            return f"{self.statement}: {what_it_is}; it may change without notice"
        if self.rule in ("CPT007", "CPT008"):
            return self._setting()
        if self.rule == "CPT009":
            return f"{self.statement}, used {_USES[self.form]}, is no class in {self.package} {self.releases}"
        where = f" (in {self.function})" if self.function else ""
        if self.rule in ("CPT005", "CPT006"):
            reason = self.broken_ranges[-1].reason if self.broken_ranges else ""
            return f"{self.statement} {_UNFIT[self.form]} {self.package} {self.releases}{where}" + (
                f": {reason}" if reason else ""
            )
        text = f"{self.statement} {what[self.rule]} in {self.package} {self.releases}{where}"
        if self.broken_ranges and self.broken_ranges[-1].reason.startswith(REFUSES):
            text += f": {self.broken_ranges[-1].reason}"
        successor = self.successor
        return f"{text}; use {successor.statement}{successor.doubt}" if successor else text

    def _setting(self) -> str:
        """Return the finding for a variable or an option in one line."""
        where = f"{self.package} {self.releases}"
        reason = f": {self.broken_ranges[-1].reason}" if self.broken_ranges else ""
        if self.rule == "CPT007":
            return f"{self.statement} is read by no code of {where}{reason}"
        program, _, option = self.statement.rpartition(" ")
        return f"{program} has no option {option} in {where}{reason}"

    def as_document(self) -> dict[str, Any]:
        """Return the finding as an object of the JSON document."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
            "rule": self.rule,
            "level": self.level,
            "package": self.package or None,
            "import": self.statement or None,
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
                    "replacement": _successor(release_range.successor),
                }
                for release_range in self.broken_ranges
            ],
            "replacement": _successor(self.successor),
            "fixable": self.safety == "safe",
            "safety": self.safety,
            "message": self.message(),
        }


def unread_finding(
    path: str,
    reason: str,
    *,
    line: int = 1,
    column: int = 1,
    code: str = "",
    cell: tuple[int, int] | None = None,
) -> Finding:
    """Return the finding for a file or cell that cannot be read or parsed.

    Args:
        path: the file.
        reason: why not.
        line: the line of the error.
        column: the column of the error.
        code: the text of that line.
        cell: for a cell of a notebook, its number and the line in it.
    """
    return Finding(
        path=path,
        line=line,
        column=column,
        end_line=line,
        end_column=column + 1,
        rule="CPT000",
        package="",
        statement="",
        status=None,
        broken_in=(),
        broken_ranges=(),
        broken=0,
        form="cell" if cell else "file",
        code=code,
        cell=cell,
        unread=reason,
    )


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
        "kinds": None if successor.same_kind else {"old": successor.old_kind, "new": successor.kind},
        "safety": successor.safety,
        "signatures": None if successor.same_call else [each._asdict() for each in successor.call_changes],
    }


class Report(NamedTuple):
    """The findings of a scan, and what was scanned."""

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    """Files and folders that were not read, and why."""
    release_sets: "tuple[ReleaseSet, ...]"
    files: int
    """Number of source files."""
    parsed: int
    """Number of files that mention one of the packages, and were checked."""
    refused: tuple[tuple[str, str], ...] = ()
    """The packages and releases that the tree itself refuses; only in a scan for the releases that fit."""
    fits: "tuple[Fit, ...]" = ()
    """The releases that the tree fits, where that is worth saying."""
    changes: "tuple[Change, ...]" = ()
    """For two releases that are compared: what changed of what the tree uses, and does not break."""
