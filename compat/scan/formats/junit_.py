"""Write a report as JUnit XML: one failed test case per finding, or one passed test case."""

from xml.etree import ElementTree as ET

from compat._cli.junit import JUnitCase, junit_suite
from compat.scan.findings import Finding, Report
from compat.scan.options import ScanOptions


def render(report: Report, _options: ScanOptions) -> str:
    """Return the report as JUnit XML."""
    cases = [_case(finding) for finding in report.findings if finding.level != "note"]
    none = JUnitCase(suite="compat.scan", name="no findings")
    root = ET.Element("testsuites")
    root.append(junit_suite("compat scan", cases or [none], skipped="0"))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def _case(finding: Finding) -> JUnitCase:
    place = f"{finding.line}:{finding.column}"
    message = finding.message()
    return JUnitCase(
        suite=finding.path,
        name=f"{place} {finding.rule} {finding.statement}",
        problem="failure",
        rule=finding.rule,
        message=message,
        lines=[f"{finding.path}:{place}: {message}"],
    )
