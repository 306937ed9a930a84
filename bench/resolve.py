"""Measure queries of the index: in whole processes side by side, and as resolutions in one process.

Times depend on the machine; comparable are the ratios to an interpreter that does nothing, measured in turns.
Run it with `nox -s bench`, or with `python bench/resolve.py`.
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
IMPORTS = ("runpy, _sqlite3, argparse", "runpy, _sqlite3, argparse, json, typing")
"""What every answer loads, and the same with what `compat` does without (see `compat._util.named_tuple`)."""
SLOW_RUNS = 3
"""The number of runs of commands that take many seconds each."""
SAMPLE = 400
"""The number of names to resolve in every release of their package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The measurements of one command over all runs."""

    name: str
    runs: int
    median_ms: float
    fastest_ms: float
    ratio: float
    """Ratio of the median to the median of `FLOOR`."""
    peak_mb: float
    """Peak resident set of a run; never less than that of this script, of which the process is a copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The speed of resolutions in one process."""

    queries: int
    """The number of resolutions: names times releases."""
    first_per_second: float
    """Resolutions per second when each name is new."""
    warm_per_second: float
    """Resolutions per second when all were resolved before."""


def main() -> int:
    """Measure, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default: %(default)s)")
    parser.add_argument(
        "--env", type=Path, help="interpreter of an installed pair, to measure the import of the class"
    )
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
    from compat._util import (
        atomic_write,
    )  # imported late: this script must be small while it starts processes

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
        **{f"python -c 'import {names}'": [sys.executable, "-c", f"import {names}"] for names in IMPORTS},
        HISTORY: [*resolve, NAME, "--all"],
        f"resolve {NAME} --vllm 0.9.0.1": [*resolve, NAME, "--vllm", "0.9.0.1"],
        f"resolve {NAME} --all --format json": [*resolve, NAME, "--all", "--format", "json"],
        f"resolve {MODULE}.{NAME} --all": [*resolve, f"{MODULE}.{NAME}", "--all"],
        **pairs,
        f"resolve 'from {MODULE} import {NAME}' --all": [*resolve, f"from {MODULE} import {NAME}", "--all"],
        f"pairs --for {RANKED}": [sys.executable, "-m", "compat.pairs", "--for", RANKED],
    }


def measured(commands: Mapping[str, Sequence[str]], runs: int, floor: str) -> list[Timing]:
    """Return the timings of commands that take turns; the first round compiles bytecode and is ignored."""
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
    """Resolve a fixed random sample of names in every release of vllm twice, and return the speed."""
    from compat.index.reader import Index  # imported late, as in `main`
    from compat.resolve.api import Resolver

    index = Index()
    names = sorted(
        {entry.name for entry in index.name_ranges("vllm") if entry.branches[0].status == "defined"}
    )
    drawn = random.Random(0).sample(names, SAMPLE)  # noqa: S311 -- a reproducible sample
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
    """Return the results as a table of text."""
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
    """Return the results as JSON, without paths or machine names."""
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
