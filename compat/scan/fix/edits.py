"""From findings to edits: which import is to be written in the place of which, or why none is."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from compat.scan.findings import Finding, Releases, Successor


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
    old: Target
    """What is imported now; a module has no name."""
    package: str
    since: tuple[str, ...] = ()
    """The release from which each target but the last is to be taken; empty when it is not so simple."""
    inside: bool = False
    """Whether it stands in a function."""


class Refusal(NamedTuple):
    """A finding that is not changed, and why."""

    finding: Finding
    reason: str


def planned(
    findings: Iterable[Finding], release_sets: Sequence[Releases]
) -> tuple[dict[str, list[Edit]], list[Refusal]]:
    """Return the edits, file by file, and the findings that have none."""
    versions = {each.package: each.versions for each in release_sets}
    edits: dict[str, list[Edit]] = {}
    refused: list[Refusal] = []
    for finding in findings:
        if finding.level == "note":
            continue
        reason = refusal(finding)
        if reason:
            refused.append(Refusal(finding, reason))
            continue
        targets = _targets(finding, len(versions[finding.package]))
        edits.setdefault(finding.path, []).append(
            Edit(
                finding.line,
                finding.column,
                targets,
                " ".join(each.text for each in finding.broken_ranges),
                _old(finding),
                finding.package,
                _since(finding, targets, versions[finding.package]),
                inside=finding.function is not None,
            )
        )
    return edits, refused


def refusal(finding: Finding) -> str:
    """Return why a finding is not changed; empty when it can be."""
    if finding.cell is not None:
        return "it stands in a notebook"
    if finding.rule != "CPT001" or finding.form not in ("from", "import"):
        return "only imports of what is missing are changed"
    if any(each.replacement is None for each in finding.broken_ranges):
        return "nothing is known to take its place in " + ", ".join(
            each.text for each in finding.broken_ranges if each.replacement is None
        )
    if not all(each.replacement and each.replacement.same_call for each in finding.broken_ranges):
        return "it is called differently there; see what changed with `compat resolve NAME --signature`"
    if not all(each.replacement and each.replacement.certain for each in finding.broken_ranges):
        return "what has its name there may be another thing"
    return ""


def _old(finding: Finding) -> Target:
    """Return what a finding's import asks for."""
    words = finding.statement.split()
    return Target(words[1], words[3] if words[0] == "from" else "")


def _target(new: Successor) -> Target:
    """Return the place as a `from` import names it, a module in its package."""
    if new.name:
        return Target(new.module, new.name)
    parent, _, last = new.module.rpartition(".")
    return Target(parent, last)


def _targets(finding: Finding, count: int) -> tuple[Target, ...]:
    """Return where to import from: the new places, and the old one when some release still has it."""
    new = [
        _target(each.replacement) for each in reversed(finding.broken_ranges) if each.replacement is not None
    ]
    targets = list(dict.fromkeys(new))
    if finding.broken < count:
        targets.append(Target("", ""))
    return tuple(targets)


def _since(finding: Finding, targets: tuple[Target, ...], versions: Sequence[str]) -> tuple[str, ...]:
    """Return the first release of each target but the last, when each has the releases up to the next."""
    where: list[tuple[Target, str]] = []
    for at, version in enumerate(versions):
        found = next(
            (
                each
                for each in finding.broken_ranges
                if versions.index(each.first) <= at <= versions.index(each.last)
            ),
            None,
        )
        target = _target(found.replacement) if found and found.replacement else Target("", "")
        if not where or where[-1][0] != target:
            where.append((target, version))
    if tuple(target for target, _ in reversed(where)) != targets:
        return ()
    return tuple(version for _, version in reversed(where[1:]))
