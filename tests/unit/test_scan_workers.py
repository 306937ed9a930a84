"""Files shared out among processes: every one is done once, whatever becomes of the others."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from compat.scan import workers
from compat.scan.workers import ENOUGH, shared

PATHS = [f"{number}.py" for number in range(40)]
SIZES = [ENOUGH] * len(PATHS)
HERE = os.getpid()

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take three processes, on whatever this runs: the runner of the tests may have threads, too."""
    monkeypatch.setattr(workers, "_cores", lambda: 3)


def doubled(paths: Iterator[str]) -> list[tuple[str, int]]:
    """Return each path twice over, and who has done it."""
    return [(path * 2, os.getpid()) for path in paths]


def test_the_results_are_in_the_order_of_the_paths() -> None:
    assert [path for path, _ in shared(doubled, PATHS, SIZES)] == [path * 2 for path in PATHS]


def test_others_do_a_part_and_are_gone_then() -> None:
    reader, writer = os.pipe()

    def work(paths: Iterator[str]) -> list[int]:
        if os.getpid() == HERE:
            os.read(reader, 1)  # until another process has begun
        done = []
        for _ in paths:
            os.write(writer, b".")
            done.append(os.getpid())
        return done

    done = shared(work, PATHS, SIZES)
    os.close(reader)
    os.close(writer)
    assert len(done) == len(PATHS)
    others = set(done) - {HERE}
    assert others
    for pid in others:
        with pytest.raises(ChildProcessError):  # it has been waited for
            os.waitpid(pid, os.WNOHANG)


def test_little_work_is_done_here() -> None:
    assert {pid for _, pid in shared(doubled, PATHS, [1] * len(PATHS))} == {HERE}


def test_what_a_killed_process_had_taken_is_done_here() -> None:
    reader, writer = os.pipe()

    waited: list[bytes] = []

    def work(paths: Iterator[str]) -> list[tuple[str, int]]:
        if os.getpid() != HERE:
            next(paths)
            os.write(writer, b".")
            os.kill(os.getpid(), signal.SIGKILL)
        elif not waited:  # what is left is done by a second call
            waited.append(os.read(reader, 1))
        return doubled(paths)

    done = shared(work, PATHS, SIZES)
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
        shared(work, PATHS, SIZES)


def test_a_process_with_threads_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    until = threading.Event()
    other = threading.Thread(target=until.wait)
    other.start()
    try:
        assert {pid for _, pid in shared(doubled, PATHS, SIZES)} == {HERE}
    finally:
        until.set()
        other.join()
