"""Faults during a cell, with real uv, wheels and disks: no outcome is lost, and none passes."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

import test_matrix_scheduler as cells
from compat.errors import DiskError, PreparationError, UsageError
from compat.locks.lockfile import Inputs, Lock, LockedPackage, Pinned, write_lock
from compat.matrix import scheduler
from compat.matrix.cell import run_cell
from compat.matrix.disk_check import DiskCheck
from compat.matrix.install import disk_budget
from compat.matrix.install.disk_budget import Budget, Promised, droppable, enough, promised
from compat.matrix.install.disk_usage import used_bytes
from compat.matrix.install.verify_files import check_installed
from compat.matrix.install.workspace import claimed
from compat.matrix.model.outcome import State, read_outcome
from compat.matrix.report import files
from compat.model.releases import Pair
from compat.probe.probe_process import DAMAGED, FORKED
from compat.uv import client
from test_matrix_scheduler import Running, Tiny, house, options, outcome_path, pair, run_one, running
from wheelhouse import Fault, build_wheel, noise, serving

__all__ = ["house", "running"]


def test_a_hang_over_the_limit_of_the_cell_fails_and_leaves_nothing(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = house / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setenv("TINY_FIFO", str(fifo))
    (outcome,) = scheduler.run_pairs([pair()], Tiny(house / "locks"), replace(options(house), limit=12))
    os.close(stream)
    assert outcome.state is State.FAILED
    assert outcome.reason == "did not finish within 12 s: not all modules were imported in time"
    assert not (house / "envs" / "tiny").exists()
    assert "uv pip install" in outcome_path(house).with_name("log.txt").read_text()


def test_a_module_that_a_signal_kills_fails_its_cell_only(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    monkeypatch.setitem(cells.PACKAGE, "sglang/waits.py", source)
    rebuilt(house)
    outcome = run_one(house, Tiny(house / "locks"))
    assert outcome.state is State.FAILED
    (entry,) = outcome.disagreements
    assert (entry.location, entry.observed) == ("sglang.waits", "crashed: signal 11 (SIGSEGV)")
    assert outcome.counts.imported == 4, "the other modules were looked at all the same"


@pytest.mark.parametrize(
    ("source", "observed"),
    [
        ("import os\nfor _ in range(3): os.fork()\n", FORKED),
        (
            "import json, sys\nopen(json.load(open(sys.argv[1]))['records'], 'a').write('[1]\\n')\n",
            f"{DAMAGED}: b'[1]\\n'",
        ),
    ],
)
def test_an_odd_module_fails_its_cell_and_the_other_pairs_run(
    source: str, observed: str, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cells.PACKAGE, "sglang/waits.py", source)
    rebuilt(house)
    other = replace(pair(), id="other")
    write_for(house, other)
    outcomes = scheduler.run_pairs([pair(), other], AnyPair(house / "locks"), options(house))
    for outcome in outcomes:
        assert outcome.state is State.FAILED
        (entry,) = outcome.disagreements
        assert (entry.location, entry.observed) == ("sglang.waits", observed)
        assert outcome.counts.imported == 4
    assert len(outcomes) == 2


def rebuilt(house: Path) -> None:
    """Build the tiny wheel again from the current content of `PACKAGE`."""
    import hashlib

    wheel = next((house / "wheels").iterdir())
    body = build_wheel("sglang", "0.4.7", {name: text.encode() for name, text in cells.PACKAGE.items()})
    wheel.write_bytes(body)
    cells.lock(house, hashlib.sha256(body).hexdigest())


def test_a_cell_of_a_pair_that_is_taken_does_not_stop_the_others(house: Path) -> None:
    other = replace(pair(), id="other")
    write_for(house, other)
    sources = AnyPair(house / "locks")
    with (
        claimed(house / "envs", "tiny", "digest"),
        pytest.raises(UsageError, match="another process is running it"),
    ):
        scheduler.run_pairs([pair(), other], sources, options(house))
    assert (house / "reports" / "other-import" / "outcome.json").exists()
    assert not outcome_path(house).exists()


def write_for(house: Path, chosen: Pair) -> None:
    """Write the lock of another pair of the same package."""
    package = LockedPackage(
        pin=Pinned(version=Version("0.4.7"), hashes=(digest(house),)),
        imports=("sglang", "torch_like"), download_bytes=1, installed_bytes=1000,
    )  # fmt: skip
    write_lock(chosen, {canonicalize_name("sglang"): package}, house / "locks")


def test_two_runs_at_once_do_not_meet_in_one_pair(house: Path, running: Running) -> None:
    """The second run skips the pair that the first one runs, with its reservation, and runs the others."""
    other = replace(pair(), id="other")
    write_for(house, other)
    promise = house / "envs" / f"{disk_budget.PREFIX}tiny"
    before = promise.read_text()
    outcome_path(house).parent.mkdir(parents=True)
    outcome_path(house).write_text("the first run's")
    with pytest.raises(UsageError, match="tiny: another process is running it"):
        scheduler.run_pairs(
            [pair(), other], AnyPair(house / "locks"), replace(options(house), max_disk=10**9)
        )
    assert promise.read_text() == before
    assert outcome_path(house).read_text() == "the first run's"
    assert (house / "envs" / "tiny" / "env").is_dir()
    assert (house / "reports" / "other-import" / "outcome.json").exists()
    assert running.process.poll() is None
    assert not running.import_is_dead(0)


def test_a_report_that_cannot_be_written_does_not_stop_the_others(
    house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = replace(pair(), id="other")
    write_for(house, other)
    (house / "reports").mkdir()
    (house / "reports" / "tiny-import").write_text("in the way")
    with pytest.raises(DiskError):
        scheduler.run_pairs([pair(), other], AnyPair(house / "locks"), options(house))
    assert "compat: error: tiny-import: " in capfd.readouterr().err
    assert (house / "reports" / "other-import" / "outcome.json").exists()
    assert not (house / "envs" / "tiny").exists()


class AnyPair(Tiny):
    """A source that has the same expectations for every pair."""


def digest(house: Path) -> str:
    import hashlib

    return f"sha256:{hashlib.sha256(next((house / 'wheels').iterdir()).read_bytes()).hexdigest()}"


def test_a_network_that_is_cut_during_the_install_blocks(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a response that was cut short, the next attempt downloads the whole wheel."""
    wheel = next((house / "wheels").iterdir())
    with serving() as index:
        index.add(wheel.name, wheel.read_bytes())
        for name in ("UV_NO_INDEX", "UV_OFFLINE"):
            monkeypatch.delenv(name)
        monkeypatch.delenv("UV_FIND_LINKS")
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.simple)
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        index.faults.extend([Fault(cut=300)] * 20)
        outcome = run_one(house, Tiny(house / "locks"))
        assert outcome.state is State.BLOCKED
        assert outcome.reason.startswith("uv: ")
        assert index.url not in outcome.reason
        assert len(index.faults) < 20, "an answer was cut"
        index.faults.clear()
        again = run_one(house, Tiny(house / "locks"))
        assert again.passed, again.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"class Fp8: pass\n", "sglang/quant.py has 16 bytes instead of "),
        (None, "sglang/quant.py differs from the file in its wheel"),
    ],
)
def test_a_damaged_cache_blocks_and_is_no_finding(
    content: bytes | None, reason: str, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    assert run_one(house, Tiny(house / "locks")).passed
    (cached,) = (house / "cache").rglob("sglang/quant.py")
    cached.write_bytes(cached.read_bytes().replace(b"Fp8", b"Fp9") if content is None else content)
    outcome = run_one(house, Tiny(house / "locks"), rerun=True)
    assert outcome.state is State.BLOCKED
    assert outcome.reason.startswith(reason)
    assert outcome.reason.endswith('run "uv cache clean sglang", then the cell again')
    assert outcome.disagreements == ()


def test_a_file_that_is_missing_is_reported(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    (site / "vllm-1.0.dist-info").mkdir(parents=True)
    (site / "vllm-1.0.dist-info" / "RECORD").write_text("vllm/a.py,sha256=x,3\nvllm-1.0.dist-info/RECORD,,\n")
    with pytest.raises(PreparationError, match=r"vllm/a\.py is missing"):
        check_installed(tmp_path.glob("lib/python3*/site-packages"), {"vllm"})
    check_installed(tmp_path.glob("lib/python3*/site-packages"), {"sglang"})
    for damaged in (
        b"vllm/a.py,sha256=\xff,3\n",
        b"x" * 200_000,
        b"vllm-1.0.dist-info,,\nvllm,sha256=x,three\n",
    ):
        (site / "vllm-1.0.dist-info" / "RECORD").write_bytes(damaged)
        with pytest.raises(PreparationError, match=r"RECORD cannot be read|vllm is missing"):
            check_installed([site], {"vllm"})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 4 MB, which only root can do."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_during_the_install_blocks(house: Path, small_disk: Path) -> None:
    cells.PACKAGE["sglang/big.bin"] = noise(6_000_000).hex()[:6_000_000]
    try:
        rebuilt(house)
    finally:
        del cells.PACKAGE["sglang/big.bin"]
    how = replace(options(house), envs=small_disk / "envs")
    job = next(iter(scheduler.plan_pairs([pair()], Tiny(house / "locks"), how)))
    outcome = run_cell(job)
    assert outcome.state is State.BLOCKED
    assert "No space left on device" in outcome.reason
    assert not (small_disk / "envs" / "tiny").exists()


def test_what_fails_on_a_full_disk_is_no_finding(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.matrix.cell.FULL", 10**18)
    outcome = run_one(house, Tiny(house / "locks", ()))
    assert outcome.state is State.BLOCKED
    assert outcome.reason.startswith("tiny: the disk of ")
    assert outcome.reason.endswith(" is full; free disk space and run the cell again")


def test_a_disk_that_is_too_small_is_reported_before(house: Path, small_disk: Path) -> None:
    (outcome,) = scheduler.run_pairs(
        [pair()], Tiny(house / "locks"), replace(options(house), envs=small_disk / "envs")
    )
    assert outcome.state is State.BLOCKED
    assert outcome.reason.startswith("tiny: needs 200.0 MB of disk")


def test_cells_that_run_at_once_do_not_count_on_the_same_disk(tmp_path: Path) -> None:
    with promised(tmp_path, "one", 1000) as alone:
        assert alone.all == 1000
        with promised(tmp_path, "two", 500) as both:
            assert both.all == 1500
        with promised(tmp_path, "three", 1) as after:
            assert after.all == 1001
            assert after.others == {"one": 1000}
    (tmp_path / f"{disk_budget.PREFIX}killed").write_text("9999")  # of a process that has died
    with promised(tmp_path, "one", 1000) as again:
        assert again.all == 1000


def test_a_cell_that_ends_while_its_promise_is_read_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def refused(stream: IO[str], how: int) -> None:
        """Find the reservation locked by a cell that ends before its content is read."""
        try:
            lock(stream, how)
        except BlockingIOError:
            Path(stream.name).unlink()
            raise

    with promised(tmp_path, "one", 1000):
        monkeypatch.setattr("fcntl.flock", refused)
        with promised(tmp_path, "two", 500) as both:
            assert both.others == {"one": 1000}


def test_a_uv_that_waits_forever_is_reported_and_stops_no_other_cell(
    house: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    waits = house / "waits"
    waits.write_text("#!/bin/sh\nexec sleep 60\n")
    waits.chmod(0o755)
    other = replace(pair(), id="other")
    write_for(house, other)
    sources, how = AnyPair(house / "locks"), replace(options(house), max_disk=10**9)
    first, second = scheduler.plan_pairs([pair(), other], sources, how)
    monkeypatch.setattr(scheduler, "plan_pairs", lambda *_: [replace(first, uv=waits), second])
    assert client.LONGEST_ANSWER > 60
    said = '"uv cache dir" did not finish within 3 s; check whether another uv process locks the cache'
    monkeypatch.setattr(client, "LONGEST_ANSWER", 3)
    with pytest.raises(PreparationError, match=said):
        scheduler.run_pairs([pair(), other], sources, how)
    assert f"error: tiny-import: {said}" in capfd.readouterr().err
    assert read_outcome(house / "reports/other-import/outcome.json", second.cell).passed


def locked(**packages: str) -> Lock:
    """Return a lock of packages `version/bytes`."""
    split = {canonicalize_name(name): text.split("/") for name, text in packages.items()}
    return Lock(
        pair="x",
        inputs=Inputs(python="3.11", requirements=(), overrides=()),
        packages={name: Version(version) for name, (version, _) in split.items()},
        imports={},
        download_bytes=0,
        installed_bytes=0,
        digest="",
        requirements=Path(),
        sizes={name: int(count) for name, (_, count) in split.items()},
    )


def test_what_is_missed_least_is_dropped_first() -> None:
    done = [locked(torch="2.7.1/900", numpy="2/20", vllm="1/300"), locked(torch="2.6/800")]
    left = [locked(torch="2.8.0/950", numpy="2/20", cuda="12/500")]
    assert droppable(done, left) == (
        {"vllm": 300},
        {"torch": 1700},
        {"numpy": 20, "cuda": 500},
    )
    kept = {canonicalize_name("torch"), canonicalize_name("cuda")}
    assert droppable(done, left, kept) == ({"vllm": 300}, {}, {"numpy": 20})
    assert droppable([], [], set()) == ({}, {}, {})


def test_only_as_much_is_dropped_as_is_needed() -> None:
    sizes = {canonicalize_name(name): count for name, count in (("a", 5), ("b", 50), ("c", 10))}
    assert enough(sizes, 0) == []
    assert enough(sizes, 50) == ["b"]
    assert enough(sizes, 51) == ["b", "c"]
    assert enough(sizes, 1000) == ["b", "c", "a"]


def test_the_budget_drops_from_the_cache_and_refuses_when_that_is_not_enough(house: Path) -> None:
    assert run_one(house, Tiny(house / "locks")).passed
    cache, envs = house / "cache", house / "envs"
    full = used_bytes(cache, envs)

    def budget_of(limit: int) -> Budget:
        return Budget(limit=limit, cache=cache, envs=envs, uv=client.find_uv())

    done = [locked(sglang="0.4.7/1000")]
    budget_of(full + 1000).make_room(1000, done, [])
    assert list(cache.rglob("sglang/quant.py")), "there is room: nothing is dropped"
    with pytest.raises(DiskError):
        budget_of(full).make_room(1000, done, [], {canonicalize_name("sglang")})
    assert list(cache.rglob("sglang/quant.py")), "a cell that begins or runs counts on it"
    budget_of(full).make_room(1000, done, [])
    assert not list(cache.rglob("sglang/quant.py"))
    with pytest.raises(DiskError, match=r"needs 1\.0 kB, uv's cache and .* use .* and --max-disk is 10 B"):
        budget_of(10).make_room(1000, [], [])


def test_what_a_cell_is_to_find_in_the_cache_stays_there(house: Path) -> None:
    """The cell was planned without a download, as were the cells that run beside it."""
    (job,) = scheduler.plan_pairs([pair()], Tiny(house / "locks"), options(house))
    beside = replace(locked(numpy="2/20"), pair="beside")
    disk_check = DiskCheck(limit=1, done=[], left=[beside, replace(locked(torch="2.8/9"), pair="later")])
    running = Promised(mine=0, others={"beside": 1})
    for cached, names in ((True, {"sglang", "numpy"}), (False, {"numpy"})):
        planned = replace(job, plan=replace(job.plan, cached=cached))
        assert disk_check._kept(planned, running) == names


def test_nothing_is_dropped_for_a_cell_that_fits_in_no_case(house: Path) -> None:
    assert run_one(house, Tiny(house / "locks")).passed
    cache, envs = house / "cache", house / "envs"
    tight = Budget(limit=1000, cache=cache, envs=envs, uv=client.find_uv())
    with pytest.raises(DiskError):
        tight.make_room(1001, [locked(sglang="0.4.7/1000000")], [])
    assert list(cache.rglob("sglang/quant.py"))


def test_what_a_kept_environment_links_to_counts(house: Path) -> None:
    assert run_one(house, Tiny(house / "locks"), keep=True).passed
    cache, envs = house / "cache", house / "envs"
    assert used_bytes(cache, envs) < used_bytes(cache) + used_bytes(envs), "links count once"
    with pytest.raises(DiskError):
        Budget(limit=used_bytes(cache), cache=cache, envs=envs, uv=client.find_uv()).make_room(0, [], [])


def test_an_outcome_states_what_cache_and_environments_used(house: Path) -> None:
    limit = 10**9
    (outcome,) = scheduler.run_pairs([pair()], Tiny(house / "locks"), replace(options(house), max_disk=limit))
    assert outcome.passed
    assert outcome.budget_bytes == limit
    assert outcome.peak_bytes <= outcome.shared_bytes < limit
    assert outcome.shared_bytes > used_bytes(house / "cache"), "before the environment is removed"
    assert read_outcome(outcome_path(house), outcome.cell) == outcome
    assert " of 1.0 GB" in files.as_text([outcome])
    assert json.loads(files.as_json([outcome]))["disk"]["peak_bytes"] == outcome.shared_bytes
    assert json.loads(files.as_json([replace(outcome, budget_bytes=0)]))["disk"] is None


def test_cells_of_other_processes_share_the_budget(house: Path) -> None:
    """Under nox, each pair has its own process; packages of finished ones may be removed."""
    first, second = (replace(pair(), id=name) for name in ("first", "second"))
    for each in (first, second):
        write_for(house, each)
    sources = AnyPair(house / "locks")
    how = replace(options(house), max_disk=10**9, beside=(second,))
    scheduler.run_pairs([first], sources, how)
    (job,) = scheduler.plan_pairs([second], sources, replace(how, beside=(first,)))
    disk_check = scheduler._disk_check([], [job], sources, replace(how, beside=(first,)))
    assert [lock.pair for lock in disk_check.done] == ["first"]
    assert [lock.pair for lock in disk_check.left] == ["second"]
    disk_check = scheduler._disk_check(
        [], [job], sources, replace(how, beside=(first,), reports=house / "elsewhere")
    )
    assert [lock.pair for lock in disk_check.left] == ["second", "first"]


def test_a_cell_beyond_the_budget_is_blocked(house: Path) -> None:
    (outcome,) = scheduler.run_pairs([pair()], Tiny(house / "locks"), replace(options(house), max_disk=1000))
    assert outcome.state is State.BLOCKED
    assert "--max-disk is 1.0 kB" in outcome.reason
