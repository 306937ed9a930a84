"""Find the releases that a tree fits: those in which it has the fewest findings."""

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from compat.model.release_ranges import ranges_of
from compat.scan.findings import LEVELS, Finding, Report
from compat.scan.options import ScanOptions
from compat.scan.prefilter.mentions import imported_tops
from compat.scan.release_facts import Fit
from compat.scan.releases.selection import newest_indexes
from compat.scan.sources.discovery import Files

_UNCOUNTED = frozenset({"CPT007", *(rule for rule, level in LEVELS.items() if level != "error")})
"""The rules whose findings do not count."""
_STARTED = re.compile(
    rb"\b(vllm)(?:[ \t]+serve\b|\.entrypoints\b|-openai:)|\b(sglang)(?:[ \t]+serve\b|\.launch_server\b)"
)
"""A server on a command line."""
_OWNER = {"vllm": "vllm", "sglang": "sglang", "sgl_kernel": "sglang"}


def fails(finding: Finding) -> bool:
    """Return whether code with a finding fails, so that it says something about the release to use.

    Warnings and notes do not count, nor does a variable that a release does not read: code that supports
    several releases sets it for some of them.
    """
    return finding.level == "error" and finding.rule not in _UNCOUNTED


def asked_packages(report: Report, used: Iterable[str]) -> dict[str, str]:
    """Return the packages whose fits are worth saying, each with the newest release of the scan.

    They are those that have findings, or whose releases no pin selects.
    """
    found = {each.package for each in report.findings if fails(each)}
    return {
        each.package: each.versions[-1]
        for each in report.release_sets
        if each.package in found or (each.package in used and not each.pinned)
    }


def with_every_release(options: ScanOptions, packages: Iterable[str]) -> ScanOptions:
    """Return the options for a scan of all releases of some packages, without causes."""
    return options._replace(
        sglang=("all" if "sglang" in packages else "latest",),
        vllm=("all" if "vllm" in packages else "latest",),
        causes=False,
        fits=False,
    )


def for_fits(options: ScanOptions, packages: Iterable[str]) -> ScanOptions:
    """Return the options for a scan of all releases of some packages that finds only what counts."""
    return with_every_release(options, packages)._replace(
        packages=tuple(packages), select=options.select - _UNCOUNTED, refused=True
    )


def fit_of(
    package: str,
    versions: Sequence[str],
    findings: Iterable[Finding],
    judged: str,
    refused: Collection[tuple[str, str]] = (),
) -> Fit:
    """Return the releases with the fewest findings, of those that the tree does not refuse.

    Args:
        package: the package.
        versions: all its releases.
        findings: the findings in all releases.
        judged: the release to compare with.
        refused: the packages and releases that the tree refuses; if it refuses all, that does not count.
    """
    mine = [each for each in findings if each.package == package and fails(each)]
    counts = finding_counts(versions, mine)
    final = newest_indexes(versions, len(versions))
    admitted = {at for at in final if (package, versions[at]) not in refused}
    candidates = admitted or set(final)
    fewest = min(counts[at] for at in candidates)
    best = [number for number, at in enumerate(final) if at in candidates and counts[at] == fewest]
    fitting = {versions[final[number]] for number in best}
    ranges = ranges_of(best)
    return Fit(
        package,
        tuple((versions[final[first]], versions[final[last]]) for first, last in ranges),
        fewest,
        judged,
        counts[versions.index(judged)],
        len({each.statement for each in mine if not fitting <= set(broken_versions(versions, each))}),
        judged_fits=judged in fitting,
        judged_refused=bool(admitted) and (package, judged) in refused,
    )


def finding_counts(versions: Sequence[str], findings: Iterable[Finding]) -> list[int]:
    """Return the number of findings in each release."""
    counts = dict.fromkeys(versions, 0)
    for finding in findings:
        for version in broken_versions(versions, finding):
            counts[version] += 1
    return list(counts.values())


def broken_versions(versions: Sequence[str], finding: Finding) -> Iterator[str]:
    """Yield the releases in which a finding breaks, of those that were scanned."""
    for first, last in finding.broken_in:
        yield from versions[versions.index(first) : versions.index(last) + 1]


def used_packages(candidates: Iterable[str], store: Files) -> set[str]:
    """Return the packages that the candidate files import."""
    found: set[str] = set()
    for path in candidates:
        with contextlib.suppress(OSError):
            found.update(_OWNER[top] for top in imported_tops(store.read(path)))
        if len(found) == len(set(_OWNER.values())):
            break
    return found


def started_packages(texts: Iterable[str], store: Files) -> set[str]:
    """Return the packages whose servers the scripts and configuration files start."""
    found: set[str] = set()
    for path in texts:
        with contextlib.suppress(OSError):
            for match in _STARTED.finditer(store.read(path)):
                found.add((match[1] or match[2]).decode())
    return found
