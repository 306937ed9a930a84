"""One process, measured: how long it took, on the clock and on the processor, and how much memory it had.

This module takes little itself: a process starts as a copy of its parent, whose memory counts as its own.
"""

import os
import subprocess
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FINE = (0, 1)
"""How a tool ends that has done its work; 1 is for findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a process took."""

    wall_s: float
    cpu_s: float
    """User and system time, children that it has waited for included."""
    peak_mb: float
    """Largest resident set; never less than that of the script that started it."""


def run(
    command: Sequence[str],
    folder: Path = ROOT,
    variables: Mapping[str, str] | None = None,
    fine: Container[int] = FINE,
) -> Run:
    """Return what a process takes.

    Args:
        command: program and arguments.
        folder: where it runs.
        variables: its environment; this one without settings of Python when None.
        fine: the exit codes of a process that has done its work.

    Raises:
        SystemExit: it failed: what it took is no measure of its work.
    """
    if variables is None:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr  # noqa: S101 -- it is a pipe
    with process.stderr as stream:
        error = stream.read().decode(errors="replace")  # before it is waited for: it may fill the pipe
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in fine or "Traceback" in error:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}:\n{error}")
    return Run(wall_s=wall, cpu_s=usage.ru_utime + usage.ru_stime, peak_mb=usage.ru_maxrss / 1024)
