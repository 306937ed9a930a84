"""Whole cells with real uv, small real wheels and real child processes."""

import base64
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat.errors import UsageError
from compat.locks.lockfile import Lock, LockedPackage, Pinned, write_lock
from compat.matrix import scheduler
from compat.matrix.cell import host
from compat.matrix.install.workspace import claimed
from compat.matrix.judge.inputs import Shipped
from compat.matrix.model.outcome import Cell, CellOutcome, Layers, Level, State, read_outcome
from compat.matrix.report import files, gate
from compat.model.releases import KnownFailure, Pair
from compat.probe import driver_stub
from compat.probe.expectation import ModuleExpectation, NameExpectation

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ROOT = Path(__file__).parents[2]

PACKAGE = {
    "sglang/__init__.py": "",
    "sglang/quant.py": (
        "import torch_like\nfrom torch_like import Base\nclass Fp8(Base):\n    pass\nold = None\n"
    ),
    "sglang/waits.py": (
        "import os, threading\n"
        "if 'TINY_FIFO' in os.environ:\n"
        "    stream = os.open(os.environ['TINY_FIFO'], os.O_WRONLY)\n"
        "    os.write(stream, b'x')\n"
        "    threading.Event().wait()\n"
    ),
    "torch_like.py": "class Base:\n    def f(self, x): return x\n",
}

REHEARSAL = """
import json, sys
import sglang.quant

def write(**record):
    with open(sys.argv[2], "a") as results:
        print(json.dumps(record), file=results)

for dtype, state in {"bfloat16": "refused", "float16": "built"}.items():
    layer = {"package": sys.argv[1], "scheme": "awq4", "way": "awq", "dtype": dtype, "state": state}
    write(event="layer", method="sglang.quant:Fp8", says="", **layer)
write(event="done")
"""
"""In the place of this project's own, which needs torch and the real packages."""

NAMES = (
    NameExpectation(name="torch_like", status="reexported", kind="module", origin="torch_like"),
    NameExpectation(name="Base", status="reexported", kind="class", origin="torch_like:Base"),
    NameExpectation(name="Fp8", status="defined", kind="class"),
    NameExpectation(name="old", status="placeholder", kind="value"),
)


@dataclass(frozen=True)
class Tiny(Shipped):
    """A source with real locks, and with expectations and a rehearsal of the test."""

    names: tuple[NameExpectation, ...] = NAMES
    digest: str = "index-1"
    asked: list[bool] = field(default_factory=list)

    def index_digest(self) -> str:
        return self.digest

    def code(self) -> Path:
        return self.locks.resolve() / "compat"

    def expectations(self, pair: Pair, lock: Lock, *, cuda: bool) -> tuple[ModuleExpectation, ...]:
        assert lock.pair == pair.id
        self.asked.append(cuda)
        return (
            ModuleExpectation(module="sglang.quant", exists=True, names=self.names),
            ModuleExpectation(module="sglang.quant.gone", exists=False),
            ModuleExpectation(module="sglang.waits", exists=True, open=True),
        )


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project folder with a lock, and configure uv to find the tiny wheel in a folder beside it."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "sglang-0.4.7-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        record = []
        metadata = {
            "sglang-0.4.7.dist-info/METADATA": "Metadata-Version: 2.1\nName: sglang\nVersion: 0.4.7\n",
            "sglang-0.4.7.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        for name, content in {**PACKAGE, **metadata}.items():
            archive.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}\n")
        archive.writestr("sglang-0.4.7.dist-info/RECORD", "".join(record))
    for variable, value in {
        "UV_OFFLINE": "1",
        "UV_NO_INDEX": "1",
        "UV_NO_CONFIG": "1",
        "UV_FIND_LINKS": str(wheels),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(variable, value)
    lock(tmp_path, hashlib.sha256(wheel.read_bytes()).hexdigest())
    write_rehearsal(tmp_path)
    return tmp_path


def write_rehearsal(house: Path, source: str = REHEARSAL) -> None:
    """Write the code that is rehearsed beside the locks, with which it is sent to other machines."""
    folder = house / "locks/compat/quant/backends"
    folder.mkdir(parents=True, exist_ok=True)
    for package in (folder, *folder.parents[:2]):
        (package / "__init__.py").touch()
    (folder / "rehearsal.py").write_text(source)


def lock(house: Path, digest: str, installed_bytes: int = 1000) -> None:
    locked = LockedPackage(
        pin=Pinned(version=Version("0.4.7"), hashes=(f"sha256:{digest}",)),
        imports=("sglang", "torch_like"),
        download_bytes=500,
        installed_bytes=installed_bytes,
    )
    write_lock(pair(), {canonicalize_name("sglang"): locked}, house / "locks")


def pair(*expect: KnownFailure) -> Pair:
    return Pair(id="tiny", python=PYTHON, sglang=Version("0.4.7"), expect=expect)


def options(house: Path, *, keep: bool = False, rerun: bool = False) -> scheduler.RunOptions:
    return scheduler.RunOptions(
        reports=house / "reports", envs=house / "envs", timeout=60, keep=keep, rerun=rerun
    )


def run_one(house: Path, sources: Tiny, chosen: Pair | None = None, **how: bool) -> CellOutcome:
    (outcome,) = scheduler.run_pairs([chosen or pair()], sources, options(house, **how))
    return outcome


def outcome_path(house: Path) -> Path:
    return house / "reports" / "tiny-import" / "outcome.json"


def test_a_true_index_passes_and_the_environment_is_gone(
    house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = Tiny(house / "locks")
    outcome = run_one(house, sources)
    assert (outcome.state, outcome.reason) == (State.PASSED, "")
    assert (outcome.counts.modules, outcome.counts.listed, outcome.counts.imported) == (3, 4, 4)
    assert outcome.machine["python"].startswith(PYTHON)
    assert outcome.layers == {"sglang": Layers(built=1, refused=1)}
    assert outcome.peak_bytes > 1000
    assert read_outcome(outcome_path(house), Cell(pair_id="tiny")) == outcome
    assert "uv pip install" in outcome_path(house).with_name("log.txt").read_text()
    assert not (house / "envs" / "tiny").exists()
    assert not (house / "envs" / "tiny.log").exists()
    assert sources.asked[-1] is False, "the probe told that there is no GPU"
    told = capfd.readouterr().err.splitlines()
    assert told[0].startswith("compat: tiny (sglang 0.4.7): 3 modules, ")
    assert "needs up to 200.0 MB of disk" in told[0]


def test_git_ignores_a_new_folder_of_reports_and_not_one_that_is_there(house: Path) -> None:
    run_one(house, Tiny(house / "locks"))
    assert (house / "reports/.gitignore").read_text() == "*\n"
    (house / "reports/.gitignore").unlink()
    run_one(house, Tiny(house / "locks"), rerun=True)
    assert not (house / "reports/.gitignore").exists()


def test_a_false_index_fails_with_each_disagreement(house: Path) -> None:
    names = (*NAMES[:3], NameExpectation(name="old", status="defined", kind="class"))
    outcome = run_one(house, Tiny(house / "locks", names))
    assert outcome.state is State.FAILED
    assert outcome.reason == "1 disagreement between index and run time"
    assert [str(entry) for entry in outcome.disagreements] == [
        "sglang.quant:old: index: defined class; run time: None"
    ]
    assert scheduler.exit_code([outcome]) == 1


def test_an_expected_failure_passes_and_an_idle_one_fails(house: Path) -> None:
    sources = Tiny(house / "locks", NAMES[:3])  # `old` is unlisted
    known = KnownFailure(location="sglang.quant:old", reason="looked into")
    outcome = run_one(house, sources, pair(known))
    assert (outcome.state, outcome.counts.disagreements, outcome.counts.expected) == (State.PASSED, 0, 1)
    assert outcome.expected[0].reason == "looked into"
    idle = run_one(house, sources, pair(known, KnownFailure(location="sglang.gone", reason="was there")))
    assert idle.state is State.FAILED
    assert idle.reason == "an expected failure did not happen: sglang.gone"


BROKEN = REHEARSAL.replace('"refused"', '"broken"').replace('says=""', 'says="TypeError: no size"')


def test_a_layer_that_cannot_be_built_fails_the_cell_unless_it_is_expected(house: Path) -> None:
    write_rehearsal(house, BROKEN)
    sources = Tiny(house / "locks")
    outcome = run_one(house, sources)
    assert (outcome.state, outcome.reason) == (State.FAILED, "1 layer that cannot be built")
    assert outcome.layers == {"sglang": Layers(built=1, broken=1)}
    told = "layer:sglang/awq4/awq/bfloat16: expected: a layer that is built; found: TypeError: no size"
    assert [outcome.complaint(entry) for entry in outcome.disagreements] == [told]
    assert told in files.as_text([outcome])
    known = KnownFailure(location="layer:sglang/awq4/*", reason="looked into")
    expected = run_one(house, sources, pair(known))
    assert (expected.state, expected.counts.expected) == (State.PASSED, 1)
    assert expected.layers == outcome.layers
    write_rehearsal(house)
    assert run_one(house, sources, pair(known)).reason.endswith("did not happen: layer:sglang/awq4/*")


def test_both_kinds_of_disagreement_are_told(house: Path) -> None:
    write_rehearsal(house, BROKEN)
    names = (*NAMES[:3], NameExpectation(name="old", status="defined", kind="class"))
    outcome = run_one(house, Tiny(house / "locks", names))
    assert outcome.reason == "1 disagreement between index and run time; 1 layer that cannot be built"
    assert outcome.counts.disagreements == 2


def test_a_pair_of_which_nothing_could_be_built_has_failed(house: Path) -> None:
    write_rehearsal(house, "import sys\nsys.exit('no torch here')\n")
    outcome = run_one(house, Tiny(house / "locks"))
    assert outcome.state is State.FAILED
    assert outcome.reason == (
        "the rehearsal of sglang exited with code 1; see the log; no layer of sglang could be built"
    )
    assert "no torch here" in outcome_path(house).with_name("log.txt").read_text()


def test_other_code_to_rehearse_is_another_run(house: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_one(house, Tiny(house / "locks")).passed
    verdict = gate.read_gate([pair()], Level.IMPORT, house / "reports", Tiny(house / "locks"))
    assert verdict.open
    write_rehearsal(house, BROKEN)
    verdict = gate.read_gate([pair()], Level.IMPORT, house / "reports", Tiny(house / "locks"))
    assert "code changed since" in verdict.failures[0].reason
    capfd.readouterr()
    assert not run_one(house, Tiny(house / "locks")).passed
    assert "tiny: running" in capfd.readouterr().err


@pytest.mark.skipif(bool(host()["driver"]), reason="this machine has a GPU's driver")
def test_without_a_compiler_a_cell_is_blocked_before_anything_is_installed(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = Tiny(house / "locks")
    assert run_one(house, sources).passed
    monkeypatch.setattr(driver_stub, "COMPILERS", ("no-such-compiler",))
    monkeypatch.delenv("CC", raising=False)
    outcome = run_one(house, sources, rerun=True)
    assert outcome.state is State.BLOCKED
    assert "install a compiler such as gcc" in outcome.reason
    assert "uv" not in outcome_path(house).with_name("log.txt").read_text()


def test_with_a_gpu_the_drivers_own_library_is_used_and_no_compiler_needed(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver and the GPU are claimed; what is looked at is that no stub comes before them."""
    monkeypatch.setattr("compat.matrix.cell.host", lambda: {"driver": "NVRM 580"})
    monkeypatch.setattr("compat.probe.probe_runner.ProbeRunner.machine", lambda _: {"cuda": True})
    monkeypatch.setattr(driver_stub, "COMPILERS", ("no-such-compiler",))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/own")
    own = "import os\nassert os.environ['LD_LIBRARY_PATH'] == '/own'\n"
    write_rehearsal(house, own + REHEARSAL)
    outcome = run_one(house, Tiny(house / "locks"))
    assert outcome.passed, outcome.reason
    assert outcome.layers["sglang"].built == 1


def test_an_index_that_lists_nothing_fails(house: Path) -> None:
    outcome = run_one(
        house, Tiny(house / "locks", ()), pair(KnownFailure(location="sglang.quant", reason="r"))
    )
    assert outcome.state is State.FAILED
    assert outcome.reason.startswith("nothing was imported")


def test_entries_that_together_cover_every_name_of_a_package_fail(house: Path) -> None:
    names = (*NAMES[:3], NameExpectation(name="old", status="defined", kind="class"))
    entries = (KnownFailure(location="sglang.quant:[A-Za-n]*", reason="r"), known("sglang.q*t:[o-z]*"))
    outcome = run_one(house, Tiny(house / "locks", names), pair(*entries))
    assert outcome.state is State.FAILED
    assert "the expected failures cover every name of sglang, so nothing of it is checked" in outcome.reason
    one = run_one(house, Tiny(house / "locks", names), pair(known("sglang.quant:o*")))
    assert one.passed, one.reason


def known(location: str) -> KnownFailure:
    return KnownFailure(location=location, reason="r")


def test_names_that_are_all_conditional_have_not_passed(house: Path) -> None:
    names = tuple(replace(name, status="conditional", origin=None) for name in NAMES)
    outcome = run_one(house, Tiny(house / "locks", names))
    assert (outcome.counts.imported, outcome.counts.checked, outcome.counts.conditional) == (4, 0, 4)
    assert outcome.state is State.FAILED
    assert outcome.reason == "nothing was checked: the index has no definite answer about any name"


def test_an_outcome_of_another_python_is_run_again(house: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = run_one(house, Tiny(house / "locks"))
    replace(first, machine={**first.machine, "python": "3.8.1"}).write(outcome_path(house))
    capfd.readouterr()
    assert run_one(house, Tiny(house / "locks")).machine["python"].startswith(PYTHON)
    assert "tiny: running" in capfd.readouterr().err


def test_a_finished_cell_is_run_again_only_when_something_differs(
    house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run_one(house, Tiny(house / "locks"))
    capfd.readouterr()
    again = run_one(house, Tiny(house / "locks"))
    assert again == first
    told = capfd.readouterr().err
    assert "lock, index and code have not changed since (--rerun runs it again)" in told
    assert "running" not in told
    for sources, chosen, rerun in (
        (Tiny(house / "locks"), pair(), True),
        (Tiny(house / "locks", digest="index-2"), pair(), False),
        (Tiny(house / "locks"), pair(KnownFailure(location="x", reason="r")), False),
    ):
        run_one(house, sources, chosen, rerun=rerun)
        assert "tiny: running" in capfd.readouterr().err
    last = read_outcome(outcome_path(house), Cell(pair_id="tiny"))
    replace(last, machine={**last.machine, "driver": "that of another machine"}).write(outcome_path(house))
    run_one(house, Tiny(house / "locks"), pair(KnownFailure(location="x", reason="r")))
    assert "tiny: running" in capfd.readouterr().err


@pytest.mark.skipif(bool(host()["driver"]), reason="this machine has a GPU's driver")
def test_an_environment_is_not_left_for_a_level_that_cannot_be_run_here(house: Path) -> None:
    both = replace(options(house), levels=tuple(Level))
    imported, on_gpu = scheduler.run_pairs([pair()], Tiny(house / "locks"), both)
    assert (imported.state, on_gpu.state) == (State.PASSED, State.NOT_RUN)
    assert not (house / "envs" / "tiny").exists()


def test_a_kept_environment_is_used_again_and_then_removed(house: Path) -> None:
    sources = Tiny(house / "locks")
    run_one(house, sources, keep=True)
    assert (house / "envs" / "tiny" / "env").is_dir()
    assert run_one(house, sources, rerun=True).passed
    assert "pip install" not in outcome_path(house).with_name("log.txt").read_text()
    assert not (house / "envs" / "tiny").exists()


def test_a_wheel_that_is_not_the_locked_one_blocks_the_cell(house: Path) -> None:
    lock(house, "0" * 64)
    outcome = run_one(house, Tiny(house / "locks"))
    assert outcome.state is State.BLOCKED
    assert outcome.reason.startswith("uv: ")
    assert "sglang" in outcome.reason
    assert "\n" not in outcome.reason
    assert scheduler.exit_code([outcome]) == 4
    assert not (house / "envs" / "tiny").exists()
    log = outcome_path(house).with_name("log.txt").read_text()
    assert "0" * 64 in log, "the log has uv's whole explanation"


def test_a_disk_that_cannot_hold_the_pair_blocks_it_before_anything_is_made(
    house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel = next((house / "wheels").iterdir())
    lock(house, hashlib.sha256(wheel.read_bytes()).hexdigest(), installed_bytes=10**18)
    outcome = run_one(house, Tiny(house / "locks"))
    assert outcome.state is State.BLOCKED
    assert outcome.reason.startswith("tiny: needs 1000000000.2 GB of disk")
    assert scheduler.exit_code([outcome]) == 4
    assert "free " in capfd.readouterr().err
    assert sorted(path.name for path in (house / "envs").iterdir()) == [".gitignore"]


def test_a_lock_of_other_inputs_is_refused(house: Path) -> None:
    other = Pair(id="tiny", python=PYTHON, sglang=Version("0.4.8"))
    with pytest.raises(UsageError, match=r"the lock of tiny is stale .*python -m compat\.pairs lock tiny"):
        run_one(house, Tiny(house / "locks"), other)


def test_a_pair_that_another_run_is_at_is_refused(house: Path) -> None:
    with (
        claimed(house / "envs", "tiny", "digest"),
        pytest.raises(UsageError, match="another process is running it"),
    ):
        run_one(house, Tiny(house / "locks"))


DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from compat._cli import console
from compat.matrix import scheduler
from compat.matrix.cell import host
import test_matrix_scheduler as tests
house = Path({house!r})
def main(argv):
    jobs = [tests.pair()], tests.Tiny(house / "locks"), tests.options(house)
    return scheduler.exit_code(scheduler.run_pairs(*jobs))
sys.exit(console.run(main))
"""


@dataclass
class Running:
    """A run that is importing a module, and a stream that ends when the importing process is dead."""

    process: subprocess.Popen[str]
    stream: int

    def import_is_dead(self, seconds: float = 60) -> bool:
        readable, _, _ = select.select([self.stream], [], [], seconds)
        return bool(readable) and os.read(self.stream, 1) == b""


@pytest.fixture
def running(house: Path) -> Iterator[Running]:
    """Yield a run in its own process that is importing a module that never ends."""
    fifo = house / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    code = DRIVER.format(root=str(ROOT), tests=str(Path(__file__).parent), house=str(house))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TINY_FIFO": str(fifo)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert select.select([stream], [], [], 60)[0], "the run never came to the module"
        assert os.read(stream, 1) == b"x"
        yield Running(process, stream)
    finally:
        process.kill()
        process.communicate()
        os.close(stream)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_leaves_nothing(number: signal.Signals, running: Running, house: Path) -> None:
    running.process.send_signal(number)
    _, told = running.process.communicate(timeout=60)
    assert running.process.returncode == 130
    assert told.splitlines()[-1] == "compat: interrupted"
    assert "Traceback" not in told
    assert running.import_is_dead()
    assert sorted(path.name for path in (house / "reports").rglob("*.*")) == [".gitignore", "outcome.json"]
    outcome = json.loads(next((house / "reports").rglob("*.json")).read_text())
    assert (outcome["state"], outcome["reason"]) == ("not-run", "interrupted; run the cell again")
    assert sorted(path.name for path in (house / "envs").iterdir()) == [".gitignore", "tiny.lock"]


def test_what_a_killed_run_leaves_is_removed_by_the_next(
    running: Running, house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    running.process.kill()
    running.process.wait(60)
    assert running.import_is_dead(), "a child does not outlive its run"
    assert (house / "envs" / "tiny" / "env").is_dir()
    assert run_one(house, Tiny(house / "locks")).passed
    assert "which an interrupted run of tiny left behind" in capfd.readouterr().err
    assert not (house / "envs" / "tiny").exists()


def test_the_probe_of_a_cell_writes_into_no_home_but_its_own(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    run_one(house, Tiny(house / "locks"), keep=True)
    records = [json.loads(line) for line in (house / "envs/tiny/records.jsonl").read_text().splitlines()]
    assert records[-1]["event"] == "done"
    assert list(home.iterdir()) == []
