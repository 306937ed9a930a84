"""Measure `compat scan` on real trees, next to other tools: time and peak memory of whole processes.

Times differ from machine to machine; the ratios to `ruff check --select F401 --no-cache` on the same tree,
all measured in turn, round by round, are more stable. Other tools run if they are installed.
`nox -s bench -- scan FOLDER…`, or `python bench/scan.py FOLDER…`.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from processes import run

from compat import __version__
from compat._util import atomic_write

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
BASE = "ruff F401"
SLOW = ("pyright", "vermin")
"""Tools that run only once, because they take minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times and the peak memory of one tool on one tree."""

    tree: str
    tool: str
    runs: int
    wall_ms: float
    """Median."""
    cpu_ms: float
    """Median of user and system time."""
    ratio: float
    """Wall time divided by that of ruff."""
    cpu_ratio: float
    peak_mb: float
    """Largest resident set of a process."""


def main() -> int:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=10, help="of each quick tool (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (default: bench/results)")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    timings = [each for folder in arguments.folder for each in _measured(folder, arguments.runs)]
    print(table(timings))
    print(f"load of the machine before and after: {load:.1f}, {os.getloadavg()[0]:.1f}")
    version = ".".join(map(str, sys.version_info[:2]))
    target = arguments.output / f"scan-python{version}.json"
    atomic_write.write_text(target, json.dumps(document(timings, load), indent=2, sort_keys=True) + "\n")
    return 0


def _tools(folder: Path) -> dict[str, list[str]]:
    tree = str(folder)
    ruff, vermin, pyright = (_installed(name) for name in ("ruff", "vermin", "pyright"))
    if ruff is None:
        raise SystemExit("ruff was not found; install it: it is the baseline of all ratios")
    scan = [sys.executable, "-m", "compat.scan", tree]
    tools = {
        BASE: [ruff, "check", "--isolated", "--select", "F401", "--no-cache", tree],
        "compat scan": scan,
        "compat scan, newest releases": [*scan, "--vllm", "latest", "--sglang", "latest"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    if vermin:
        tools["vermin"] = [vermin, "--quiet", "--no-tips", tree]
    if pyright:
        tools["pyright"] = [pyright, "--pythonpath", sys.executable, tree]
    return tools


def _installed(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def _measured(folder: Path, runs: int) -> list[Timing]:
    tools = _tools(folder)
    walls: dict[str, list[float]] = {tool: [] for tool in tools}
    cpus: dict[str, list[float]] = {tool: [] for tool in tools}
    peaks: dict[str, float] = {}
    for number in range(runs + 1):  # the first round fills caches and does not count
        for tool, command in tools.items():
            if tool in SLOW and number != 1:
                continue
            took = run(command)
            peaks[tool] = max(took.peak_mb, peaks.get(tool, 0))
            if number:
                walls[tool].append(took.wall_s)
                cpus[tool].append(took.cpu_s)
    base, base_cpu = statistics.median(walls[BASE]), statistics.median(cpus[BASE])
    return [
        Timing(
            tree=folder.name,
            tool=tool,
            runs=len(walls[tool]),
            wall_ms=round(statistics.median(walls[tool]) * 1e3, 1),
            cpu_ms=round(statistics.median(cpus[tool]) * 1e3, 1),
            ratio=round(statistics.median(walls[tool]) / base, 2),
            cpu_ratio=round(statistics.median(cpus[tool]) / base_cpu, 2),
            peak_mb=round(peaks[tool], 1),
        )
        for tool in tools
    ]


def table(timings: Sequence[Timing]) -> str:
    """Return the results as a table."""
    lines = [
        f"{'tree':14}{'tool':32}{'runs':>5}{'wall ms':>10}{'ratio':>8}{'cpu ms':>10}{'ratio':>8}{'MB':>7}"
    ]
    lines += [
        f"{each.tree[:13]:14}{each.tool:32}{each.runs:>5}{each.wall_ms:>10.0f}{each.ratio:>8.2f}"
        f"{each.cpu_ms:>10.0f}{each.cpu_ratio:>8.2f}{each.peak_mb:>7.0f}"
        for each in timings
    ]
    return "\n".join(lines)


def document(timings: Sequence[Timing], load: float) -> dict[str, object]:
    """Return the results as a JSON document without names of machines or paths."""
    return {
        "schema": 1,
        "command": "bench scan",
        "compat": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(load, 1),
        "processes": [asdict(each) for each in timings],
    }


if __name__ == "__main__":
    sys.exit(main())
