"""The matrix on a Ray cluster of two node processes, one of which is killed during a cell."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

import test_matrix_scheduler as cells
from compat import errors
from compat._cli import console
from compat.locks.lockfile import LockedPackage, Pinned, write_lock
from compat.matrix.cli import main
from compat.matrix.model.outcome import Cell, Level, State, read_outcome
from compat.matrix.ray_scheduler import Engine, _of_this_code, run_on_ray
from compat.model.releases import Pair
from test_matrix_faults import digest, rebuilt
from test_matrix_scheduler import ROOT, Tiny, house, options, pair, run_one

__all__ = ["house"]

WAITS_ONCE = """
import os, threading
flag = os.environ["TINY_FLAG"]
try:
    handle = os.open(flag, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
except FileExistsError:
    pass
else:
    os.write(handle, os.getcwd().encode())
    threading.Event().wait()
"""


def test_without_ray_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    monkeypatch.chdir(ROOT)
    assert console.run(main, ["run", "seed", "--engine", "ray"]) == errors.ENVIRONMENT
    assert console.run(main, ["run", "seed", "--address", "x"]) == errors.USAGE


@pytest.fixture
def cluster(house: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a head without CPUs, so that every cell runs on one of two nodes that can be lost."""
    pytest.importorskip("ray", reason="Ray is not installed")
    utils = importlib.import_module("ray.cluster_utils")
    monkeypatch.setenv("TINY_FLAG", str(house / "flag"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{Path(__file__).parent}")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setitem(cells.PACKAGE, "sglang/waits.py", WAITS_ONCE)
    rebuilt(house)
    started = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            started.add_node(num_cpus=1)
        started.wait_for_nodes()
        yield started
    finally:
        started.shutdown()


def pairs(house: Path) -> list[Pair]:
    """Return three pairs with real locks."""
    made = [Pair(id=name, python=pair().python, sglang=Version("0.4.7")) for name in ("one", "two", "three")]
    locked = LockedPackage(
        pin=Pinned(version=Version("0.4.7"), hashes=(digest(house),)),
        imports=("sglang", "torch_like"), download_bytes=1, installed_bytes=1000,
    )  # fmt: skip
    for each in made:
        write_lock(each, {canonicalize_name("sglang"): locked}, house / "locks")
    return made


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_lost_node_costs_time_and_no_cell(
    cluster: Any, house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import threading

    lost: list[str] = []

    def kill() -> None:
        """Kill the node whose cell imports the module that waits."""
        flag, deadline = house / "flag", time.monotonic() + 120
        while not (flag.exists() and flag.read_text()) and time.monotonic() < deadline:
            threading.Event().wait(0.1)
        for node in list(cluster.worker_nodes):
            if f"/{node.node_id[:12]}/" in flag.read_text():
                lost.append(node.node_id[:12])
                cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    chosen = pairs(house)
    engine = Engine(address=cluster.address, root=None)
    outcomes = run_on_ray(chosen, Tiny(house / "locks"), options(house), engine)
    killer.join()
    assert len(lost) == 1, "a node was killed while its cell was importing"
    assert [outcome.cell.pair_id for outcome in outcomes] == ["one", "two", "three"]
    assert all(outcome.passed for outcome in outcomes), [outcome.reason for outcome in outcomes]
    for outcome in outcomes:
        folder = house / "reports" / outcome.cell.id
        assert read_outcome(folder / "outcome.json", outcome.cell) == outcome
        assert "uv pip install" in (folder / "log.txt").read_text()
    told = capfd.readouterr().err
    assert told.count("ran on node") == 3
    assert f"ran on node {lost[0]}" not in told.rpartition("ran on node")[2]
    again = run_on_ray(chosen, Tiny(house / "locks"), options(house), engine)
    assert again == outcomes
    assert "0 cells on" in capfd.readouterr().err


ELSEWHERE = """
import json, os, sys
from pathlib import Path
from compat.matrix import ray_scheduler
import test_matrix_ray_scheduler as tests
from test_matrix_scheduler import Tiny, options
house = Path(sys.argv[1])
engine = ray_scheduler.Engine(address=sys.argv[2], root=Path.cwd(), sources=Tiny(Path("locks")))
outcomes = ray_scheduler.run_on_ray(tests.pairs(house)[:2], Tiny(house / "locks"), options(house), engine)
print(json.dumps([[outcome.state.value, outcome.reason] for outcome in outcomes]))
"""


def from_elsewhere(project: Path, house: Path, address: str) -> tuple[list[list[str]], str]:
    """Return exit code and output of a driver that runs another version of the code."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(house), address],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return answer, done.stderr


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_the_nodes_run_what_was_sent_and_not_what_they_have(
    house: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The nodes have this checkout. The driver has another version, which differs in one comment."""
    project = house / "project"
    shutil.copytree(ROOT / "compat", project / "compat", ignore=shutil.ignore_patterns("__pycache__"))
    with (project / "compat" / "matrix" / "judge" / "compare.py").open("a") as stream:
        stream.write("# another version\n")
    for name in ("test_matrix_ray_scheduler", "test_matrix_scheduler", "test_matrix_faults", "wheelhouse"):
        shutil.copy(Path(__file__).with_name(f"{name}.py"), project)
    monkeypatch.chdir("/")
    cluster = request.getfixturevalue("cluster")
    monkeypatch.setitem(cells.PACKAGE, "sglang/waits.py", "")
    rebuilt(house)
    pairs(house)
    shutil.copytree(house / "locks", project / "locks")
    answer, told = from_elsewhere(project, house, cluster.address)
    assert answer == [["passed", ""], ["passed", ""]]
    places = re.findall(r"by the code in (.*)", told)
    assert len(places) == 2
    assert all("/runtime_resources/" in place for place in places), "what Ray has unpacked on the node"
    assert all(
        (Path(place) / "matrix" / "judge" / "compare.py").read_text().endswith("version\n")
        for place in places
    )


def test_an_outcome_of_other_code_has_failed(house: Path) -> None:
    sources = Tiny(house / "locks")
    outcome = run_one(house, sources)
    assert _of_this_code(outcome, pair(), sources, "abc") == outcome
    other = _of_this_code(outcome, pair(), Tiny(house / "locks", digest="index-2"), "abc")
    assert other.state is State.FAILED
    assert other.reason == "node abc has another index than this machine"


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_a_gpu_cell_without_a_gpu_in_the_cluster_is_not_run(cluster: Any, house: Path) -> None:
    from dataclasses import replace

    how = replace(options(house), levels=(Level.GPU,))
    chosen = pairs(house)[:1]
    (outcome,) = run_on_ray(chosen, Tiny(house / "locks"), how, Engine(address=cluster.address, root=None))
    assert (outcome.state, outcome.cell) == (State.NOT_RUN, Cell(pair_id="one", level=Level.GPU))
    assert outcome.reason == "no GPU: no node of the cluster has one"
