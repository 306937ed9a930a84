"""The HTML reports tell everything that the text reports tell, with date, releases and links to the logs."""

import html
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

import browser_setup
from chromium import Page, browser
from compat.check.cli import main as check
from compat.matrix.model.outcome import (
    Cell,
    CellOutcome,
    Counts,
    Disagreement,
    ExpectedFailure,
    Layers,
    State,
)
from compat.matrix.report import table
from compat.matrix.report.matrix_page import as_html
from compat.scan.cli import main as scan

SOURCE = """\
from vllm.utils import FlexibleArgumentParser, is_hip
from vllm.worker.worker import Worker
from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod
"""
OUTCOMES = (
    CellOutcome(
        cell=Cell(pair_id="one"),
        state=State.PASSED,
        pair="sglang 0.5.23 + vllm 0.33.0",
        counts=Counts(modules=3, listed=40, imported=30, checked=40, expected=1),
        machine={"python": "3.11.7", "torch": "2.14.1", "environment": "/opt/env"},
        layers={"vllm": Layers(built=31, refused=7)},
        options=("--workers 8",),
        declared=("torch 2.14.1 instead of 2.14.0",),
        expected=(
            ExpectedFailure(
                disagreement=Disagreement(location="sgl_kernel", expected="a module", observed="ImportError"),
                reason="needs the driver",
                link="https://example.org/1",
            ),
        ),
        started="2026-11-30T10:00:00+00:00",
        budget_bytes=10**10,
        shared_bytes=10**9,
    ),
    CellOutcome(
        cell=Cell(pair_id="two"),
        state=State.FAILED,
        reason="2 disagreements",
        counts=Counts(modules=3, disagreements=1),
        disagreements=(Disagreement(location="m:f", expected="defined", observed="<lambda> | None"),),
        started="2026-12-01T10:00:00+00:00",
    ),
    CellOutcome(cell=Cell(pair_id="three"), state=State.BLOCKED, reason="uv: no network"),
    CellOutcome(cell=Cell(pair_id="four"), state=State.NOT_RUN, reason="there is no GPU"),
)


def words(page: str) -> str:
    """Return the text of a page, with single spaces."""
    body = page.partition("<body>")[2]
    spaced = re.sub(r"(?=</(?!code|a\b))|(?=<(?:small|code|li))", " ", body)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", spaced)).split())


def today() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%d")


def test_the_page_of_a_matrix_loses_nothing() -> None:
    page = as_html(OUTCOMES)
    said = words(page)
    for outcome in OUTCOMES:
        for line in (*table.complaints(outcome), *table.remarks(outcome), *table.layers(outcome)):
            assert " ".join(line.split()) in said
        assert f'href="{outcome.cell.id}/log.txt"' in page
        assert f'id="{outcome.cell.id}"' in page
        assert outcome.pair in said
    assert table.disk_line(OUTCOMES).strip() in said
    assert table.closing(OUTCOMES) in said
    assert all(f"{name}: " in said for name in ("conditional", "refused", "layers")), "what columns count"
    assert f"date {today()}" in said
    assert "2026-11-30 to 2026-12-01" in said
    assert "python 3.11.7, torch 2.14.1" in said
    assert "sgl_kernel: needs the driver (https://example.org/1)" in said
    assert "blocked the environment could not be prepared" in said
    assert page.count("<tr") == page.count("</tr>") == len(OUTCOMES) + 1


def test_the_page_of_a_scan_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import vllm (\n")
    asked = [str(tmp_path), "--vllm", ">=0.9,<0.34"]
    scan(asked)
    text, notes = capsys.readouterr()
    scan([*asked, "--format", "html"])
    said = words(capsys.readouterr().out)
    told = [line.strip() for line in text.splitlines() if re.match(r"\s+=|\s+(was|is) ", line)]
    assert len(told) > 5
    for line in told:
        found = re.fullmatch(r"= (\S+) ([^:]+): (.+?)(?: \((.+)\)(.*))?", line)
        parts = [line] if found is None else [part for part in found.groups() if part]
        for part in parts:
            assert " ".join(part.split()) in said, line
    sources = re.findall(r"compat: (\w+) (\S+) \((\d+ releases)\): (.+)", notes)
    assert len(sources) == 2
    for package, releases, count, source in sources:
        assert f"{package} {releases}, {count}: {source}" in said
    assert f"date {today()}" in said
    assert "broken.py:1: the file was not checked" in said.replace("code.py", "")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(str(browser_setup.chromium()), tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.browser
@pytest.mark.parametrize("report", ["matrix", "scan", "check"])
def test_nothing_keeps_anyone_out(
    page: Page, report: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "code.py").write_text(SOURCE)
    target = tmp_path / "report.html"
    if report == "matrix":
        target.write_text(as_html(OUTCOMES))
    elif report == "scan":
        scan([str(tmp_path), "--vllm", ">=0.9,<0.34", "--format", "html", "--output", str(target)])
    else:
        check(["vllm==0.11.0", "openai==1.99.1", "--format", "html"])
        target.write_text(capsys.readouterr().out)
    for width in (1280, 390):
        for dark in (False, True):
            page.window(width, dark=dark)
            page.open(target.as_uri())
            assert page.violations() == [], (width, dark)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def test_the_page_of_a_comparison_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code.py").write_text("from vllm import LLM, EngineArgs\nEngineArgs(model='m')\n")
    asked = [str(tmp_path), "--from", "vllm==0.10.0", "--to", "vllm==0.33.0"]
    scan(asked)
    text = capsys.readouterr().out
    scan([*asked, "--format", "html"])
    said = words(capsys.readouterr().out)
    _, _, changed = text.partition("changed, without breaking anything here")
    lines = [line.strip() for line in changed.splitlines()[1:]]
    assert lines
    assert all(" ".join(line.split()) in said for line in lines)
