"""Write a report as the JSON document of `compat scan`."""

from compat._cli import console
from compat.scan.findings import Report
from compat.scan.options import ScanOptions


def render(report: Report, _options: ScanOptions) -> str:
    """Return the report as JSON with sorted keys."""
    return console.document(
        "scan",
        findings=[finding.as_document() for finding in report.findings],
        skipped=[{"path": each.path, "reason": each.reason} for each in report.skipped],
        releases=[
            {"package": each.package, "versions": list(each.versions), "source": each.source}
            for each in report.release_sets
        ],
        fits=[each.as_document() for each in report.fits],
        changes=[each.as_document() for each in report.changes],
        files=report.files,
        parsed=report.parsed,
    )
