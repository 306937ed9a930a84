"""`compat rule`: each rule of the scan and each cause has a page."""

import ast
import json
import re
from pathlib import Path

import pytest

from compat import __main__, errors
from compat._cli import console
from compat.model.diagnosis import CAUSES
from compat.rule.pages import page, pages
from compat.scan.findings import RULES


def run(*argv: str) -> int:
    return console.run(__main__.main, ["rule", *argv])


@pytest.mark.parametrize("name", [*RULES, *CAUSES])
def test_a_rule_or_cause_has_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name.lower()) == errors.CLEAN
    text = capsys.readouterr().out
    assert text.startswith(f"# {name}: ")
    assert len(text.split()) > 20
    for example in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        if name != "CPT000":
            ast.parse(example)


@pytest.mark.parametrize("rule", [each.name for each in pages() if "```python" in each.text])
def test_the_example_of_a_rule_breaks_it(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", page(rule).text, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    releases = ("--vllm", ">=0.5", "--sglang", ">=0.4.7")
    argv = ["scan", str(tmp_path), *releases, "--notes", "--format", "json"]
    assert console.run(__main__.main, argv) in (errors.CLEAN, errors.FINDINGS)
    assert rule in {finding["rule"] for finding in json.loads(capsys.readouterr().out)["findings"]}


@pytest.mark.parametrize("rule", RULES)
def test_a_page_says_what_the_scan_says(rule: str) -> None:
    (title,) = (each.title for each in pages() if each.name == rule)
    assert title == RULES[rule]


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == errors.CLEAN
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [each.name for each in pages()]
    assert {*RULES, *CAUSES} <= set(names)


def test_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("CPT001", "--format", "json") == errors.CLEAN
    (found,) = json.loads(capsys.readouterr().out)["pages"]
    assert found["name"] == "CPT001"
    assert found["title"] == RULES["CPT001"]


@pytest.mark.parametrize(
    ("name", "message"), [("CPT010", "did you mean 'CPT00"), ("x", 'see "compat rule" for all')]
)
def test_an_unknown_name_is_a_usage_error(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name) == errors.USAGE
    assert message in capsys.readouterr().err
