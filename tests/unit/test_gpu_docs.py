"""The tables of docs/accuracy/quant.md agree with the data in docs/results."""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from gpu_picture import HUES, pictures  # noqa: E402 -- a script's folder is no package
from gpu_table import EXACT, OTHERS, RESULTS, SPEED, read, tables  # noqa: E402 -- a script's folder is no package


def test_the_page_says_what_was_measured() -> None:
    page = (ROOT / "docs" / "accuracy" / "quant.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in tables() if line and line not in page] == []


FAILED = {"quant-h200-sglang-alone.json": 2}
"""How many records of a file failed: the page explains each."""


@pytest.mark.parametrize("name", [EXACT, *OTHERS])
def test_no_record_failed_but_those_that_the_page_explains(name: str) -> None:
    records = read(name)["records"]
    outcomes = Counter(each["outcome"] for each in records)
    assert outcomes.keys() <= {"passed", "refused", "failed"}
    assert outcomes["failed"] == FAILED.get(name, 0)
    assert [each for each in records if each["outcome"] == "refused" and len(each["reason"]) < 40] == []


@pytest.mark.parametrize("name", pictures())
def test_the_pictures_are_drawn_from_the_data(name: str) -> None:
    drawn = pictures()[name]
    assert (RESULTS / name).read_text(encoding="utf-8") == drawn
    assert f"results/{name}" in (ROOT / "docs" / "accuracy" / "quant.md").read_text(encoding="utf-8")
    ET.fromstring(drawn)  # noqa: S314 -- our own text


def test_each_scheme_has_a_colour_of_its_own() -> None:
    assert len(set(HUES.values())) == len(HUES)
    drawn = pictures()["bench-gpu-h200.svg"]
    ran = {
        each["scheme"]
        for name in SPEED.values()
        for each in read(name)["records"]
        if each["outcome"] == "ran"
    }
    assert ran == set(HUES)
    assert all(f'style="fill:{hue}">{scheme}<' in drawn for scheme, hue in HUES.items())
