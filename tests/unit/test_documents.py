"""The published schemas are valid, listed, and strict enough to refuse a document that lacks something."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from compat import __main__, errors
from compat._cli import console
from compat.matrix.model.outcome import (
    Cell,
    CellOutcome,
    Disagreement,
    ExpectedFailure,
    State,
    outcome_path,
)
from compat.model.diagnosis import CAUSES, FIX_KINDS
from compat.model.symbols import STATUSES

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs/schemas"
NAMES = sorted(path.stem for path in SCHEMAS.glob("*.json"))

LINES = {
    "resolve": "resolve GPTQLinearMethod --vllm 0.21.0..0.22.0 --sglang latest --all",
    "explain": "explain fails.log",
    "explain-which": "explain --which fails.log",
    "scan": "scan .",
    "upgrade": "upgrade",
    "init": "init",
    "rule": "rule",
    "pairs": "pairs 0.5.23 0.33.0 --offline",
    "pairs-for": "pairs --for sglang==0.5.17",
    "pairs-lock": "pairs lock --check '*'",
    "matrix-list": "matrix list",
    "matrix-report": "matrix report",
    "matrix-gate": "matrix gate --require import",
    "index-info": "index info",
}


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8")))


def properties(name: str) -> set[str]:
    """Return the keys that a schema describes."""
    return set(json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))["properties"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.py").write_text("from vllm.utils import FlexibleArgumentParser\nimport sglang.gone\n")
    (tmp_path / "bad.py").write_text("import vllm (\n")
    (tmp_path / "fails.log").write_text("vllm 0.25.0\nModuleNotFoundError: No module named 'vllm.gone'\n")
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["vllm==0.23.0"]\n')
    for name in ("matrix.toml", "locks"):
        (tmp_path / name).symlink_to(ROOT / name)
    cell = Cell(pair_id="seed")
    outcome = CellOutcome(cell=cell, state=State.BLOCKED, reason="no disk")
    outcome.write(outcome_path(cell, tmp_path / "reports"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(line: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    words = [word.strip("'") for word in line.split()]
    assert console.run(__main__.main, [*words, "--format", "json"]) in (errors.CLEAN, errors.FINDINGS)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((SCHEMAS / f"{name}.json").read_text()))


def test_the_page_lists_every_schema() -> None:
    page = (ROOT / "docs/documents.md").read_text()
    assert sorted(re.findall(r"\]\(schemas/([\w-]+)\.json\)", page)) == NAMES


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", LINES)
def test_a_document_fits_and_describes_all_its_keys(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found, schema = document(LINES[name], capsys), validator(name)
    schema.validate(found)
    assert found.keys() <= properties(name)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", LINES)
def test_a_document_that_lacks_something_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found, schema = document(LINES[name], capsys), validator(name)
    for key in ("schema", "command"):
        with pytest.raises(ValidationError):
            schema.validate({other: value for other, value in found.items() if other != key})


def test_an_outcome_fits() -> None:
    entry = Disagreement(location="a:b", expected="class", observed="nothing")
    outcome = CellOutcome(
        cell=Cell(pair_id="x"), state=State.FAILED, reason="why", disagreements=(entry,),
        expected=(ExpectedFailure(disagreement=entry, reason="known"),),
    )  # fmt: skip
    schema = validator("outcome")
    schema.validate(json.loads(json.dumps(outcome.document())))
    with pytest.raises(ValidationError):
        schema.validate({**outcome.document(), "state": "fine"})


def enums(value: Any) -> list[list[str]]:
    """Return all lists of allowed values in a schema."""
    if isinstance(value, dict):
        own = [value["enum"]] if "enum" in value else []
        return own + [found for each in value.values() for found in enums(each)]
    return [found for each in value for found in enums(each)] if isinstance(value, list) else []


def test_the_closed_sets_are_those_of_the_code() -> None:
    explain = enums(json.loads((SCHEMAS / "explain.json").read_text()))
    assert list(CAUSES) in explain
    assert list(FIX_KINDS) in explain
    resolve = enums(json.loads((SCHEMAS / "resolve.json").read_text()))
    assert resolve
    assert all(sorted(each) == sorted(STATUSES) for each in resolve)
