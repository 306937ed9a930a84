"""Find uv, and run it to make environments."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from compat._cli.progress import Progress
from compat._util import subprocesses
from compat._util.subprocesses import run_logged
from compat.errors import MissingToolError, PreparationError
from compat.uv.messages import failure_reason

LONGEST_ANSWER = 600.0
"""Seconds: it waits for others that hold the cache, and dropping much of that takes minutes."""


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


def venv_command(uv: Path, python: str, environment: Path) -> list[str]:
    """Return the command that makes an empty environment with the Python `X.Y`."""
    return [str(uv), "venv", "--no-project", "--python", python, str(environment)]


def install_command(uv: Path, environment: Path, requirements: Path) -> list[str]:
    """Return the command that installs exactly what a lock lists; where from, the user's uv knows."""
    python = str(interpreter(environment))
    options = ["--python", python, "--require-hashes", "--no-deps"]
    return [str(uv), "pip", "install", *options, "--requirements", str(requirements)]


def cache_query(uv: Path, environment: Path, requirements: Path) -> list[str]:
    """Return the command whose output `nothing_to_download` reads; it changes nothing."""
    return [*install_command(uv, environment, requirements), "--dry-run", "--offline"]


def interpreter(environment: Path) -> Path:
    """Return the Python of an environment."""
    return environment / "bin" / "python"


def cache_folder(uv: Path) -> Path:
    """Return where uv keeps what it has downloaded.

    Raises:
        PreparationError: uv does not tell.
    """
    code, output = ask([str(uv), "cache", "dir"])
    if code:
        raise PreparationError(failure_reason(output, code))
    return Path(output.strip())


def ask(command: Sequence[str]) -> tuple[int, str]:
    """Return exit code and output of a short command.

    Raises:
        PreparationError: it does not end.
    """
    done = subprocesses.run(command, seconds=LONGEST_ANSWER, merged=True)
    if done.code is None:
        asked = " ".join(command[1:3])
        raise PreparationError(
            f"`uv {asked}` did not end in {LONGEST_ANSWER:g} s; see whether another uv holds its cache"
        )
    return done.code, done.stdout


def run(command: Sequence[str], log: BinaryIO, progress: Progress, *, until: float = float("inf")) -> None:
    """Run a long command, its output in the log; `progress` advances once a second.

    Args:
        command: program and arguments.
        log: an unbuffered file, open for reading and appending.
        progress: told of every second.
        until: the value of `time.monotonic()` at which it is ended.

    Raises:
        PreparationError: the command failed; the message is its own shortest explanation.
        OutOfTimeError: it was not done by then.
    """
    begin = log.seek(0, os.SEEK_END)
    code = run_logged(command, log, progress, until=until)
    if code:
        log.seek(begin)
        raise PreparationError(failure_reason(log.read().decode(errors="replace"), code))
