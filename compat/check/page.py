"""The report of `compat check` as an HTML page: each root cause with what breaks and what mends it."""

from collections.abc import Iterator, Sequence

from compat._cli.html_page import notes, report_page
from compat._cli.printable import html
from compat._cli.text import counted
from compat.check.finding_texts import CollisionText, FindingText
from compat.check.findings import CheckReport


def as_html(report: CheckReport, findings: Sequence[FindingText | CollisionText]) -> str:
    """Return the report as one self-contained HTML page."""
    versions, assumed = report.environment.versions, report.environment.assumed
    facts = {
        "checked": ", ".join(f"{name} {version}" for name, version in report.releases.items()),
        "python": report.environment.python,
        "given": ", ".join(
            f"{name} {version}"
            for name, version in sorted(versions.items())
            if name not in assumed and name not in report.releases
        ),
    }
    left_out = [f"{name} ({count})" for name, count in report.optional.items()]
    remark = f"modules that need what nothing requires are left out: {', '.join(left_out)}"
    body = [
        *(line for each in findings for line in _finding(each)),
        *notes([*([remark] if left_out else []), *report.notes]),
        *_assumed([f"{name} {versions[name]}" for name in sorted(assumed)]),
    ]
    count = counted(len(findings), "finding") if findings else "everything can be imported"
    return report_page(f"compat check: {count}", facts, body)


def _finding(finding: FindingText | CollisionText) -> Iterator[str]:
    yield f'<section><h2>{html(finding.headline)} <span class="badge bad">{html(finding.cause)}</span></h2>'
    yield f"<p><code>{html(finding.place)}</code></p><ul>"
    yield from (f"<li>{html(line)}</li>" for line in finding.details)
    yield "</ul></section>"


def _assumed(releases: Sequence[str]) -> Iterator[str]:
    """Yield the releases that nobody named, which were taken as the newest that metadata admits."""
    if releases:
        head = f"{counted(len(releases), 'release')} assumed, the newest that metadata admits"
        yield f"<details><summary>{head}</summary><p>{html(', '.join(releases))}</p></details>"
