"""Text from outside never controls a terminal, begins a line of a log or ends in a traceback."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from compat import errors
from compat._cli import console
from compat.bundle.cli import main as bundle
from compat.explain.cli import main as explain
from compat.export.cli import main as export
from compat.index.cli import main as index
from compat.matrix.cli import main as matrix
from compat.matrix.model.outcome import Cell, CellOutcome, Disagreement, State
from compat.pairs.cli import main as pairs
from compat.resolve.cli import main as resolve
from compat.scan.cli import main as scan

ROOT = Path(__file__).parents[2]
ACTS = "\x1b[31m\r\u202e\u2028\x9b\ufffe\udc80\n::error::x"
NAME = os.fsdecode(b"\x1b[31m\xe9\n::error::x")
"""A file name; it is not UTF-8."""
MATRIX = '[defaults]\npython = "3.11"\n[[pair]]\nid = "one"\nvllm = "0.10.0"\n'


def harmless(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, after checking that it has no control characters and begins no command."""
    out, err = capsys.readouterr()
    for text in (out, err):
        assert all(line.isprintable() for line in text.split("\n")), text
        assert not [line for line in text.split("\n") if line.startswith("::error::x")]
    return out + err


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (resolve, [ACTS]),
        (resolve, ["LLM", "--vllm", ACTS]),
        (resolve, ["LLM", "--pair", ACTS]),
        (explain, [ACTS]),
        (explain, [NAME, "--vllm", ACTS]),
        (scan, [ACTS]),
        (scan, [".", "--vllm", ACTS]),
        (scan, [".", "--baseline", ACTS]),
        (scan, [".", "--select", ACTS]),
        (bundle, [ACTS, "--output", "out"]),
        (bundle, ["one", "--output", "out", "--part-size", ACTS]),
        (matrix, ["list", "--matrix", ACTS]),
        (matrix, ["run", ACTS]),
        (matrix, ["gate", "--reports", ACTS]),
        (pairs, [ACTS, ACTS]),
        (pairs, ["--for", ACTS]),
        (index, [ACTS]),
        (export, [ACTS]),
    ],
)
def test_arguments_are_escaped_in_errors(
    main: Any,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("matrix.toml").write_text(MATRIX)
    assert console.run(main, arguments) != errors.CLEAN
    assert harmless(capsys)


@pytest.mark.parametrize("form", ["text", "github", "junit", "html", "sarif", "json"])
def test_a_file_name_that_is_not_utf_8_is_escaped_by_every_writer(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{NAME}.py").write_text("import vllm.worker.worker\n")
    target = tmp_path / f"{NAME}.out"
    arguments = [str(tmp_path), "--vllm", "0.23.0", "--format", form]
    assert console.run(scan, arguments) == errors.FINDINGS
    assert "[31m" in harmless(capsys).replace("%5B", "[")
    assert console.run(scan, [*arguments, "--output", str(target)]) == errors.FINDINGS
    harmless(capsys)
    written = target.read_text(encoding="utf-8")
    if form == "junit":
        ET.fromstring(written)  # noqa: S314 -- our own text
    if form in {"sarif", "json"}:
        json.loads(written)


def test_a_log_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File "/x/\u202e\x1b[2J\x9b.py", line 1, in <module>\n'
        "    from vllm.\u2028config import Gone\u202e\n"
        "ImportError: cannot import name 'Gone\u202e\ufffe' from 'vllm.config' (/x/\u2066vllm/config.py)\n"
    )
    (tmp_path / "log").write_text(log, encoding="utf-8")
    console.run(explain, [str(tmp_path / "log"), "--vllm", "0.23.0"])
    assert "Gone" in harmless(capsys)


def test_an_outcome_is_escaped_and_every_report_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("matrix.toml").write_text(MATRIX)
    outcome = CellOutcome(
        cell=Cell(pair_id="one"),
        state=State.FAILED,
        reason=ACTS,
        disagreements=(Disagreement(location=ACTS, expected=ACTS, observed=ACTS),),
        machine={"environment": ACTS},
        options=(ACTS,),
        declared=(ACTS,),
    )
    folder = Path("reports/one-import")
    folder.mkdir(parents=True)
    document = replace(outcome, reason="x").document() | {"reason": ACTS}
    (folder / "outcome.json").write_text(json.dumps(document))
    assert console.run(matrix, ["report"]) == errors.CLEAN
    assert r"\x1b[31m" in harmless(capsys)
    for name in ("matrix.md", "matrix.html"):
        text = Path("reports", name).read_text(encoding="utf-8")
        assert all(line.isprintable() for line in text.split("\n"))
        assert not [line for line in text.split("\n") if line.startswith("::error::x")]
    (junit,) = Path("reports").glob("*.xml")
    ET.parse(junit)  # noqa: S314 -- our own file
    assert json.loads(Path("reports/matrix.json").read_text())["cells"][0]["reason"] == ACTS
    for form in ("text", "markdown", "junit"):
        assert console.run(matrix, ["gate", "--require", "import", "--format", form]) == errors.FINDINGS
        harmless(capsys)
