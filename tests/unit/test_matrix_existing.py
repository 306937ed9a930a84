"""Cells in existing environments: real bundles and virtual environments with tiny packages."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat import errors
from compat._cli import console
from compat.bundle import cli as bundle
from compat.locks.lockfile import Lock
from compat.matrix import cli as matrix
from compat.matrix import scheduler
from compat.matrix.install import existing
from compat.matrix.install.existing import open_existing
from compat.matrix.model.outcome import Cell, CellOutcome, Level, State, read_outcome
from compat.matrix.report import files as report
from compat.matrix.report import gate
from compat.model.releases import Pair
from installed import distribution
from test_matrix_gpu_tests import CONFTEST, GOOD, SKIP
from test_matrix_scheduler import PYTHON, Tiny, house, options, pair, run_one

__all__ = ["house"]

MATRIX = f"""
[[pair]]
id = "tiny"
python = "{PYTHON}"
sglang = "0.4.7"

[[pair]]
id = "b"
python = "{PYTHON}"
vllm = "1"
"""
HERE = Path(sys.executable)


@pytest.fixture
def unpacked(house: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder into which a bundle of the pair was unpacked."""
    monkeypatch.chdir(house)
    (house / "matrix.toml").write_text(MATRIX)
    assert console.run(bundle.main, ["tiny", "--output", "out", "--level", "0"]) == errors.CLEAN
    subprocess.run(["sh", "out/unpack.sh", "env"], check=True, capture_output=True)
    return house / "env"


def look(house: Path, *folders: Path, level: Level = Level.IMPORT, keep: bool = False) -> CellOutcome:
    existing = open_existing(folders, HERE)
    how = replace(options(house, keep=keep), existing=existing, levels=(level,))
    (outcome,) = scheduler.run_pairs([pair()], Tiny(house / "locks"), how)
    return outcome


def told(folder: Path, **changes: Any) -> None:
    """Change keys in the manifest of an unpacked bundle."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_an_unpacked_bundle_is_looked_into_and_left_as_it_is(
    house: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(unpacked)
    monkeypatch.setattr("compat.uv.client.find_uv", lambda: pytest.fail("nothing is to be installed"))
    outcome = look(house, unpacked)
    assert (outcome.state, outcome.reason) == (State.PASSED, "")
    assert outcome.counts.imported == 4
    assert outcome.machine["environment"] == "an unpacked bundle"
    assert outcome.declared == ()
    assert files(unpacked) == before
    assert not (house / "envs" / "tiny+given").exists()
    verdict = gate.read_gate([pair()], Level.IMPORT, house / "reports", Tiny(house / "locks"))
    assert verdict.open
    assert "tiny-import: ran in an unpacked bundle" in report.as_text([outcome])
    assert "tiny-import: ran in an unpacked bundle" in report.as_gate([outcome], open_=True)


def test_an_outcome_of_a_bundle_goes_stale_like_any_other(house: Path, unpacked: Path) -> None:
    assert look(house, unpacked).passed
    verdict = gate.read_gate([pair()], Level.IMPORT, house / "reports", Tiny(house / "locks", digest="2"))
    assert not verdict.open
    assert "stale" in verdict.failures[0].reason


def test_an_earlier_outcome_does_not_stand_for_an_environment(house: Path, unpacked: Path) -> None:
    assert run_one(house, Tiny(house / "locks")).passed
    (unpacked / "site" / "sglang-0.4.7.dist-info" / "METADATA").write_text("Name: sglang\nVersion: 0.4.6\n")
    outcome = look(house, unpacked)
    assert outcome.state is State.FAILED
    assert "  sglang: expected: 0.4.7; found: 0.4.6" in report.as_text([outcome])
    assert "- `sglang`: expected: 0.4.7; found: 0.4.6" in report.as_markdown([outcome])
    expected = "the environment differs from the lock: sglang: expected: 0.4.7; found: 0.4.6"
    assert outcome.reason == expected
    assert read_outcome(house / "reports" / "tiny-import" / "outcome.json", Cell(pair_id="tiny")) == outcome


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"lock": "0" * 64}, "the bundle: expected: built from this lock; found: built from another one"),
        ({"python": "3.9"}, f"Python: expected: 3.9; found: {PYTHON}."),
    ],
)
def test_a_bundle_of_another_lock_fails(
    changes: dict[str, Any], found: str, house: Path, unpacked: Path
) -> None:
    told(unpacked, **changes)
    outcome = look(house, unpacked)
    assert outcome.state is State.FAILED
    assert found in outcome.reason


@dataclass(frozen=True)
class WithTorch(Tiny):
    """Add a package to the lock that the runner should have; no Python that runs this test has it."""

    def lock(self, pair: Pair) -> Lock:
        lock = super().lock(pair)
        torch = canonicalize_name("torchlike")
        return replace(lock, packages={**lock.packages, torch: Version("2.7.1")})


def with_torch(house: Path, unpacked: Path, **declared: Any) -> CellOutcome:
    told(unpacked, **declared)
    how = replace(options(house), existing=open_existing([unpacked], HERE))
    (outcome,) = scheduler.run_pairs([pair()], WithTorch(house / "locks"), how)
    return outcome


def provided(version: str | None) -> dict[str, Any]:
    return {"provided": [{"name": "TorchLike", "locked": "2.7.1", "provided": version}]}


def test_the_runners_own_in_the_locked_version_is_no_difference(house: Path, unpacked: Path) -> None:
    distribution(unpacked / "site", "torchlike", "2.7.1+cu126")
    outcome = with_torch(house, unpacked)
    assert outcome.passed, outcome.reason
    assert outcome.declared == ()


@pytest.mark.parametrize(
    "declared", [{}, provided("2.7.1"), provided("2.7.0"), {"skipped": {"torchlike": "x"}}]
)
def test_another_version_fails(declared: dict[str, Any], house: Path, unpacked: Path) -> None:
    distribution(unpacked / "site", "torchlike", "2.8.0")
    outcome = with_torch(house, unpacked, **declared)
    assert outcome.state is State.FAILED
    assert outcome.reason.endswith("torchlike: expected: 2.7.1; found: 2.8.0")


@pytest.mark.parametrize("declared", [provided("2.8.0"), provided(None)])
def test_another_version_passes_when_the_bundle_declares_it(
    declared: dict[str, Any], house: Path, unpacked: Path
) -> None:
    distribution(unpacked / "site", "torchlike", "2.8.0")
    outcome = with_torch(house, unpacked, **declared)
    assert outcome.passed, outcome.reason
    assert outcome.declared[0].startswith("torchlike 2.8.0, locked is 2.7.1: declared as the runner's")
    assert outcome.declared[0] in report.as_text([outcome])
    assert outcome.declared[0] in report.as_gate([outcome], open_=True)


def test_what_the_runner_was_said_to_have_and_has_not_fails(house: Path, unpacked: Path) -> None:
    outcome = with_torch(house, unpacked, **provided(None))
    assert outcome.reason.endswith("torchlike: expected: 2.7.1; found: not installed")


def test_a_package_that_nobody_has_fails_unless_it_was_left_out_on_purpose(
    house: Path, unpacked: Path
) -> None:
    assert with_torch(house, unpacked).reason.endswith("torchlike: expected: 2.7.1; found: not installed")
    outcome = with_torch(house, unpacked, skipped={"torchlike": "nothing calls it"})
    assert outcome.passed, outcome.reason
    assert outcome.declared == ("torchlike not installed, locked is 2.7.1: left out: nothing calls it",)


def test_what_is_under_test_cannot_be_declared_away(house: Path, unpacked: Path) -> None:
    declared = {"name": "sglang", "locked": "0.4.7", "provided": None}
    told(unpacked, provided=[declared], skipped={"sglang": "not needed"})
    (unpacked / "site" / "sglang-0.4.7.dist-info" / "METADATA").unlink()
    assert look(house, unpacked).reason.endswith("sglang: expected: 0.4.7; found: not installed")


def test_a_second_bundle_stands_below_the_first(house: Path, unpacked: Path) -> None:
    below = house / "below"
    distribution(below / "site", "torchlike", "2.7.1")
    distribution(below / "site", "sglang", "0.1.3", {"sglang/quant.py": "raise ImportError"})
    (below / "manifest.json").write_text("{}")
    how = replace(options(house), existing=open_existing([unpacked, below], HERE))
    (outcome,) = scheduler.run_pairs([pair()], WithTorch(house / "locks"), how)
    assert outcome.passed, outcome.reason


def test_a_release_that_the_pair_does_not_have_fails(house: Path, unpacked: Path) -> None:
    info = unpacked / "site" / "vllm-0.9.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.9.0.1\n")
    assert look(house, unpacked).reason.endswith("vllm: expected: not in this pair; found: 0.9.0.1")


def test_a_changed_file_blocks(house: Path, unpacked: Path) -> None:
    with (unpacked / "site" / "sglang" / "quant.py").open("a") as stream:
        stream.write("new = 1\n")
    outcome = look(house, unpacked)
    assert outcome.state is State.BLOCKED
    assert outcome.reason.startswith("sglang/quant.py has ")
    assert outcome.reason.endswith("the environment was modified; create it again")


def venv(house: Path) -> Path:
    """Return a virtual environment with the packages of the lock."""
    assert run_one(house, Tiny(house / "locks"), keep=True).passed
    folder = house / "own"
    (house / "envs" / "tiny" / "env").rename(folder)
    return folder


def test_a_virtual_environment_will_do(house: Path) -> None:
    folder = venv(house)
    before = files(folder)
    outcome = look(house, folder)
    assert outcome.passed, outcome.reason
    assert outcome.machine["environment"] == "a virtual environment"
    assert files(folder) == before


def test_another_python_than_the_locked_one_fails(house: Path) -> None:
    folder = venv(house)
    other = replace(pair(), python="3.9")
    place = open_existing([folder], HERE)
    wrong, _ = existing.differences(
        other, Tiny(house / "locks").lock(pair()), None, existing.listing(place, house / "wheels")
    )
    assert [entry.location for entry in wrong] == ["Python"]


def write_tests(house: Path, source: str) -> None:
    folder = house / "tests" / "gpu"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(source)


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (GOOD + "import sglang.quant\ndef test_plain(): assert sglang.quant.Fp8\n", State.PASSED),
        (GOOD + SKIP, State.NOT_RUN),
    ],
)
def test_the_tests_on_a_gpu_run_in_it(
    source: str, state: State, house: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pytest of this interpreter runs on the packages of the bundle; only the GPU is simulated."""
    write_tests(house, source)
    monkeypatch.setattr("compat.matrix.scheduler.why_not_here", lambda _: "")
    monkeypatch.setattr("compat.probe.probe_runner.ProbeRunner.machine", lambda _: {"cuda": True})
    monkeypatch.setattr("compat.uv.client.find_uv", lambda: pytest.fail("nothing is to be installed"))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    outcome = look(house, unpacked, level=Level.GPU)
    assert outcome.state is state, outcome.reason
    assert outcome.counts.tests_passed == 1


def test_without_pytest_the_level_gpu_is_blocked(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = venv(house)
    write_tests(house, GOOD)
    monkeypatch.setattr("compat.matrix.scheduler.why_not_here", lambda _: "")
    outcome = look(house, folder, level=Level.GPU)
    assert outcome.state is State.BLOCKED
    assert "pytest is missing" in outcome.reason


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["tiny", "--environment", "nothing"], "neither a virtual environment nor an unpacked bundle"),
        (
            ["tiny", "b", "--environment", "env"],
            "--environment: only valid for one pair on this machine, not for tiny, b",
        ),
        (["b", "--environment", "env"], "--environment: a bundle of tiny, not of b"),
        (["tiny", "--environment", "env", "--engine", "ray"], "on a cluster"),
        (["tiny", "--environment", "env", "--python", "no-such"], "no such interpreter"),
        (["tiny", "--python", "python3"], "--python: only valid with --environment"),
    ],
)
@pytest.mark.usefixtures("unpacked")
def test_what_cannot_be_meant_is_refused(
    argv: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(matrix.main, ["run", *argv]) == errors.USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1}', '{"pair": 1, "lock": 2}'])
def test_the_error_of_a_damaged_manifest_is_one_line(
    content: str, unpacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (unpacked / "manifest.json").write_text(content)
    assert console.run(matrix.main, ["run", "tiny", "--environment", "env"]) == errors.USAGE
    assert "not a bundle manifest" in capsys.readouterr().err


def test_folders_that_pth_files_name_are_on_the_path_too(unpacked: Path) -> None:
    site = unpacked / "site"
    (site / "inner/packages").mkdir(parents=True)
    (site / "one.pth").write_text("# a comment\nimport os\n\ninner/packages\nnot/there\n")
    assert open_existing([unpacked], HERE).path == (site, site / "inner/packages")
