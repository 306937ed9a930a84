"""JUnit XML: one suite, a test case for each file with findings, or one that passed."""

from itertools import groupby
from xml.etree import ElementTree as ET

from compat.scan.findings import Report
from compat.scan.options import ScanOptions

_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32)), "�")


def render(report: Report, _options: ScanOptions) -> str:
    """Return the report as XML."""
    told = [finding for finding in report.findings if finding.level != "note"]
    cases = max(1, len(told))
    root = ET.Element("testsuites")
    suite = ET.SubElement(
        root,
        "testsuite",
        name="compat scan",
        tests=str(cases),
        failures=str(len(told)),
        errors="0",
        skipped="0",
    )
    if not told:
        ET.SubElement(suite, "testcase", classname="compat.scan", name="no findings", time="0")
    for path, findings in groupby(told, key=lambda finding: finding.path):
        for finding in findings:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=_clean(path),
                name=_clean(f"{finding.line}:{finding.column} {finding.rule} {finding.statement}"),
                time="0",
            )
            failure = ET.SubElement(case, "failure", type=finding.rule, message=_clean(finding.message()))
            failure.text = _clean(f"{path}:{finding.line}:{finding.column}: {finding.message()}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def _clean(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return text.translate(_CONTROL).encode("utf-8", "replace").decode()
