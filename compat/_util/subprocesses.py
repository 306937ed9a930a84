"""Long commands: in a process group of their own, with their output in a log and a limit in time."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from compat._cli.progress import Progress
from compat.errors import OutOfTimeError

LOOK_EVERY = 0.2
"""Seconds."""


def run_logged(
    command: Sequence[str],
    log: BinaryIO,
    progress: Progress,
    *,
    until: float = float("inf"),
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> int:
    """Return the exit code of a command; a negative one is the signal that ended it.

    The command and all that it starts are gone when this function ends, however that ends.

    Args:
        command: program and arguments.
        log: an unbuffered file, open for appending.
        progress: advanced by one every second.
        until: the value of `time.monotonic()` at which the command is ended.
        variables: its environment; this process's own when None.
        folder: where it runs.

    Raises:
        OutOfTimeError: it was not done by then.
    """
    log.write(f"$ {' '.join(command)}\n".encode())
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=None if variables is None else dict(variables),
        cwd=folder,
    )
    told, started = 0, time.monotonic()
    try:
        while True:
            try:
                return process.wait(LOOK_EVERY)
            except subprocess.TimeoutExpired:
                passed = int(time.monotonic() - started)
                progress.advance(passed - told)
                told = passed
            if time.monotonic() > until:
                raise OutOfTimeError(f"{os.path.basename(command[0])} was not done in time")  # noqa: PTH119
    finally:
        kill_group(process)


def how_ended(code: int) -> str:
    """Return in words how a process ended that did not reach its end: `crashed: signal 11 (SIGSEGV)`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    return f"crashed: signal {-code}{name}"


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process that leads its own group, and all that it has started and left in it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
