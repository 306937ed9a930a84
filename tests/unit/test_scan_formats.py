"""The output formats: machine-readable documents are valid, text and HTML are escaped and complete."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import sarif_pydantic

from compat.index.records import Successor
from compat.scan.cli import main
from compat.scan.findings import RULES, BrokenRange, Finding, Report
from compat.scan.formats import github_, html_, json_, junit_, sarif_, text_
from compat.scan.options import ScanOptions
from compat.scan.releases.index_lookup import ReleaseSet
from compat.scan.sources.discovery import Skipped

OPTIONS = ScanOptions(
    paths=("x",),
    sglang=(),
    vllm=(),
    select=frozenset(RULES),
    exclude=(),
    baseline=None,
    write_baseline=None,
    fix=False,
    unsafe_fixes=False,
    diff=False,
    format="text",
    notes=False,
    output=None,
)
NASTY = "a b/%,:<&>\"'é\n::error::\x07.py"


def finding(path: str = "code.py", **changes: Any) -> Finding:
    new = Successor("vllm.<new>", "Name", 0.9, 'moved in 0.22.0: "body" & 1.00')
    return Finding(
        path=path,
        line=3,
        column=5,
        end_line=3,
        end_column=9,
        rule="CPT001",
        package="vllm",
        statement="from vllm.old import Name",
        status="missing",
        broken_in=(("0.22.0", "0.23.0"),),
        broken=2,
        broken_ranges=(BrokenRange("0.22.0", "0.23.0", "symbol_moved", "why", new),),
        form="from",
    )._replace(**changes)


NOTE = finding("note.py", rule="CPT004", broken_in=(), broken=0, broken_ranges=(), status="dynamic")
REPORT = Report(
    (finding(), finding(NASTY, function="f"), NOTE),
    (Skipped("bad.py", "line 1: invalid syntax"),),
    (
        ReleaseSet("vllm", (0, 1, 2), ("0.21.0", "0.22.0", "0.23.0"), "asked"),
        ReleaseSet("sglang", (0,), ("0.5.14",), "asked"),
    ),
    5,
    3,
)
EMPTY = Report((), (), (), 1, 0)


@pytest.mark.parametrize("report", [REPORT, EMPTY])
def test_sarif_is_valid(report: Report) -> None:
    document = json.loads(sarif_.render(report, OPTIONS))
    parsed = sarif_pydantic.Sarif.model_validate(document)
    assert len(parsed.runs[0].results or []) == len(report.findings)
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    for result, told in zip(document["runs"][0]["results"], report.findings, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == told.rule
        (location,) = result["locations"]
        region = location["physicalLocation"]["region"]
        assert region == {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 9}
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[\w./%~-]+", uri), "RFC 3986: anything else is percent-encoded"


def test_annotations_are_escaped() -> None:
    lines = github_.render(REPORT, OPTIONS).split("\n")
    assert len(lines) == 3
    first, nasty, note = lines
    assert first.startswith(
        "::error file=code.py,line=3,endLine=3,col=5,endColumn=9,title=compat CPT001::from "
    )
    assert "file=a b/%25%2C%3A<&>\"'é%0A%3A%3Aerror%3A%3A\\x07.py,line=3" in nasty
    assert note.startswith("::notice ")


@pytest.mark.parametrize(("report", "failures"), [(REPORT, 2), (EMPTY, 0)])
def test_junit_can_be_parsed(report: Report, failures: int) -> None:
    (suite,) = ET.fromstring(junit_.render(report, OPTIONS).partition("\n")[2])  # noqa: S314 -- our own
    assert suite.get("failures") == str(failures)
    assert int(suite.get("tests", "0")) == len(suite) == max(1, failures)
    assert len(suite.findall("testcase/failure")) == failures


def test_json_is_sorted_and_has_all_keys() -> None:
    text = json_.render(REPORT, OPTIONS)
    document = json.loads(text)
    assert (document["schema"], document["command"]) == (1, "scan")
    assert text == json.dumps(document, indent=2, sort_keys=True)
    wanted = {
        *("path", "line", "column", "end_line", "end_column", "rule", "package", "import", "broken_in"),
        *("status", "replacement", "fixable"),
    }
    assert all(wanted <= each.keys() for each in document["findings"])


def test_text_shows_the_line_and_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = tmp_path / "code.py"
    code.write_text("x = 'é'\nimport vllm.worker.worker\nfrom vllm.utils import FlexibleArgumentParser\n")
    main([str(code), "--vllm", "0.23.0"])
    assert capsys.readouterr().out == (
        f"{code}:2:8: CPT001 import vllm.worker.worker is missing in vllm 0.23.0\n"
        "  2 | import vllm.worker.worker\n"
        "    |        ^^^^^^^^^^^^^^^^^^\n"
        "    = 0.23.0 module removed: vllm.worker.worker does not exist\n"
        "\n"
        f"{code}:3:24: CPT001 from vllm.utils import FlexibleArgumentParser is missing in vllm 0.23.0\n"
        "  3 | from vllm.utils import FlexibleArgumentParser\n"
        "    |                        ^^^^^^^^^^^^^^^^^^^^^^\n"
        "    = 0.23.0 moved: from vllm.utils.argparse_utils import FlexibleArgumentParser "
        "(moved in 0.11.1: body 0.87, same bases, 6 of 6 methods)\n"
        "\n"
        "2 findings in 1 of 1 file\n"
        "fits vllm 0.5.1..0.10.2; 2 findings in 0.23.0 (only 2 names distinguish releases)\n"
    )


def test_notes_are_counted_and_shown_on_request() -> None:
    assert "2 findings in 2 of 5 files, 1 note (shown with --notes)" in text_.render(REPORT, OPTIONS)
    assert "CPT004" in text_.render(REPORT, OPTIONS._replace(notes=True))


def test_colours_are_for_terminals() -> None:
    assert "\033" not in text_.render(REPORT, OPTIONS)


def test_html_is_one_file_with_everything_escaped() -> None:
    page = html_.render(REPORT, OPTIONS)
    assert "vllm.&lt;new&gt;" in page
    assert "vllm.<new>" not in page
    assert "src=" not in page
    assert "http" not in page
    assert page.count("<tr") == page.count("</tr>")
    assert html_.render(EMPTY, OPTIONS).count("<table") == 0


def test_html_names_paths_below_what_they_share_and_the_newest_release_first() -> None:
    found = (finding("/home/me/src/a.py"), finding("/home/me/src/b/c.py"))
    page = html_.render(REPORT._replace(findings=found), OPTIONS)
    assert page.count("/<wbr>home/<wbr>me/<wbr>src/") == 1
    assert ">b/<wbr>c.<wbr>py:3" in page.replace("</small>", "")
    versions = REPORT.release_sets[0].versions
    assert page.index(f"<span>{versions[-1]}</span>") < page.index(f"<span>{versions[0]}</span>")


def test_a_document_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code.py").write_text("import vllm.worker.worker\n")
    target = tmp_path / "out.sarif"
    main([str(tmp_path), "--vllm", "0.23.0", "--format", "sarif", "--output", str(target)])
    assert json.loads(target.read_text())["version"] == "2.1.0"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("form", [github_, html_, json_, junit_, sarif_, text_])
def test_nothing_from_outside_reaches_a_terminal_or_begins_a_line(form: Any) -> None:
    acts = "\x1b[31m\r\u202e\ufffe\udc80\n::error::"
    bad = finding(f"{acts}.py", code=acts, statement=f"import {acts}", function=acts, broken_ranges=())
    ranges = (BrokenRange("0.22.0", "0.23.0", "symbol_moved", acts, Successor(acts, acts, 0.9, acts)),)
    skipped = (Skipped(acts, acts),)
    text = form.render(
        Report((bad, finding(broken_ranges=ranges)), skipped, REPORT.release_sets, 5, 3), OPTIONS
    )
    assert not [letter for letter in text if letter in acts.replace("\n", "") and not letter.isprintable()]
    assert not [line for line in text.splitlines() if line.startswith("::error::")]
