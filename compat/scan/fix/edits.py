"""Plan the edits for findings: which import replaces which, or why a finding cannot be fixed."""

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from compat.index.records import Successor
from compat.model.safety import Safety
from compat.scan.findings import Finding
from compat.scan.releases.index_lookup import ReleaseSet


class Target(NamedTuple):
    """A module and a name to import from it."""

    module: str
    name: str


class Edit(NamedTuple):
    """A name in an import statement that has to be imported from elsewhere."""

    line: int
    column: int
    """The column of the name, from 1, in characters."""
    targets: tuple[Target, ...]
    """Where to import the name from, the newest release first; an empty target is the old import. A single
    target replaces the import; several are tried in turn."""
    releases: str
    """The broken release ranges, as text: names with the same ranges may share a statement."""
    old: Target
    """The current import; the name is empty for a module."""
    package: str
    since: tuple[str, ...] = ()
    """For each target but the last, the first release in which to use it; empty if there is no order."""
    inside: bool = False
    """Whether the import is inside a function."""


class Refusal(NamedTuple):
    """A finding that cannot be fixed, with the reason."""

    finding: Finding
    reason: str


def plan_edits(
    findings: Sequence[Finding], release_sets: Sequence[ReleaseSet], *, unsafe: bool
) -> tuple[dict[str, list[Edit]], list[Refusal]]:
    """Return the edits, by file, and the findings that are not fixed.

    Args:
        findings: the findings of the scan.
        release_sets: the scanned releases.
        unsafe: whether to write unsafe fixes as well.
    """
    versions = {each.package: each.versions for each in release_sets}
    classes = used_as_classes(findings)
    edits: dict[str, list[Edit]] = {}
    refused: list[Refusal] = []
    for finding in findings:
        if finding.level == "note":
            continue
        reason = refusal(finding) or lost_class(finding, classes)
        if not unsafe:
            reason = reason or unsafe_because(finding)
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


def fix_safety(finding: Finding) -> Safety | None:
    """Return whether the fix of a finding is safe; None if it has no fix."""
    if finding.level == "note" or refusal(finding):
        return None
    return "unsafe" if unsafe_because(finding) else "safe"


def refusal(finding: Finding) -> str:
    """Return why a finding cannot be fixed; empty if it can."""
    if finding.rule == "CPT000":
        return finding.message()
    if finding.cell is not None:
        return "notebooks are not rewritten"
    if finding.rule != "CPT001" or finding.form not in ("from", "import"):
        return "only imports of missing names and modules are rewritten"
    if any(each.successor is None for each in finding.broken_ranges):
        return "no successor is known in " + ", ".join(
            each.text for each in finding.broken_ranges if each.successor is None
        )
    return ""


def unsafe_because(finding: Finding) -> str:
    """Return why the fix of a finding is unsafe; empty if it is safe."""
    for each in finding.broken_ranges:
        new = each.successor
        if new is None or new.safety == "safe":
            continue
        if not new.same_kind:
            return f"unsafe: a {new.old_kind} became a {new.kind}"
        if not new.same_call:
            return "unsafe: the successor has another signature; the report shows both"
        if not new.certain:
            return "unsafe: the successor has the same name, but may be a different object"
        return f"unsafe: the successor is a guess with a confidence of {new.confidence:.2f}"
    return ""


def used_as_classes(findings: Iterable[Finding]) -> frozenset[tuple[str, str]]:
    """Return the files, each with a dotted path that it uses as a class and that is a function."""
    return frozenset((each.path, each.statement) for each in findings if each.rule == "CPT009")


def lost_class(finding: Finding, classes: Container[tuple[str, str]]) -> str:
    """Return why even an unsafe fix is not written: the code uses as a class what became a function."""
    if not any(each.successor and each.successor.became_function for each in finding.broken_ranges):
        return ""
    old = _old(finding)
    used = (finding.path, f"{old.module}.{old.name}") in classes
    return f"{old.name} is used as a class, and became a function" if used else ""


def _old(finding: Finding) -> Target:
    """Return the module and name that a finding's statement imports."""
    words = finding.statement.split()
    return Target(words[1], words[3] if words[0] == "from" else "")


def _target(new: Successor) -> Target:
    """Return a successor as the module and name of a `from` import; a module is a name in its package."""
    if new.name:
        return Target(new.module, new.name)
    parent, _, last = new.module.rpartition(".")
    return Target(parent, last)


def _targets(finding: Finding, count: int) -> tuple[Target, ...]:
    """Return the targets, newest first; the last is the old import if it works in some release."""
    new = [_target(each.successor) for each in reversed(finding.broken_ranges) if each.successor is not None]
    targets = list(dict.fromkeys(new))
    if finding.broken < count:
        targets.append(Target("", ""))
    return tuple(targets)


def _since(finding: Finding, targets: tuple[Target, ...], versions: Sequence[str]) -> tuple[str, ...]:
    """Return the first release of each target but the last, if each target has one range of releases."""
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
        target = _target(found.successor) if found and found.successor else Target("", "")
        if not where or where[-1][0] != target:
            where.append((target, version))
    if tuple(target for target, _ in reversed(where)) != targets:
        return ()
    return tuple(version for _, version in reversed(where[1:]))
