"""The answers of the tools as text: short, because an agent pays for each word, and with their evidence."""

from collections.abc import Iterator, Sequence

from compat._cli.printable import printable
from compat._cli.text import counted, listed
from compat.index.reader import Index
from compat.model.release_ranges import range_text
from compat.model.symbols import location
from compat.partners.clashes import Clash
from compat.partners.overrides import choose
from compat.partners.ranking import Partner
from compat.partners.ranking_output import about, broken_text
from compat.requirements.release_requirements import ReleaseRequirements
from compat.resolve.output import Result
from compat.resolve.suggestions import hint
from compat.scan.findings import Finding, Report

MOST_LINES = 30
"""Most lines of an answer."""
MOST_FINDINGS = 20


def resolved(results: Sequence[Result], index: Index, notes: Sequence[str]) -> str:
    """Return where a name is: per release its status, what to import, and why."""
    lines = [*notes]
    for result in results:
        lines += _resolved(result, index)
    return shortened("\n".join(map(printable, lines)))


def _resolved(result: Result, index: Index) -> Iterator[str]:
    found, query = result.found, result.query
    versions = range_text((result.subjects[0].version, result.subjects[-1].version))
    status, _, statement, remarks = result.summary
    what = query.name if query.module is None else location(query.module, query.name)
    yield f"{result.package} {versions}: {what}: {status}"
    if statement != "-":
        new = found.successor
        yield f"use: {statement}" + (f" ({new.safety})" if new and result.failed else "")
    if remarks:
        yield f"evidence: {remarks}"
    if not result.failed:
        return
    module, _, name = query.name.rpartition(".") if query.dotted else (query.module or "", "", query.name)
    ranges = index.bound_ranges(module, name, result.package) if module and name else []
    known = index.versions(result.package)
    if ranges:
        texts = [range_text((known[first], known[last])) for first, last in _joined(ranges)]
        yield f"it was there in {listed(texts, 3)}"
    elif module and name:
        yield f"no release of {result.package} has had {location(module, name)}"
    if found.successor is not None:
        for change in found.successor.call_changes[:2]:
            yield f"call: was {change.method}{change.old}, is {change.method}{change.new}"
    elif status == "missing":
        yield "gone: no successor is known" if ranges else hint(name) or "no name of the index is similar"


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges with those joined that follow each other."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and found[-1][1] + 1 == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def scanned(report: Report) -> str:
    """Return the findings of a scan, one per paragraph: where, what, and what to write instead."""
    findings = [each for each in report.findings if each.level != "note"]
    releases = ", ".join(
        f"{each.package} {range_text((each.versions[0], each.versions[-1]))}" for each in report.release_sets
    )
    head = f"{counted(len(findings), 'finding')} in {counted(report.files, 'file')}"
    lines = [f"{head}, checked against {releases}" if releases else head]
    for finding in findings[:MOST_FINDINGS]:
        lines += _finding(finding)
    if len(findings) > MOST_FINDINGS:
        lines.append(f"and {len(findings) - MOST_FINDINGS} more: scan fewer files at a time")
    lines += [f"not checked: {each.path}: {each.reason}" for each in report.skipped]
    return "\n".join(map(printable, lines))


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.path}:{finding.line}: {finding.rule} {finding._replace(broken_ranges=()).message()}"
    for each in finding.broken_ranges:
        new = each.successor
        if new is None:
            yield f"  {each.text}: {each.cause}: {each.reason}"
        else:
            yield f"  {each.text}: use: {new.statement} ({new.safety}; {new.evidence})"


def paired(
    sglang: ReleaseRequirements,
    vllm: ReleaseRequirements,
    clashes: Sequence[Clash],
    partner: Partner | None,
) -> str:
    """Return what two releases require, the overrides with which they go together, and what breaks."""
    lines = [about(sglang.summary), about(vllm.summary)]
    lines += [f"override: {choose(clash)} ({'; '.join(map(str, clash.sides))})" for clash in clashes]
    lines += [] if clashes else ["their requirements do not exclude each other"]
    if partner is not None:
        lines += [f"cannot start together: {partner.problem}"] if partner.problem else []
        lines += [broken_text(partner)] if partner.broken else []
    pair = f"{sglang.release.version} {vllm.release.version}"
    return "\n".join(map(printable, [*lines, f'"compat pairs {pair}" resolves what these require in turn']))


def shortened(text: str) -> str:
    """Return the first lines of a text, and how many were left out."""
    lines = text.split("\n")
    if len(lines) <= MOST_LINES:
        return text
    return "\n".join([*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES} more lines"])


def cut(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters, and how many were left out."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… and {len(text) - longest} more characters"
