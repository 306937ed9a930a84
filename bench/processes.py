"""Measure wall time, processor time and peak memory of one process.

This module itself needs little memory, since a process starts as a copy of its parent, whose memory counts.
"""

import os
import subprocess
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FINE = (0, 1)
"""Exit codes of a tool that has finished its work; 1 means findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Time and memory of one process."""

    wall_s: float
    cpu_s: float
    """User and system time, including children that it has waited for."""
    peak_mb: float
    """Peak resident set; never less than that of the script that started it."""


def run(
    command: Sequence[str],
    folder: Path = ROOT,
    variables: Mapping[str, str] | None = None,
    fine: Container[int] = FINE,
) -> Run:
    """Run a process, and return its time and memory.

    Args:
        command: program and arguments.
        folder: the working directory.
        variables: the environment variables; None for the current ones without those of Python.
        fine: the exit codes of a process that has finished its work.

    Raises:
        SystemExit: the process failed, so that its measurements do not count.
    """
    if variables is None:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr  # noqa: S101 -- it is a pipe
    with process.stderr as stream:
        error = stream.read().decode(errors="replace")  # before waiting, since the process may fill the pipe
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in fine or "Traceback" in error:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}:\n{error}")
    return Run(wall_s=wall, cpu_s=usage.ru_utime + usage.ru_stime, peak_mb=usage.ru_maxrss / 1024)
