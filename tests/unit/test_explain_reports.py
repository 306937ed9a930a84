"""Diagnoses of short texts in the form in which people paste them into public reports."""

import sys
from typing import Any

import pytest

from compat.explain.engine import explain
from failures import CORPUS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPORTS: list[dict[str, Any]] = tomllib.loads((CORPUS / "reports.toml").read_text(encoding="utf-8"))["report"]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: str(report["id"]))
def test_a_report_is_diagnosed(report: dict[str, Any]) -> None:
    found = explain(report["text"])
    first = found[0]
    keys = ("cause", "package", "version", "module", "symbol")
    assert {key: getattr(first, key) for key in keys} == {key: report.get(key) for key in keys}
    told = f"{first.fix.text} {first.fix.command}"
    if first.cause == "unknown":
        assert (first.fix.kind, first.fix.command, first.fix.statement) == ("none", None, None)
    else:
        assert report["fix"] in told
    assert len(found) == 1


def test_every_report_has_a_name_and_a_source() -> None:
    assert len({report["id"] for report in REPORTS}) == len(REPORTS)
    assert all(report["like"].count("/") == 1 and "#" in report["like"] for report in REPORTS)
