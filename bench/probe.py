"""Measure how many modules a second the probe imports: in copies of one process, and the modules in turn.

    python bench/probe.py --python ENV/bin/python [--modules 200] [--seed 1] [--turns 2]

Both look at the same modules, drawn from all of sglang and vllm in the environment, in turns (new, old, old,
new). Starting processes, importing what is shared and repeating failures count. The answers are compared.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from compat.index.query.import_graph import common_modules
from compat.index.reader import Index
from compat.model.releases import SGLANG, VLLM
from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_runner import ProbeRunner
from compat.requirements.installed import read_environment


def main() -> None:
    """Measure, and print the speeds and their ratio as JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--modules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=120)
    arguments = parser.parse_args()
    python = arguments.python.absolute()
    index = Index()
    (site,) = python.parent.parent.glob("lib/python3*/site-packages")
    versions = read_environment([site]).versions
    every = [
        module
        for package in (SGLANG, VLLM)
        if package in versions
        for module in sorted(index.modules(package, index.release_index(package, versions[package], "")))
    ]
    draw = random.Random(arguments.seed)  # noqa: S311 -- which modules, not a secret
    chosen = sorted(draw.sample(every, min(arguments.modules, len(every))))
    common = common_modules(index, versions)
    ways: dict[str, Mapping[str, Sequence[str]] | None] = {"copies": common, "in turn": None}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    processor: dict[str, list[float]] = {way: [] for way in ways}
    errors: dict[str, dict[str, str]] = {}
    for turn in range(arguments.turns):
        for way in ways if turn % 2 == 0 else reversed(ways):
            begun, used = time.monotonic(), children()
            errors[way] = look(python, chosen, ways[way], arguments.timeout)
            seconds[way].append(round(time.monotonic() - begun, 1))
            processor[way].append(round(children() - used, 1))
            print(
                f"{way}: {seconds[way][-1]} s, {processor[way][-1]} s of processor time, "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    speeds = {way: round(len(chosen) / mean(each), 2) for way, each in seconds.items()}
    differing = [name for name in chosen if errors["copies"].get(name) != errors["in turn"].get(name)]
    document = {
        "modules": len(chosen),
        "seed": arguments.seed,
        "seconds": seconds,
        "processor seconds": processor,
        "modules a second": speeds,
        "ratio": round(speeds["copies"] / speeds["in turn"], 1),
        "ratio of processor time": round(mean(processor["in turn"]) / mean(processor["copies"]), 1),
        "failed": sum(map(bool, errors["copies"].values())),
        "answers that differ": {name: [errors[way].get(name) for way in ways] for name in differing},
    }
    print(json.dumps(document, indent=1))


def children() -> float:
    """Return the processor time of all child processes that have ended: other programs do not change it."""
    used = os.times()
    return used.children_user + used.children_system


def look(
    python: Path, modules: Sequence[str], common: Mapping[str, Sequence[str]] | None, timeout: float
) -> dict[str, str]:
    """Import modules in one of the two ways, and return the error of each."""
    expected = [ModuleExpectation(module=module, exists=True, open=True) for module in modules]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("a+b", buffering=0) as log:
        runner = ProbeRunner(python=python, folder=Path(folder), log=log, timeout=timeout)
        return {fact.module: fact.error for fact in runner.facts(expected, common)}


if __name__ == "__main__":
    main()
