"""Long commands: their group dies with them, and nothing outlives its time."""

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from compat._cli.progress import Silent
from compat._util.subprocesses import how_ended, run_logged
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


def test_a_signal_is_told_by_name(log: BinaryIO) -> None:
    code = run_logged([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], log, Silent())
    assert how_ended(code) == "crashed: signal 9 (SIGKILL)"
    assert how_ended(3) == "exited with code 3"


def test_time_out_ends_the_whole_group(log: BinaryIO, tmp_path: Path) -> None:
    """The grandchild holds a FIFO open: it reads as ended once nobody writes to it any more."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OutOfTimeError):
        run_logged([sys.executable, "-c", STARTER, str(fifo)], log, Silent(), until=time.monotonic() + 3)
    assert os.read(stream, 1) == b"x", "the grandchild has run"
    assert select.select([stream], [], [], 30)[0]
    assert os.read(stream, 1) == b"", "and is gone"
    os.close(stream)


def test_the_estimate_learns_from_what_is_done() -> None:
    clock = Estimate([100, 100, 200])
    assert clock.line() == " (1 of 3, about 6 min 40 s left)"
    clock.done(50)
    assert clock.line() == " (2 of 3, about 2 min 30 s left)"
    assert Estimate([100]).line() == ""
