"""Annotations of GitHub Actions: workflow commands, with everything in them escaped."""

from compat.scan.findings import Report
from compat.scan.options import ScanOptions

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: Report, _options: ScanOptions) -> str:
    """Return one line for each finding."""
    return "\n".join(
        f"::{_COMMANDS[finding.level]} file={_property(finding.path)},line={finding.line},"
        f"endLine={finding.end_line},col={finding.column},endColumn={finding.end_column},"
        f"title={_property(f'compat {finding.rule}')}::{_data(finding.message())}"
        for finding in report.findings
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
