"""Running uv: the only place where it is started."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from compat.errors import MissingToolError, PreparationError
from compat.matrix import environment
from compat.matrix.watch import kill_group
from compat.progress import Progress


def find_uv() -> Path:
    """Return the uv that came with this project's extra `matrix`, else the one on the PATH.

    Raises:
        MissingToolError: there is none.
    """
    try:
        from uv import find_uv_bin

        return Path(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise MissingToolError("uv is not installed (run `pip install uv`)")
    return Path(found)


def cache_folder(uv: Path) -> Path:
    """Return where uv keeps what it has downloaded."""
    code, output = ask([str(uv), "cache", "dir"])
    if code:
        raise PreparationError(environment.reason_of(output, code))
    return Path(output.strip())


def ask(command: Sequence[str]) -> tuple[int, str]:
    """Return exit code and output of a short command."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def run(command: Sequence[str], log: BinaryIO, progress: Progress) -> None:
    """Run a long command, its output in the log; `progress` advances once a second.

    The command is in a process group of its own and ends with this function, however that ends.

    Args:
        command: program and arguments.
        log: an unbuffered file, open for reading and appending.
        progress: told of every second.

    Raises:
        PreparationError: the command failed; the message is its own shortest explanation.
    """
    log.write(f"$ {' '.join(command)}\n".encode())
    begin = log.seek(0, os.SEEK_END)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    told, started = 0, time.monotonic()
    try:
        while True:
            try:
                code = process.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                passed = int(time.monotonic() - started)
                progress.advance(passed - told)
                told = passed
    finally:
        kill_group(process)
    if code:
        log.seek(begin)
        raise PreparationError(environment.reason_of(log.read().decode(errors="replace"), code))
