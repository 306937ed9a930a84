"""Parallel processing of files: every file is processed once, even if a process dies."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from compat.scan import workers
from compat.scan.workers import BYTES_PER_PROCESS, map_files

PATHS = [f"{number}.py" for number in range(40)]
SIZES = [BYTES_PER_PROCESS] * len(PATHS)
HERE = os.getpid()

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use three processes on any machine, even if the test runner has threads."""
    monkeypatch.setattr(workers, "_cores", lambda: 3)


def doubled(paths: Iterator[str]) -> list[tuple[str, int]]:
    """Return each path doubled, with the id of the process that did it."""
    return [(path * 2, os.getpid()) for path in paths]


def test_the_results_are_in_the_order_of_the_paths() -> None:
    assert [path for path, _ in map_files(doubled, PATHS, SIZES)] == [path * 2 for path in PATHS]


def test_others_do_a_part_and_are_gone_then() -> None:
    reader, writer = os.pipe()

    def work(paths: Iterator[str]) -> list[int]:
        if os.getpid() == HERE:
            os.read(reader, 1)  # until another process has started
        done = []
        for _ in paths:
            os.write(writer, b".")
            done.append(os.getpid())
        return done

    done = map_files(work, PATHS, SIZES)
    os.close(reader)
    os.close(writer)
    assert len(done) == len(PATHS)
    others = set(done) - {HERE}
    assert others
    for pid in others:
        with pytest.raises(ChildProcessError):  # its parent has waited for it
            os.waitpid(pid, os.WNOHANG)


def test_little_work_is_done_here() -> None:
    assert {pid for _, pid in map_files(doubled, PATHS, [1] * len(PATHS))} == {HERE}


def test_files_of_a_killed_process_are_processed_here() -> None:
    reader, writer = os.pipe()

    waited: list[bytes] = []

    def work(paths: Iterator[str]) -> list[tuple[str, int]]:
        if os.getpid() != HERE:
            next(paths)
            os.write(writer, b".")
            os.kill(os.getpid(), signal.SIGKILL)
        elif not waited:  # a second call does the rest
            waited.append(os.read(reader, 1))
        return doubled(paths)

    done = map_files(work, PATHS, SIZES)
    os.close(reader)
    os.close(writer)
    assert [path for path, _ in done] == [path * 2 for path in PATHS]
    assert {pid for _, pid in done} == {HERE}


def test_an_error_is_met_here() -> None:
    def work(paths: Iterator[str]) -> list[str]:
        done = []
        for path in paths:
            if path == PATHS[7]:
                raise ValueError(path)
            done.append(path)
        return done

    with pytest.raises(ValueError, match=r"7\.py"):
        map_files(work, PATHS, SIZES)


def test_a_process_with_threads_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    until = threading.Event()
    other = threading.Thread(target=until.wait)
    other.start()
    try:
        assert {pid for _, pid in map_files(doubled, PATHS, SIZES)} == {HERE}
    finally:
        until.set()
        other.join()
