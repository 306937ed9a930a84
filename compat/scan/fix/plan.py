"""From findings to edits: which import is to be written in the place of which, or why none is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from compat.scan.findings import Finding, Successor
from compat.scan.report import Releases


class Target(NamedTuple):
    """One place to import a name from."""

    module: str
    name: str


class Edit(NamedTuple):
    """A name of an import statement that has to come from elsewhere."""

    line: int
    column: int
    """Of the name, as `Finding` counts."""
    targets: tuple[Target, ...]
    """Where it is, the newest release first; empty where it was. One: the import is rewritten; more: they
    are tried in turn."""
    releases: str
    """Which of them have it where: names that agree on this may share a statement."""


class Refusal(NamedTuple):
    """A finding that is not changed, and why."""

    finding: Finding
    reason: str


def planned(
    findings: Iterable[Finding], spans: Sequence[Releases]
) -> tuple[dict[str, list[Edit]], list[Refusal]]:
    """Return the edits, file by file, and the findings that have none."""
    counts = {span.package: len(span.versions) for span in spans}
    edits: dict[str, list[Edit]] = {}
    refused: list[Refusal] = []
    for finding in findings:
        if finding.level == "note":
            continue
        reason = refusal(finding)
        if reason:
            refused.append(Refusal(finding, reason))
            continue
        edits.setdefault(finding.path, []).append(
            Edit(
                finding.line,
                finding.column,
                _targets(finding, counts),
                " ".join(run.text for run in finding.runs),
            )
        )
    return edits, refused


def refusal(finding: Finding) -> str:
    """Return why a finding is not changed; empty when it can be."""
    if finding.cell is not None:
        return "it stands in a notebook"
    if finding.rule != "CPT001" or finding.form not in ("from", "import"):
        return "only imports of what is missing are changed"
    if any(run.replacement is None for run in finding.runs):
        return "nothing is known to take its place in " + ", ".join(
            run.text for run in finding.runs if run.replacement is None
        )
    if not all(run.replacement and run.replacement.same_call for run in finding.runs):
        return "it is called differently there; see what changed with `compat resolve NAME --signature`"
    if not all(run.replacement and run.replacement.certain for run in finding.runs):
        return "what has its name there may be another thing"
    return ""


def _target(new: Successor) -> Target:
    """Return the place as a `from` import names it, a module in its package."""
    if new.name:
        return Target(new.module, new.name)
    parent, _, last = new.module.rpartition(".")
    return Target(parent, last)


def _targets(finding: Finding, counts: Mapping[str, int]) -> tuple[Target, ...]:
    """Return where to import from: the new places, and the old one when some release still has it."""
    new = [_target(run.replacement) for run in reversed(finding.runs) if run.replacement is not None]
    targets = list(dict.fromkeys(new))
    if finding.broken < counts[finding.package]:
        targets.append(Target("", ""))
    return tuple(targets)
