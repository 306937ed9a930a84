"""Judge the releases of a package from the findings of a scan: which ones the code works with."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from compat._cli.text import counted
from compat.errors import UsageError
from compat.index.reader import Index
from compat.scan.findings import BrokenRange, Finding
from compat.scan.fits import broken_versions, fails, finding_counts
from compat.scan.fix.edits import fix_safety, lost_class, used_as_classes
from compat.scan.formats.text_ import cause_text
from compat.scan.releases.selection import newest_indexes
from compat.upgrade.steps import EFFORTS, Blocker, Effort, PackageUpgrade


class Start(NamedTuple):
    """The release of a package from which an upgrade starts."""

    package: str
    version: str
    source: str


def starting_release(
    index: Index, package: str, findings: Iterable[Finding], pinned: Sequence[str], source: str
) -> Start:
    """Return the newest release with the fewest findings, of those that the project pins.

    Args:
        index: the index of releases.
        package: the package.
        findings: the findings in all releases.
        pinned: the releases that the project pins; empty if it pins none.
        source: where it does.
    """
    versions = index.versions(package)
    mine = [each for each in findings if each.package == package and fails(each)]
    counts = dict(zip(versions, finding_counts(versions, mine), strict=True))
    final = [versions[at] for at in newest_indexes(versions, len(versions))]
    candidates = [each for each in final if each in set(pinned)] or list(pinned) or final
    fewest = min(counts[each] for each in candidates)
    best = [each for each in candidates if counts[each] == fewest][-1]
    told = counted(fewest, "finding") if fewest else "no findings"
    return Start(package, best, source or f"not pinned; the newest release with {told}")


def steps_between(index: Index, start: Start, target: str) -> list[str]:
    """Return the releases from the start to the target, pre-releases between them included.

    A checkout or build stands after the release that it is nearest to.

    Raises:
        UsageError: the target is older than the start.
    """
    package = start.package
    versions = index.versions(package)
    first, last = versions.index(start.version), versions.index(target)
    begin, end = index.nearest(package, first), index.nearest(package, last)
    if end < begin:
        told = f"{target} is" if end == last else f"{target}, nearest to {versions[end]}, is"
        raise UsageError(f"--to: {package} {told} older than {start.version}, the start")
    between = range(begin + 1, end + 1)
    return [versions[at] for at in dict.fromkeys((first, *between, last))]


def assess(index: Index, start: Start, steps: Sequence[str], findings: Iterable[Finding]) -> PackageUpgrade:
    """Return how far the code can go with a package.

    Args:
        index: the index of releases.
        start: today's release.
        steps: the releases from today's to the target, which were scanned.
        findings: the findings in these releases.
    """
    known = index.versions(start.package)
    scanned = sorted(steps, key=known.index)  # as the findings tell them
    final = {known[at] for at in newest_indexes(known, len(known))}
    versions = [each for each in steps if each in final or each in (steps[0], steps[-1])]
    mine = [each for each in findings if each.package == start.package and fails(each)]
    classes = used_as_classes(mine)
    broken = [
        (each, [version for version in broken_versions(scanned, each) if version in versions])
        for each in mine
    ]
    new = [(finding, where) for finding, where in broken if start.version not in where]
    counts: dict[str, dict[Effort, int]] = {version: dict.fromkeys(EFFORTS, 0) for version in versions}
    for finding, where in new:
        for version in where:
            counts[version][effort_of(finding, version, scanned, classes)] += 1
    target = versions[-1]
    return PackageUpgrade(
        package=start.package,
        current=start.version,
        source=start.source,
        standing=len(broken) - len(new),
        versions=tuple(versions),
        counts=counts,
        blockers=tuple(_blockers([each for each in new if target in each[1]], scanned, target, classes)),
    )


def effort_of(
    finding: Finding, version: str, versions: Sequence[str], classes: frozenset[tuple[str, str]]
) -> Effort:
    """Return the work that a finding takes in one release.

    Args:
        finding: the finding.
        version: the release.
        versions: the releases that were scanned.
        classes: what files use as classes where it is a function.
    """
    at = _range_at(finding, version, versions)
    if at is None:
        return "by hand"
    here = finding._replace(broken_ranges=(at,))
    safety = None if lost_class(here, classes) else fix_safety(here)
    return "by hand" if safety is None else "safe fix" if safety == "safe" else "unsafe fix"


def _range_at(finding: Finding, version: str, versions: Sequence[str]) -> BrokenRange | None:
    here = versions.index(version)
    for each in finding.broken_ranges:
        if versions.index(each.first) <= here <= versions.index(each.last):
            return each
    return None


def _blockers(
    found: Iterable[tuple[Finding, list[str]]],
    versions: Sequence[str],
    target: str,
    classes: frozenset[tuple[str, str]],
) -> Iterator[Blocker]:
    """Yield the findings in the target, grouped by cause: the least work first, then the most places."""
    groups: dict[tuple[str, str, Effort, str, str | None], list[tuple[Finding, list[str]]]] = {}
    for finding, where in found:
        at = _range_at(finding, target, versions)
        successor = at.successor.statement if at and at.successor else None
        reason = cause_text(finding, at) if at else finding.message().removeprefix(f"{finding.statement} ")
        key = (
            finding.rule,
            finding.statement,
            effort_of(finding, target, versions, classes),
            reason,
            successor,
        )
        groups.setdefault(key, []).append((finding, where))
    order = sorted(groups.items(), key=lambda item: (EFFORTS.index(item[0][2]), -len(item[1]), item[0][1]))
    for (rule, statement, effort, reason, successor), group in order:
        yield Blocker(
            rule=rule,
            statement=statement,
            effort=effort,
            reason=reason,
            replacement=successor,
            since=min((where[0] for _, where in group), key=versions.index),
            places=tuple((each.path, each.line) for each, _ in group),
        )
