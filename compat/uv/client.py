"""Find uv, build its command lines for environments, and run it."""

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
"""Seconds: uv waits for other processes that lock its cache, and cleaning a large cache takes minutes."""


def find_uv() -> Path:
    """Return the path of uv: the one of the extra `matrix`, or else the one on the PATH.

    Raises:
        MissingToolError: uv is not installed.
    """
    try:
        from uv import find_uv_bin

        return Path(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise MissingToolError('uv is not installed; run "pip install uv"')
    return Path(found)


def venv_command(uv: Path, python: str, environment: Path) -> list[str]:
    """Return the command that creates an empty environment with the Python version `X.Y`."""
    return [str(uv), "venv", "--no-project", "--python", python, str(environment)]


def install_command(uv: Path, environment: Path, requirements: Path) -> list[str]:
    """Return the command that installs the requirements file of a lock; the user's uv knows the index."""
    python = str(interpreter(environment))
    options = ["--python", python, "--require-hashes", "--no-deps"]
    return [str(uv), "pip", "install", *options, "--requirements", str(requirements)]


def cache_query(uv: Path, environment: Path, requirements: Path) -> list[str]:
    """Return the command of a dry run without network, whose output `nothing_to_download` reads."""
    return [*install_command(uv, environment, requirements), "--dry-run", "--offline"]


def interpreter(environment: Path) -> Path:
    """Return the path of an environment's interpreter."""
    return environment / "bin" / "python"


def cache_folder(uv: Path) -> Path:
    """Return the cache folder of uv.

    Raises:
        PreparationError: uv failed.
    """
    code, output = ask([str(uv), "cache", "dir"])
    if code:
        raise PreparationError(failure_reason(output, code))
    return Path(output.strip())


def ask(command: Sequence[str]) -> tuple[int, str]:
    """Run a short command of uv, and return exit code and output.

    Raises:
        PreparationError: the command does not finish in time.
    """
    done = subprocesses.run(command, seconds=LONGEST_ANSWER, merged=True)
    if done.code is None:
        subcommand = " ".join(command[1:3])
        raise PreparationError(
            f'"uv {subcommand}" did not finish within {LONGEST_ANSWER:g} s; check whether another uv process '
            "locks the cache"
        )
    return done.code, done.stdout


def run(command: Sequence[str], log: BinaryIO, progress: Progress, *, until: float = float("inf")) -> None:
    """Run a long command of uv, and append its output to the log.

    Args:
        command: program and arguments.
        log: an unbuffered file, open for reading and appending.
        progress: advanced once a second.
        until: the value of `time.monotonic()` at which the command is killed.

    Raises:
        PreparationError: the command failed; the message is the reason that uv prints, in one line.
        OutOfTimeError: the command did not finish in time.
    """
    begin = log.seek(0, os.SEEK_END)
    code = run_logged(command, log, progress, until=until)
    if code:
        log.seek(begin)
        raise PreparationError(failure_reason(log.read().decode(errors="replace"), code))
