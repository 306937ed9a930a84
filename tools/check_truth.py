"""Compare what `compat check` tells about an installed environment with what importing its modules does.

    python tools/check_truth.py whole --python ENV/bin/python [--sample N] [--seed S] [--json FILE]
    python tools/check_truth.py changes --python ENV/bin/python [--count 30] [--seed S] [--json FILE]

`whole` imports every module of sglang and vllm, each in a forked copy of a process that has imported what
most share, and compares the names of those that import with the index. `changes` replaces one distribution
after another with a release that is drawn at random among those that some release of sglang or vllm admits,
asks `check`, imports the package, what a server imports, what `check` tells, and as many others that import
the distribution, and puts the old release back. Only distributions that the import of some module asks for
are changed, and only modules that can be imported before the change are compared, so what this machine lacks
does not count.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from compat.check.findings import Finding
from compat.companions.broken_pairs import SERVER_MODULES
from compat.companions.candidates import required_by
from compat.index.query.import_graph import common_modules
from compat.matrix.judge.compare import judge
from compat.model.releases import IMPORT_NAMES, SGLANG, VLLM
from compat.probe.probe_records import ModuleFact
from compat.requirements.installed import read_environment
from truth_environment import TruthEnvironment, names_root, told_by, wants_device

LARGEST = 300_000_000
"""Bytes that an installed distribution may have; a larger one is not changed."""
SAMPLE = 12


def main() -> None:
    """Run one of the two comparisons, and print its counts."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("what", choices=("whole", "changes"))
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--sample", type=int, help="how many modules to import (default: all)")
    parser.add_argument("--count", type=int, default=30, help="how many changes to make")
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of the largest to change")
    parser.add_argument("--cache", type=Path, help="a folder for the releases that are drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    environment = TruthEnvironment(arguments.python.absolute(), arguments.timeout)
    if arguments.what == "whole":
        result = whole(environment, arguments.sample, arguments.seed)
    else:
        changes = Changes(environment, arguments.seed, arguments.largest, arguments.cache)
        result = changes.run(arguments.count)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def whole(environment: TruthEnvironment, sample: int | None, seed: int) -> dict[str, object]:
    """Compare all modules, or some."""
    findings = told_by(environment.check(environment.versions))
    modules = environment.modules()
    if sample is not None:
        modules = sorted(random.Random(seed).sample(modules, min(sample, len(modules))))  # noqa: S311
    common = common_modules(environment.index, environment.versions)
    shared = {top: [each for each in found if each not in findings] for top, found in common.items()}
    begun = time.monotonic()
    expected = environment.expected(set(modules))
    facts = environment.look_for(expected, shared, findings)
    print(f"{len(facts) / (time.monotonic() - begun):.1f} modules a second", flush=True)
    told = findings.keys() & facts.keys()
    failed = {module for module, fact in facts.items() if not fact.imported}
    device = {module for module in failed - told if wants_device(facts[module].error)}
    right = {module for module in told & failed if names_root(facts[module].error, findings[module])}
    imported = [replace(each, problem=None) for each in expected if facts[each.module].imported]
    verdict = judge(imported, facts)
    result: dict[str, object] = {
        "modules": len(facts),
        "failed": len(failed),
        "told": len(told),
        "told and failed": len(told & failed),
        "of these with an error that names the root": len(right),
        "failed and not told": len(failed - told),
        "of these for a device": len(device),
        "told and imported": sorted(told - failed),
        "errors not told": _errors(failed - told - device, facts).most_common(),
        "device errors": _errors(device, facts).most_common(12),
        "other errors than told": _errors((told & failed) - right, facts).most_common(),
        "names of modules that import": verdict.counts.listed,
        "of these compared": verdict.counts.checked,
        "of these bound or not, as the machine decides": verdict.counts.conditional,
        "names that differ from the index": [
            f"{each.location}: {each.expected}, but {each.observed}" for each in verdict.disagreements
        ],
    }
    show(result)
    result["not told"] = {module: facts[module].error for module in sorted(failed - told)}
    return result


class Expectation(NamedTuple):
    """What `check` says of one change, before anything is installed."""

    name: str
    version: str
    findings: dict[str, list[Finding]]
    told: set[str]
    """The modules that are told to fail, and were not before the change."""
    chosen: list[str]
    """The modules to import."""


class Changes:
    """Changes of one distribution at a time, which are drawn.

    Args:
        environment: the environment, which is as before at the end.
        seed: where the draw begins.
        largest: bytes that a distribution may have.
        cache: a folder for the releases that are drawn, instead of uv's cache.
    """

    def __init__(self, environment: TruthEnvironment, seed: int, largest: int, cache: Path | None) -> None:
        self._environment, self._largest, self._cache = environment, largest, cache
        self._seed, self._draw = seed, random.Random(seed)  # noqa: S311 -- which releases, not a secret
        self._base = environment.versions
        self._there = set(environment.modules())
        self._first = {
            IMPORT_NAMES[package]: [IMPORT_NAMES[package], *SERVER_MODULES[package]]
            for package in (SGLANG, VLLM)
            if package in self._base
        }
        """What is imported in advance, as far as it can be: it is tried anyway."""
        self._good: dict[str, bool] = {}
        """Whether a module can be imported before any change."""

    def run(self, count: int) -> dict[str, object]:
        """Change one distribution at a time, and compare."""
        print(f"seed {self._seed}")
        before = told_by(self._environment.check(self._base)).keys()
        rows: list[dict[str, object]] = []
        counts: Counter[str] = Counter()
        expectations: list[Expectation] = []
        for name, version in self._drawn(count):
            findings = told_by(self._environment.check({**self._base, name: version}))
            told = set(findings.keys() - before)
            chosen = self._chosen(name, told)
            expectations.append(Expectation(name, version, findings, told, chosen))
            print(f"{name} {self._base[name]} to {version}: {len(told)} modules told to fail", flush=True)
        self._try({module for each in expectations for module in each.chosen})
        for name, version, findings, told, chosen in expectations:
            tried = [module for module in chosen if self._good[module]]
            if not self._environment.install(name, version, self._cache):
                continue
            first = {top: [each for each in some if each in tried] for top, some in self._first.items()}
            try:
                facts = self._environment.look(tried, first, told)
            finally:
                if not self._environment.install(name, self._base[name]):
                    raise SystemExit(f"{name} {self._base[name]} cannot be put back")
            expected = told & set(tried)
            failed = {module for module, fact in facts.items() if not fact.imported}
            row = {
                "distribution": name,
                "from": self._base[name],
                "to": version,
                "tried": len(tried),
                "told": len(expected),
                "failed": len(failed),
                "right": len(expected & failed),
                "root": sum(names_root(facts[each].error, findings[each]) for each in expected & failed),
                "told only": sorted(expected - failed),
                "failed only": _errors(failed - expected, facts),
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
            counts["modules"] += len(tried)
            counts["told"] += len(expected)
            counts["failed"] += len(failed)
            counts["told and failed"] += len(expected & failed)
            counts["of these with an error that names the root"] += int(str(row["root"]))
            counts["changes told to break something"] += bool(expected)
            counts["changes that break something"] += bool(failed)
            counts["changes told to break something, which do"] += bool(expected & failed)
        result: dict[str, object] = {
            "seed": self._seed,
            "changes": len(rows),
            "distributions": len({row["distribution"] for row in rows}),
            **counts,
        }
        show(result)
        return {**result, "rows": rows}

    def _drawn(self, count: int) -> list[tuple[str, str]]:
        """Draw distributions in turn, each with a release that some requirement admits and that runs here."""
        companions = self._environment.companions
        required = required_by(self._environment.index)
        wanted: list[tuple[str, str]] = []
        names = sorted(self._base.keys() & companions.read & required.keys())
        while len(wanted) < count and names:
            before = len(wanted)
            self._draw.shuffle(names)
            for name in names:
                if len(wanted) == count:
                    break
                yanked = companions.yanked(name)
                admitted = [
                    version
                    for at, version in enumerate(companions.versions(name))
                    if at not in yanked
                    and version != self._base[name].partition("+")[0]
                    and not Version(version).is_prerelease
                    and any(each.contains(version) for each in required[name] if str(each))
                ]
                if admitted and self._asking(name) and self._size(name) < self._largest:
                    wanted.append((name, self._draw.choice(admitted)))
            if len(wanted) == before:
                break
        return wanted

    def _asking(self, name: str) -> set[str]:
        """Return the modules of sglang and vllm whose import runs code of a distribution."""
        companions = self._environment.companions
        return {
            demand.module
            for package in (SGLANG, VLLM)
            if package in self._base
            for demand in companions.demands(package, self._base[package])
            if demand.form != "deferred" and name in companions.carriers(demand.target.partition(":")[0])
        }

    def _size(self, name: str) -> int:
        folder = read_environment([self._environment.site]).folders[name]
        rows = (folder / "RECORD").read_text(encoding="utf-8").splitlines()
        return sum(int(row.rpartition(",")[2] or 0) for row in rows)

    def _chosen(self, name: str, told: set[str]) -> list[str]:
        """Return the packages, the modules of the servers, some told modules, and some that import `name`."""
        server = {module for some in self._first.values() for module in some}
        asking = self._asking(name)
        some = [self._draw.sample(sorted(each), min(SAMPLE, len(each))) for each in (told, (asking - told))]
        return sorted((server | set(some[0]) | set(some[1])) & self._there)

    def _try(self, modules: Collection[str]) -> None:
        """Find out which modules can be imported before any change."""
        facts = self._environment.look(modules, self._first)
        self._good.update((module, fact.imported) for module, fact in facts.items())


def _errors(modules: Collection[str], facts: Mapping[str, ModuleFact]) -> "Counter[str]":
    return Counter(facts[each].error for each in modules)


def show(result: Mapping[str, object]) -> None:
    """Print counts as lines."""
    for key, value in result.items():
        if isinstance(value, list):
            print(f"{key}:", *(f"  {each}" for each in value), sep="\n")
        else:
            print(f"{key}: {value}")


if __name__ == "__main__":
    main()
