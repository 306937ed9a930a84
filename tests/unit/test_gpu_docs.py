"""The tables of docs/quant.md are those of the data."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from gpu_table import EXACT, read, tables  # noqa: E402 -- a script's folder is no package


def test_the_page_says_what_was_measured() -> None:
    page = (ROOT / "docs" / "quant.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in tables() if line and line not in page] == []


def test_no_record_failed_and_each_refusal_has_its_reason() -> None:
    records = read(EXACT)["records"]
    assert {each["outcome"] for each in records} == {"passed", "refused"}
    assert [each for each in records if each["outcome"] == "refused" and len(each["reason"]) < 40] == []
