"""Write a report as SARIF 2.1.0 (OASIS) for code-scanning services."""

import hashlib
import json
import re
from typing import Any
from urllib.parse import quote

from compat import __version__
from compat.scan.findings import LEVELS, RULES, Finding, Report
from compat.scan.options import ScanOptions

_DRIVE = re.compile(r"[A-Za-z]:/")
"""The start of an absolute path on Windows."""
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(report: Report, _options: ScanOptions) -> str:
    """Return the report as one SARIF run."""
    rules = [
        {
            "id": code,
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": LEVELS[code]},
        }
        for code, text in RULES.items()
    ]
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "compat scan", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in report.findings],
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {
                        "level": "warning",
                        "message": {"text": each.reason},
                        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(each.path)}}}],
                    }
                    for each in report.skipped
                ],
            }
        ],
    }
    if report.fits:
        run["properties"] = {"fits": [each.as_document() for each in report.fits]}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, sort_keys=True)


def _result(finding: Finding) -> dict[str, Any]:
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }
    identity = f"{finding.path}:{finding.rule}:{finding.statement}"
    return {
        "ruleId": finding.rule,
        "ruleIndex": list(RULES).index(finding.rule),
        "level": finding.level,
        "message": {"text": finding.message()},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": _uri(finding.path)}, "region": region}}
        ],
        "partialFingerprints": {
            "compatScan/v1": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:16]
        },
        "properties": {"package": finding.package, "releases": finding.releases},
    }


def _uri(path: str) -> str:
    """Return a path as a relative reference, or as a `file` URI when it is absolute, such as C:/x.py."""
    drive, rest = (path[:2], path[2:]) if _DRIVE.match(path) else ("", path.removeprefix("./"))
    text = quote(rest.encode("utf-8", "surrogateescape"))
    if drive:
        return f"file:///{drive}{text}"
    return f"file://{text}" if path.startswith("/") else text
