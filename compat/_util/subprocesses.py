"""Run child processes; each has a process group of its own, and nothing in it outlives the call."""

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
"""Seconds between two checks of a running process."""
LONGEST_DYING = 1.0
"""Seconds; where nothing reaps orphans, a zombie would stay forever."""
MOST_OUTPUT = 64_000_000
"""Most bytes that are kept of one stream, from its end."""
GROUPS = hasattr(os, "killpg")
"""Whether the system has process groups; Windows has none, and only the process itself is ended there."""

Command = Sequence[str | Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int | None
    """The exit code; negative for a signal that ended the process, None after a time-out."""
    stdout: str
    stderr: str = ""
    """Empty if `stdout` contains both streams."""


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
    """Yield a running command; at the end of the block, it and all processes that it started are ended.

    Args:
        command: program and arguments.
        stdout: as for `subprocess.Popen`.
        stderr: as for `subprocess.Popen`.
        stdin: as for `subprocess.Popen`.
        variables: its environment variables; None for those of this process.
        folder: its current folder.

    Raises:
        OSError: the command cannot be started.
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
        if GROUPS:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        if GROUPS:
            _wait_for_group(process.pid)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _wait_for_group(group: int) -> None:
    """Wait until a killed group is gone, which takes a moment on a busy machine; not for a zombie in it."""
    until = time.monotonic() + LONGEST_DYING
    with suppress(ProcessLookupError):
        while time.monotonic() < until:
            with suppress(ChildProcessError):  # a subreaper has to collect the members itself
                os.waitpid(-group, os.WNOHANG)
            os.killpg(group, 0)
            time.sleep(0.01)


def run(
    command: Command,
    *,
    seconds: float,
    merged: bool = False,
    given: bytes = b"",
    variables: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
) -> CommandResult:
    """Run a command and return its exit code and output; all processes that it started are ended.

    Args:
        command: program and arguments.
        seconds: the time-out.
        merged: whether to return both streams as one, in the order in which they were written.
        given: its standard input.
        variables: its environment variables; None for those of this process.
        folder: its current folder.

    Raises:
        OSError: the command cannot be started.
    """
    until = time.monotonic() + seconds
    with tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT if merged else subprocess.PIPE}
        with running(command, **pipes, stdin=stdin, variables=variables, folder=folder) as process:
            kept = _read(process, until) if GROUPS else _read_at_end(process, until)
            code = process.poll()
    return CommandResult(
        code=code, **{name: bytes(text).decode(errors="replace") for name, text in kept.items()}
    )


def _read(process: "subprocess.Popen[bytes]", until: float) -> Mapping[str, bytes | bytearray]:
    """Return the output of a process until it ends or the time is over."""
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
                break  # a process that it started keeps the pipes open
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, until - time.monotonic()))
    return kept


def _read_at_end(process: "subprocess.Popen[bytes]", until: float) -> Mapping[str, bytes | bytearray]:
    """Return the output of a process that ends in time, where a selector cannot wait for a pipe (Windows)."""
    try:
        stdout, stderr = process.communicate(timeout=max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        stdout = stderr = b""
    return {"stdout": stdout or b"", "stderr": stderr or b""}


def run_logged(
    command: Sequence[str],
    log: BinaryIO,
    progress: Progress,
    *,
    until: float = float("inf"),
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> int:
    """Run a command with its output in a log, and return the exit code; negative for a signal.

    The command and all processes that it started are ended before this function returns or raises.

    Args:
        command: program and arguments.
        log: an unbuffered file, open for appending.
        progress: advances by one every second.
        until: the value of `time.monotonic()` at which the command is ended.
        variables: its environment variables; None for those of this process.
        folder: its current folder.

    Raises:
        OutOfTimeError: the command did not end in time.
    """
    log.write(f"$ {' '.join(command)}\n".encode())
    reported, started = 0, time.monotonic()
    with running(command, stdout=log, variables=variables, folder=folder) as process:
        while True:
            try:
                return process.wait(LOOK_EVERY)
            except subprocess.TimeoutExpired:
                passed = int(time.monotonic() - started)
                progress.advance(passed - reported)
                reported = passed
            if time.monotonic() > until:
                raise OutOfTimeError(f"{os.path.basename(command[0])} did not end in time")  # noqa: PTH119


def how_ended(code: int) -> str:
    """Return how a failed process ended, as text: `exited with code 1`, `crashed: signal 11 (SIGSEGV)`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    return f"crashed: signal {-code}{name}"
