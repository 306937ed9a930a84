"""How fast questions to the index are answered: whole processes side by side, and resolutions in one process.

Times differ from machine to machine: what is meant to last are the ratios to an interpreter that does
nothing, measured in turn, round by round. Run it with `nox -s bench`, or `python bench/resolve.py --help`.
"""

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from processes import run

from compat import __version__

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
NAME = "Fp8LinearMethod"
MODULE = "vllm.model_executor.layers.quantization.fp8"
PAIRS = (("0.4.7", "0.9.0.1"), ("0.5.14", "0.26.0"))
"""In the second many more modules import one another."""
RANKED = "sglang==0.5.14"
FLOOR = "python -c pass"
HISTORY = f"resolve {NAME} --all"
SLOW_RUNS = 3
"""Runs of what takes many seconds each."""
SAMPLE = 400
"""Names that are resolved in every release of their package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the runs of one command took."""

    name: str
    runs: int
    median_ms: float
    fastest_ms: float
    ratio: float
    """Median against the median of `FLOOR`."""
    peak_mb: float
    """Largest resident set of a run; never less than that of this script, which the process starts as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Resolutions in one process."""

    queries: int
    """Pairs of a name and a release."""
    first_per_second: float
    """When each name is met for the first time."""
    warm_per_second: float
    """When everything has been asked before."""


def main() -> int:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15, help="of each command (default: %(default)s)")
    parser.add_argument("--env", type=Path, help="Python of an installed pair: times the import of the class")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (default: bench/results)")
    arguments = parser.parse_args()
    commands = _commands()
    timings = measured(commands, arguments.runs, FLOOR)
    if arguments.env:
        slow = {f"import {NAME} in a pair": [str(arguments.env), "-c", f"from {MODULE} import {NAME}"]}
        timings += measured({FLOOR: commands[FLOOR], **slow}, SLOW_RUNS, FLOOR)[1:]
    rates = in_process()
    print(table(timings, rates))
    version = ".".join(map(str, sys.version_info[:2]))
    from compat._util import atomic_write  # here, for this script has to be small while it starts others

    target = arguments.output / f"resolve-python{version}.json"
    atomic_write.write_text(target, json.dumps(document(timings, rates), indent=2, sort_keys=True) + "\n")
    print(f"written to {target.name}", file=sys.stderr)
    return 0


def _commands() -> dict[str, list[str]]:
    resolve = [sys.executable, "-m", "compat.resolve"]
    pairs = {
        f"resolve {NAME} --sglang {sglang} --vllm {vllm}": [
            *(*resolve, NAME, "--sglang", sglang, "--vllm", vllm)
        ]
        for sglang, vllm in PAIRS
    }
    return {
        FLOOR: [sys.executable, "-c", "pass"],
        "python -c 'import runpy, sqlite3'": [sys.executable, "-c", "import runpy, sqlite3"],
        HISTORY: [*resolve, NAME, "--all"],
        f"resolve {NAME} --vllm 0.9.0.1": [*resolve, NAME, "--vllm", "0.9.0.1"],
        f"resolve {NAME} --all --format json": [*resolve, NAME, "--all", "--format", "json"],
        f"resolve {MODULE}.{NAME} --all": [*resolve, f"{MODULE}.{NAME}", "--all"],
        **pairs,
        f"resolve 'from {MODULE} import {NAME}' --all": [*resolve, f"from {MODULE} import {NAME}", "--all"],
        f"pairs --for {RANKED}": [sys.executable, "-m", "compat.pairs", "--for", RANKED],
    }


def measured(commands: Mapping[str, Sequence[str]], runs: int, floor: str) -> list[Timing]:
    """Return the timings of commands that are run in turn; a first round, which compiles, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            took = run(command)
            if number:
                seconds[name].append(took.wall_s)
                peaks[name].append(took.peak_mb)
    least = statistics.median(seconds[floor])
    return [
        Timing(
            name=name,
            runs=runs,
            median_ms=round(statistics.median(took) * 1e3, 2),
            fastest_ms=round(min(took) * 1e3, 2),
            ratio=round(statistics.median(took) / least, 2),
            peak_mb=round(max(peaks[name]), 1),
        )
        for name, took in seconds.items()
    ]


def in_process() -> Rates:
    """Resolve names drawn at random, always the same, in every release of vllm, twice."""
    from compat.index.reader import Index  # here, as in `main`
    from compat.resolve.api import Resolver

    index = Index()
    names = sorted(
        {entry.name for entry in index.name_ranges("vllm") if entry.branches[0].status == "defined"}
    )
    drawn = random.Random(0).sample(names, SAMPLE)  # noqa: S311 -- a draw that can be repeated
    queries = [(name, version) for name in drawn for version in index.versions("vllm")]
    resolver = Resolver()
    rates = []
    for _ in range(2):
        begun = time.perf_counter()
        for name, version in queries:
            resolver.resolve(name, "vllm", version)
        rates.append(len(queries) / (time.perf_counter() - begun))
    return Rates(queries=len(queries), first_per_second=round(rates[0]), warm_per_second=round(rates[1]))


def table(timings: Sequence[Timing], rates: Rates) -> str:
    """Return the results for people."""
    lines = [f"{'':52}{'ratio':>9}{'median ms':>12}{'fastest':>9}{'peak MB':>9}"]
    lines += [
        f"{each.name[-51:]:52}{each.ratio:>9.2f}{each.median_ms:>12.1f}{each.fastest_ms:>9.1f}{each.peak_mb:>9.1f}"
        for each in timings
    ]
    times = {each.name: each.median_ms for each in timings}
    slow = next((name for name in times if name.startswith("import ")), None)
    if slow:
        lines.append(f"{slow} takes {times[slow] / times[HISTORY]:.0f} times as long as {HISTORY}")
    lines.append(
        f"in one process: {rates.first_per_second:.0f} resolutions a second at first, "
        f"{rates.warm_per_second:.0f} warm"
    )
    return "\n".join(lines)


def document(timings: Sequence[Timing], rates: Rates) -> dict[str, object]:
    """Return the results for programs: no names of machines, no paths."""
    return {
        "schema": 1,
        "command": "bench resolve",
        "compat": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cpus": os.cpu_count(),
        "processes": [asdict(each) for each in timings],
        "in_process": asdict(rates),
    }


if __name__ == "__main__":
    sys.exit(main())
