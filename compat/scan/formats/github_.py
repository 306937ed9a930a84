"""Write a report as annotations of GitHub Actions: workflow commands with escaped text."""

from compat._cli.printable import github_message, github_property
from compat.scan.findings import Report
from compat.scan.options import ScanOptions

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: Report, _options: ScanOptions) -> str:
    """Return the report as one workflow command per finding."""
    lines = [
        f"::{_COMMANDS[finding.level]} file={github_property(finding.path)},line={finding.line},"
        f"endLine={finding.end_line},col={finding.column},endColumn={finding.end_column},"
        f"title={github_property(f'compat {finding.rule}')}::{github_message(finding.message())}"
        for finding in report.findings
    ]
    return "\n".join([*lines, *(f"::notice title=compat scan::{each.text}" for each in report.fits)])
