"""Child processes: each in a process group of its own, of which nothing is left when the caller goes on."""

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compat._cli.progress import Progress
from compat.errors import OutOfTimeError

LOOK_EVERY = 0.2
"""Seconds."""
MOST_OUTPUT = 64_000_000
"""Bytes that are kept of one stream, the last ones."""

Command = Sequence[str | Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command ended, and what it printed."""

    code: int | None
    """Its exit code; a negative one is the signal that ended it, None means that its time was over."""
    stdout: str
    stderr: str = ""
    """Empty where both streams are in `stdout`."""


@contextmanager
def running(
    command: Command,
    *,
    stdout: "BinaryIO | int",
    stderr: int = subprocess.STDOUT,
    stdin: "BinaryIO | int" = subprocess.DEVNULL,
    variables: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield a running command; it and all that it has started are gone when the block has ended.

    Args:
        command: program and arguments.
        stdout: as for `subprocess.Popen`.
        stderr: as for `subprocess.Popen`.
        stdin: as for `subprocess.Popen`.
        variables: its environment; this process's own when None.
        folder: where it runs.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=None if variables is None else dict(variables),
        cwd=folder,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def run(
    command: Command,
    *,
    seconds: float,
    merged: bool = False,
    given: bytes = b"",
    variables: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
) -> Result:
    """Return how a command ended and what it printed; what it leaves running is ended with it.

    Args:
        command: program and arguments.
        seconds: after these it is ended.
        merged: whether both streams are wanted as one, in the order in which they were written.
        given: its standard input.
        variables: its environment; this process's own when None.
        folder: where it runs.

    Raises:
        OSError: it cannot be started.
    """
    until = time.monotonic() + seconds
    with tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT if merged else subprocess.PIPE}
        with running(command, **pipes, stdin=stdin, variables=variables, folder=folder) as process:
            kept = _read(process, until)
            code = process.poll()
    return Result(code=code, **{name: bytes(text).decode(errors="replace") for name, text in kept.items()})


def _read(process: "subprocess.Popen[bytes]", until: float) -> dict[str, bytearray]:
    """Return what a process prints until it ends or its time is over; it has ended when it can be polled."""
    kept = {"stdout": bytearray(), "stderr": bytearray()}
    with selectors.DefaultSelector() as selector:
        for name, text in kept.items():
            if (stream := getattr(process, name)) is not None:
                selector.register(stream, selectors.EVENT_READ, text)
        while selector.get_map() and time.monotonic() < until:
            ended = process.poll() is not None
            ready = selector.select(0 if ended else min(LOOK_EVERY, max(0.0, until - time.monotonic())))
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                key.data.extend(data)
                del key.data[:-MOST_OUTPUT]
                if not data:
                    selector.unregister(key.fileobj)
            if ended and not ready:
                break  # something that it has left behind holds the pipes open
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, until - time.monotonic()))
    return kept


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
    told, started = 0, time.monotonic()
    with running(command, stdout=log, variables=variables, folder=folder) as process:
        while True:
            try:
                return process.wait(LOOK_EVERY)
            except subprocess.TimeoutExpired:
                passed = int(time.monotonic() - started)
                progress.advance(passed - told)
                told = passed
            if time.monotonic() > until:
                raise OutOfTimeError(f"{os.path.basename(command[0])} was not done in time")  # noqa: PTH119


def how_ended(code: int) -> str:
    """Return in words how a process ended that did not reach its end: `crashed: signal 11 (SIGSEGV)`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    return f"crashed: signal {-code}{name}"
