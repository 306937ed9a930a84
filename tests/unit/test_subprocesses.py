"""Child processes: output, exit codes and time-outs, and no process of their group is left running."""

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from compat._cli.progress import Silent
from compat._util import subprocesses
from compat._util.subprocesses import how_ended, run, run_logged
from compat.errors import OutOfTimeError
from compat.matrix.scheduler import Estimate

STARTER = """
import subprocess, sys, threading
child = (
    "import os, sys, threading; stream = os.open(sys.argv[1], os.O_WRONLY); "
    "os.write(stream, b'x'); threading.Event().wait()"
)
subprocess.Popen([sys.executable, "-c", child, sys.argv[1]])
threading.Event().wait()
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[BinaryIO]:
    with (tmp_path / "log").open("a+b", buffering=0) as stream:
        yield stream


def test_the_code_and_the_output_are_kept(log: BinaryIO, tmp_path: Path) -> None:
    code = run_logged([sys.executable, "-c", "print(1); raise SystemExit(7)"], log, Silent())
    assert code == 7
    assert (tmp_path / "log").read_bytes().endswith(b"\n1\n")


def test_a_signal_is_reported_by_name(log: BinaryIO) -> None:
    code = run_logged([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], log, Silent())
    assert how_ended(code) == "crashed: signal 9 (SIGKILL)"
    assert how_ended(3) == "exited with code 3"


def test_time_out_ends_the_whole_group(log: BinaryIO, tmp_path: Path) -> None:
    """The grandchild keeps a FIFO open; reading it ends once the grandchild has ended."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OutOfTimeError):
        run_logged([sys.executable, "-c", STARTER, str(fifo)], log, Silent(), until=time.monotonic() + 3)
    assert os.read(stream, 1) == b"x", "the grandchild has run"
    assert select.select([stream], [], [], 30)[0]
    assert os.read(stream, 1) == b"", "and is gone"
    os.close(stream)


def test_both_streams_are_kept_apart_or_as_one(tmp_path: Path) -> None:
    code = "import os; os.write(1, b'a'); os.write(2, b'b\\xff'); os.write(1, b'c'); raise SystemExit(3)"
    apart = run([sys.executable, "-c", code], seconds=60)
    assert (apart.code, apart.stdout, apart.stderr) == (3, "ac", "b\N{REPLACEMENT CHARACTER}")
    as_one = run([sys.executable, "-c", code], seconds=60, merged=True)
    assert (as_one.code, as_one.stdout, as_one.stderr) == (3, "ab\N{REPLACEMENT CHARACTER}c", "")
    with pytest.raises(FileNotFoundError):
        run([tmp_path / "none"], seconds=60)


def test_the_command_gets_its_input_folder_and_variables(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['A'], len(sys.stdin.buffer.read()))"
    done = run(
        [sys.executable, "-c", code],
        seconds=60,
        given=b"x" * 1_000_000,
        variables={"A": "b"},
        folder=tmp_path,
    )
    assert done.stdout.split() == [str(tmp_path), "b", "1000000"]


def test_the_end_of_a_flood_of_output_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "MOST_OUTPUT", 1000)
    done = run([sys.executable, "-c", "print('x' * 1_000_000, end='end')"], seconds=60)
    assert (len(done.stdout), done.stdout[-5:]) == (1000, "xxend")


def test_a_time_out_ends_a_command_and_all_that_it_started(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert run([sys.executable, "-c", STARTER, fifo], seconds=3).code is None
    assert os.read(stream, 1) == b"x", "the grandchild has run"
    assert select.select([stream], [], [], 30)[0]
    assert os.read(stream, 1) == b"", "and is gone"
    os.close(stream)


def test_processes_that_a_command_leaves_behind_are_ended(tmp_path: Path) -> None:
    """The grandchild inherits the streams, so that reading these to their end would wait for it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    leaves = STARTER.replace("threading.Event().wait()\n", "print('left', flush=True)\n")
    begun = time.monotonic()
    done = run([sys.executable, "-c", leaves, fifo], seconds=300)
    assert (done.code, done.stdout) == (0, "left\n")
    assert time.monotonic() - begun < 200
    while select.select([stream], [], [], 30)[0]:
        if not os.read(stream, 1):
            break
    else:
        pytest.fail("it is still there")
    os.close(stream)


def test_the_estimate_learns_from_what_is_done() -> None:
    clock = Estimate([100, 100, 200])
    assert clock.line() == " (1 of 3, about 6 min 40 s left)"
    clock.done(50)
    assert clock.line() == " (2 of 3, about 2 min 30 s left)"
    assert Estimate([100]).line() == ""
