"""The records of a scan about releases: which ones a tree fits, and what changed between two of them."""

from typing import Any, NamedTuple

from compat._cli.text import counted
from compat.model.release_ranges import range_text

_FEW = 3
"""Fewer names than these say little about the release for which a tree was written."""


class Fit(NamedTuple):
    """The releases of a package in which a tree has the fewest findings."""

    package: str
    releases: tuple[tuple[str, str], ...]
    """First and last release of each range; pre-releases do not count."""
    findings: int
    """The number of findings in each of these releases."""
    judged: str
    """The newest release of the scan."""
    judged_findings: int
    """The number of findings in that release."""
    telling: int
    """The number of names and the like that break in some other release: what the ranges rest on."""
    judged_fits: bool = False
    """Whether the newest release of the scan is one of the ranges."""
    judged_refused: bool = False
    """Whether the tree itself refuses that release."""

    @property
    def text(self) -> str:
        """The ranges in one line."""
        ranges = ", ".join(map(range_text, self.releases))
        if not self.telling:
            return f"fits {self.package} {ranges}, every indexed release alike"
        fewest = f" best ({counted(self.findings, 'finding')})" if self.findings else ""
        judged = f"; {counted(self.judged_findings, 'finding')} in {self.judged}"
        if self.judged_fits:
            judged = ""  # what is said of the ranges holds for it
        elif self.judged_refused:
            judged = f"; the code itself refuses {self.judged}"
        few = f" ({counted(self.telling, 'name')} distinguishes releases)" if self.telling == 1 else ""
        if 1 < self.telling < _FEW:
            few = f" (only {counted(self.telling, 'name')} distinguish releases)"
        return f"fits {self.package} {ranges}{fewest}{judged}{few}"

    def as_document(self) -> dict[str, Any]:
        """Return the ranges as an object of the JSON document."""
        return {
            "package": self.package,
            "releases": [{"first": first, "last": last} for first, last in self.releases],
            "findings": self.findings,
            "judged": {"version": self.judged, "findings": self.judged_findings},
            "telling": self.telling,
        }


class Change(NamedTuple):
    """A name that a tree uses, works in both releases and is not quite the same."""

    package: str
    name: str
    """The dotted path by which the tree refers to it."""
    what: tuple[str, ...]
    """What changed, one sentence each."""
    uses: int
    path: str
    line: int
    """The first use."""

    @property
    def text(self) -> str:
        """The change in one line."""
        return f"{self.name}: {'; '.join(self.what)} ({counted(self.uses, 'use')}, {self.path}:{self.line})"

    def as_document(self) -> dict[str, Any]:
        """Return the change as an object of the JSON document."""
        return {**self._asdict(), "what": list(self.what)}
