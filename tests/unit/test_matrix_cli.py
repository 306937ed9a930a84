"""The subcommands of `compat matrix`, and the reports that they write."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat._cli import console
from compat.locks.lockfile import LockedPackage, Pinned, write_lock
from compat.matrix.cli import main
from compat.matrix.config import read_matrix
from compat.matrix.judge.gpu_tests import GpuTestOptions
from compat.matrix.judge.inputs import Shipped, digests
from compat.matrix.model.outcome import Cell, CellOutcome, Counts, Disagreement, Layers, Level, State
from compat.matrix.report.gate import Gate

MATRIX = """
[defaults]
python = "3.11"
[[pair]]
id = "one"
sglang = "0.4.7"
sglang-extras = ["srt"]
vllm = "0.9.0.1"
[[pair]]
id = "two"
vllm = "0.10.0"
python = "3.12"
"""

ROOT = Path(__file__).parents[2]
PASSED = CellOutcome(
    cell=Cell(pair_id="one"),
    state=State.PASSED,
    counts=Counts(modules=3, listed=40, imported=30, checked=40),
    machine={"python": "3.11.7"},
    layers={"sglang": Layers(built=33, refused=7), "vllm": Layers(built=31, refused=7)},
    seconds=95,
)
PASSED_ON_GPU = replace(
    PASSED,
    cell=Cell(pair_id="one", level=Level.GPU),
    counts=Counts(tests=2, tests_passed=2),
    machine={"python": "3.11.7", "cuda": "True"},
)
PASSED_TWO = replace(PASSED, cell=Cell(pair_id="two"), machine={"python": "3.12.1"})
FAILED = CellOutcome(
    cell=Cell(pair_id="two"),
    state=State.FAILED,
    reason="1 disagreements <&> \x1b[31mred",
    counts=Counts(modules=3, disagreements=1),
    disagreements=(Disagreement(location="m:f", expected="defined", observed="<lambda> | None"),),
)
BLOCKED = CellOutcome(cell=Cell(pair_id="two"), state=State.BLOCKED, reason="uv: no network")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "matrix.toml").write_text(MATRIX)
    lock(tmp_path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "matrix.toml").write_text(MATRIX)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lock(house: Path, text: str = "0", imports: tuple[str, ...] = ("torch",)) -> None:
    """Write real locks of both pairs, with hashes of this digit."""
    pin = Pinned(version=Version("1.0"), hashes=(f"sha256:{text * 64}",))
    package = LockedPackage(pin=pin, imports=imports, download_bytes=1, installed_bytes=2)
    for pair in read_matrix(house / "matrix.toml").pairs:
        write_lock(pair, {canonicalize_name("torch"): package}, house / "locks")


def put(house: Path, *outcomes: CellOutcome) -> None:
    """Write outcomes with the current digests, so that they are not stale."""
    sources = Shipped(house / "locks")
    pairs = {pair.id: pair for pair in read_matrix(house / "matrix.toml").pairs}
    for outcome in outcomes:
        pair = pairs[outcome.cell.pair_id]
        now = digests(pair, sources.lock(pair), sources, outcome.cell.level)
        path = house / "reports" / outcome.cell.id / "outcome.json"
        replace(outcome, digests=now).write(path)


def test_list_prints_the_pairs_in_three_formats(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert house.is_dir()
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "one  Python 3.11  sglang 0.4.7[srt] + vllm 0.9.0.1",
        "two  Python 3.12  vllm 0.10.0",
    ]
    assert main(["list", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["command"]) == (1, "matrix list")
    assert [(pair["id"], pair["sglang"], pair["vllm"]) for pair in document["pairs"]] == [
        ("one", "0.4.7", "0.9.0.1"),
        ("two", None, "0.10.0"),
    ]
    assert main(["list", "--format", "github"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {
        "include": [
            {"pair": "one", "python": "3.11", "cell": "one-import", "level": "import"},
            {"pair": "two", "python": "3.12", "cell": "two-import", "level": "import"},
        ]
    }
    assert main(["list", "--format", "github", "--level", "gpu", "--pairs", "t*"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "include": [{"pair": "two", "python": "3.12", "cell": "two-gpu", "level": "gpu"}]
    }


@pytest.mark.parametrize(
    ("outcomes", "arguments", "code"),
    [
        ([PASSED], ["--pairs", "one"], 0),
        ([PASSED, PASSED_TWO], [], 0),
        ([PASSED], [], 1),
        ([], ["--pairs", "one"], 1),
        ([PASSED, FAILED], [], 1),
        ([PASSED, BLOCKED], [], 1),
        ([PASSED, BLOCKED], ["--pairs", "o*"], 0),
        ([replace(PASSED, state=State.NOT_RUN, reason="no GPU")], ["--pairs", "one"], 1),
    ],
)
def test_the_gate_opens_only_when_every_required_cell_passed(
    outcomes: list[CellOutcome], arguments: list[str], code: int, house: Path
) -> None:
    put(house, *outcomes)
    assert main(["gate", "--require", "import", *arguments]) == code


def test_the_gate_of_the_gpu_wants_both_levels(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(house, PASSED)
    assert main(["gate", "--require", "gpu", "--pairs", "one"]) == 1
    assert "one-gpu: failed: outcome.json does not exist" in capsys.readouterr().out
    put(house, PASSED_ON_GPU)
    assert main(["gate", "--require", "gpu", "--pairs", "one", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["open"] is True
    (house / "reports" / "one-import" / "outcome.json").unlink()
    assert main(["gate", "--require", "gpu", "--pairs", "one"]) == 1
    assert "one-import: failed: outcome.json does not exist" in capsys.readouterr().out


def test_a_broken_outcome_keeps_the_gate_shut(house: Path) -> None:
    put(house, PASSED)
    path = house / "reports" / "one-import" / "outcome.json"
    path.write_text(path.read_text()[:-20])
    assert main(["gate", "--require", "import", "--pairs", "one"]) == 1


@pytest.mark.parametrize(
    ("outcome", "machine", "declared", "code"),
    [
        (PASSED, {"python": "3.12.1"}, (), 1),
        (PASSED, {"python": "3.1"}, (), 1),
        (PASSED, {}, (), 1),
        (PASSED, {"python": "3.12.1"}, ("Python 3.12.1, locked is 3.11",), 0),
        (PASSED_ON_GPU, {"python": "3.11.7", "cuda": "False"}, (), 1),
        (PASSED_ON_GPU, {"python": "3.11.7"}, (), 1),
    ],
)
def test_an_outcome_of_another_machine_keeps_the_gate_shut(
    outcome: CellOutcome, machine: dict[str, str], declared: tuple[str, ...], code: int, house: Path
) -> None:
    put(house, PASSED, PASSED_ON_GPU)
    assert main(["gate", "--require", "gpu", "--pairs", "one"]) == 0
    put(house, replace(outcome, machine=machine, declared=declared))
    assert main(["gate", "--require", "gpu", "--pairs", "one"]) == code


def test_what_is_no_regular_file_is_one_line_and_no_hang(
    house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put(house, PASSED)
    path = house / "reports" / "one-import" / "outcome.json"
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir):
        path.unlink()
        make(path)
        assert main(["gate", "--require", "import", "--pairs", "one"]) == 1
        line = "one-import: failed: outcome.json cannot be read ("
        assert capfd.readouterr().out.startswith(line)
        assert main(["report"]) == 0
        capfd.readouterr()
        if path.is_dir():
            path.rmdir()
        path.touch()
    for name in ("locks/one.json", "locks/one.txt", "matrix.toml"):
        (house / name).rename(house / "moved")
        os.mkfifo(house / name)
        assert console.run(main, ["run", "one"]) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert "not a regular file" in line
        (house / name).unlink()
        (house / "moved").rename(house / name)


def test_the_options_of_the_gpu_tests_are_reported(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(house, replace(PASSED_ON_GPU, options=GpuTestOptions(workers=8, results=Path("/r.json")).described))
    assert main(["report"]) == 0
    assert "one-gpu: ran with --workers 8 --results /r.json\n" in capsys.readouterr().out
    for name in ("matrix.md", "matrix.html"):
        assert "one-gpu: ran with --workers 8 --results /r.json" in (house / "reports" / name).read_text()


def test_a_gate_over_nothing_is_shut(house: Path) -> None:
    assert not Gate(required=()).open
    (house / "matrix.toml").write_text('[defaults]\npython = "3.11"\n')
    assert console.run(main, ["gate", "--require", "import"]) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda house: lock(house, "1"), "the outcome is stale: lock changed since"),
        (lambda house: lock(house, imports=("torch", "b")), "the outcome is stale: lock changed since"),
        (
            lambda house: (house / "matrix.toml").write_text(
                MATRIX + '[[pair.expect]]\nlocation = "x"\nreason = "r"\n'
            ),
            "the outcome is stale: entry in the matrix changed since",
        ),
        (
            lambda house: (house / "locks" / "two.txt").unlink(),
            'does not exist; run "python -m compat.pairs lock',
        ),
        (
            lambda house: (house / "matrix.toml").write_text(MATRIX.replace("0.10.0", "0.10.1")),
            "the lock of two is stale",
        ),
    ],
)
def test_a_stale_outcome_keeps_the_gate_shut(
    change: Callable[[Path], object], reason: str, house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(house, PASSED_TWO)
    assert main(["gate", "--require", "import", "--pairs", "two"]) == 0
    change(house)
    capsys.readouterr()
    assert main(["gate", "--require", "import", "--pairs", "two"]) == 1
    assert reason in capsys.readouterr().out


def test_new_gpu_tests_make_what_was_passed_stale(house: Path) -> None:
    put(house, PASSED, PASSED_ON_GPU)
    assert main(["gate", "--require", "gpu", "--pairs", "one"]) == 0
    (house / "tests" / "gpu").mkdir(parents=True)
    (house / "tests" / "gpu" / "test_more.py").write_text("")
    assert main(["gate", "--require", "gpu", "--pairs", "one"]) == 1
    assert main(["gate", "--require", "import", "--pairs", "one"]) == 0


def test_the_gate_speaks_junit_and_markdown(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(house, PASSED, BLOCKED)
    assert main(["gate", "--require", "import", "--format", "junit"]) == 1
    suite = ET.fromstring(capsys.readouterr().out)  # noqa: S314 -- our own text
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    assert main(["gate", "--require", "import", "--format", "markdown"]) == 1
    head, _, table, *_ = capsys.readouterr().out.splitlines()
    assert head == "**shut**: 1 of 2 required cells passed"
    assert table.startswith("| pair | state |")


def test_reports_are_made_from_the_outcome_files(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(house, FAILED, PASSED)
    (house / "reports" / "notes").mkdir()
    assert main(["report"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[:2] for line in printed.splitlines()[1:3]] == [["one", "passed"], ["two", "failed"]]
    assert "m:f: index: defined; run time: <lambda> | None" in printed
    assert printed.splitlines()[-1] == "1 passed, 1 failed"
    reports = house / "reports"
    document = json.loads((reports / "matrix.json").read_text())
    assert [cell["pair_id"] for cell in document["cells"]] == ["one", "two"]
    assert document["schema"] == 1
    assert "| one | passed | 3 | 0 | 40 |" in (reports / "matrix.md").read_text()
    told = "one-import: layers of sglang: 33 built, 7 refused, 0 broken"
    assert told in (reports / "matrix.html").read_text()
    assert document["cells"][0]["layers"]["vllm"] == {"built": 31, "refused": 7, "broken": 0}
    page = (reports / "matrix.html").read_text()
    assert "&lt;lambda&gt;" in page
    assert "<lambda>" not in page
    suite = ET.parse(reports / "junit.xml").getroot()  # noqa: S314 -- our own file
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert (suite.findtext("testcase[@name='one-import']/system-out") or "").splitlines()[0] == told
    failure = suite.find("testcase[@name='two-import']/failure")
    assert failure is not None
    assert failure.get("message") == r"1 disagreements <&> \x1b[31mred"


def test_junit_calls_a_blocked_cell_an_error(house: Path) -> None:
    put(house, BLOCKED)
    assert main(["report", "--format", "json"]) == 0
    suite = ET.parse(house / "reports" / "junit.xml").getroot()  # noqa: S314 -- our own file
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "required: NAME"),
        (["run"], 2, "required: ID"),
        (["run", "on"], 2, "'on' matches no pair of the matrix (did you mean \"one\"?)"),
        (["run", "one", "--timeout", "0"], 2, "'0' is not a number of seconds above 0"),
        (["run", "one", "--matrix", "bare/matrix.toml"], 2, "python -m compat.pairs lock one"),
        (["run", "one", "--limit", "-1"], 2, "'-1' is not a number of seconds above 0"),
        (["run", "one", "--level", "gpu", "--workers", "0"], 2, "'0' is not a number from 1 to 999"),
        (["run", "one", "--workers", "2"], 2, "--workers: only valid with --level gpu or all"),
        (["run", "one", "--results", "x"], 2, "--results: only valid with --level gpu or all"),
        (
            ["run", "one", "--level", "all", "--results", "x", "--engine", "ray"],
            2,
            "--results: only valid on this machine",
        ),
        (["report"], 3, "no outcome of a cell"),
        (["gate"], 2, "--require"),
        (["gate", "--require", "import", "--pairs", "three"], 2, "'three' matches no pair"),
        (["list", "--matrix", "other.toml"], 2, "other.toml: no such file"),
        (["list", "--format", "yaml"], 2, "yaml"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], code: int, message: str, house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert house.is_dir()
    assert console.run(main, arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("compat: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_the_module_runs_and_help_lists_the_exit_codes() -> None:
    for arguments in (["--help"], ["run", "--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "compat.matrix", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "exit codes: 0 clean" in done.stdout
        assert done.stderr == ""
