"""Compare what `compat check` tells about an installed environment with what importing its modules does.

    python tools/check_truth.py whole --python ENV/bin/python [--sample N] [--seed S] [--json FILE]
    python tools/check_truth.py changes --python ENV/bin/python [--count 30] [--seed S] [--json FILE]

`whole` imports every module of sglang and vllm, each in a forked copy of a process that has imported what
most share. `changes` replaces one distribution after another with a release that is drawn at random among
those that some release of sglang or vllm admits, asks `check`, imports the package, what a server imports,
what `check` tells, and as many others that import the distribution, and puts the old release back.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from packaging.version import Version

from compat._cli.progress import on_terminal
from compat.check.environment import Completion
from compat.check.findings import CheckReport, check_environment
from compat.companions.broken_pairs import SERVER_MODULES
from compat.companions.candidates import required_by
from compat.companions.reader import Companions
from compat.index.query.import_graph import common_modules
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, SGLANG, VLLM
from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_records import ModuleFact
from compat.probe.probe_runner import ProbeRunner
from compat.requirements.installed import read_environment
from compat.uv.client import find_uv

DEVICE = (
    "driver", "cuda", "gpu", "torch.ops", "torchcfunction", "_opnamespace", "nvml", "rocm", "npu", "xpu",
    "device",
)  # fmt: skip
"""Words in errors of modules that want a device, or code compiled for it, while they are imported."""
LARGEST = 300_000_000
"""Bytes of a wheel; a larger one is not drawn."""
SAMPLE = 12


def main() -> None:
    """Run one of the two comparisons, and print its counts."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("what", choices=("whole", "changes"))
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--sample", type=int, help="how many modules to import (default: all)")
    parser.add_argument("--count", type=int, default=30, help="how many changes to make")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    index, companions = Index(), Companions()
    truth = Truth(arguments.python.absolute(), index, companions, arguments.timeout)
    if arguments.what == "whole":
        result = truth.whole(arguments.sample, arguments.seed)
    else:
        result = truth.changes(arguments.count, arguments.seed)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


class Truth:
    """One installed environment."""

    def __init__(self, python: Path, index: Index, companions: Companions, timeout: float) -> None:
        self.python, self.index, self.companions, self.timeout = python, index, companions, timeout
        (self.site,) = python.parent.parent.glob("lib/python3*/site-packages")
        self.minor = self.site.parent.name.removeprefix("python")

    @property
    def versions(self) -> dict[str, str]:
        """What is installed now."""
        return dict(read_environment([self.site]).versions)

    def check(self, versions: Mapping[str, str]) -> CheckReport:
        """Return what `compat check` finds with these versions."""
        environment = Completion(
            named=versions,
            specifiers={},
            index=self.index,
            companions=self.companions,
            python=self.minor,
            complete=True,
        ).run()
        return check_environment(environment, self.index, self.companions)

    def modules(self) -> list[str]:
        """Return all modules of sglang and vllm."""
        versions = self.versions
        return sorted(
            module
            for package in (SGLANG, VLLM)
            if package in versions
            for module in self.index.modules(
                package, self.index.release_index(package, versions[package], "")
            )
        )

    def look(
        self, modules: Iterable[str], common: Mapping[str, Sequence[str]], told: Container[str] = ()
    ) -> dict[str, ModuleFact]:
        """Import modules, and return what was seen; a failure that was told is not repeated."""
        expected = [
            ModuleExpectation(
                module=module, exists=True, open=True, problem="told" if module in told else None
            )
            for module in modules
        ]
        with (
            tempfile.TemporaryDirectory() as folder,
            (Path(folder) / "log").open("a+b", buffering=0) as log,
            on_terminal("importing", len(expected)) as progress,
        ):
            runner = ProbeRunner(python=self.python, folder=Path(folder), log=log, timeout=self.timeout)
            facts = {}
            for fact in runner.facts(expected, common):
                facts[fact.module] = fact
                progress.advance()
        return facts

    def whole(self, sample: int | None, seed: int) -> dict[str, object]:
        """Compare all modules, or some."""
        report = self.check(self.versions)
        modules = self.modules()
        if sample is not None:
            modules = sorted(random.Random(seed).sample(modules, min(sample, len(modules))))  # noqa: S311
        told = told_by(report)
        common = common_modules(self.index, self.versions)
        shared = {top: [each for each in found if each not in told] for top, found in common.items()}
        begun = time.monotonic()
        facts = self.look(modules, shared, told)
        print(f"{len(facts) / (time.monotonic() - begun):.1f} modules a second", flush=True)
        told &= facts.keys()
        failed = {module for module, fact in facts.items() if not fact.imported}
        device = {module for module in failed - told if wants_device(facts[module].error)}
        result: dict[str, object] = {
            "modules": len(facts),
            "failed": len(failed),
            "told": len(told),
            "told and failed": len(told & failed),
            "failed and not told": len(failed - told),
            "of these for a device": len(device),
            "told and imported": sorted(told - failed),
            "errors not told": Counter(
                facts[module].error for module in failed - told - device
            ).most_common(),
            "device errors": Counter(facts[module].error for module in device).most_common(12),
        }
        show(result)
        result["not told"] = {module: facts[module].error for module in sorted(failed - told)}
        return result

    def changes(self, count: int, seed: int) -> dict[str, object]:
        """Change one distribution at a time, and compare."""
        print(f"seed {seed}")
        draw = random.Random(seed)  # noqa: S311
        base = self.versions
        common = common_modules(self.index, base)
        tops = {IMPORT_NAMES[name]: list(common.get(IMPORT_NAMES[name], ()))[:1] for name in (SGLANG, VLLM)}
        before = self.check(base)
        good: dict[str, bool] = {}
        rows: list[dict[str, object]] = []
        counts: Counter[str] = Counter()
        for name, version in self._drawn(draw, base, count):
            report = self.check({**base, name: version})
            told = told_by(report) - told_by(before)
            chosen = self._chosen(draw, name, told, base)
            unknown = [module for module in chosen if module not in good]
            good.update((module, fact.imported) for module, fact in self.look(unknown, tops).items())
            tried = [module for module in chosen if good[module]]
            if not self._install(name, version):
                continue
            try:
                facts = self.look(tried, tops, told)
            finally:
                if not self._install(name, base[name]):
                    raise SystemExit(f"{name} {base[name]} cannot be put back")
            failed = {module for module, fact in facts.items() if not fact.imported}
            row = {
                "distribution": name,
                "from": base[name],
                "to": version,
                "tried": len(tried),
                "right": len(told & failed),
                "told only": sorted((told & set(tried)) - failed),
                "failed only": {module: facts[module].error for module in sorted(failed - told)},
            }
            rows.append(row)
            counts["modules"] += len(tried)
            counts["right"] += len(told & failed)
            counts["told only"] += len((told & set(tried)) - failed)
            counts["failed only"] += len(failed - told)
            print(
                json.dumps({**row, "failed only": Counter(facts[each].error for each in failed - told)}),
                flush=True,
            )
        result: dict[str, object] = {
            "seed": seed,
            "changes": len(rows),
            "distributions": len({row["distribution"] for row in rows}),
            **counts,
        }
        show(result)
        return {**result, "rows": rows}

    def _drawn(self, draw: random.Random, base: Mapping[str, str], count: int) -> list[tuple[str, str]]:
        """Draw distributions in turn, each with a release that some requirement admits and that runs here."""
        required = required_by(self.index)
        wanted: list[tuple[str, str]] = []
        names = sorted(base.keys() & self.companions.read & required.keys())
        while len(wanted) < count and names:
            before = len(wanted)
            draw.shuffle(names)
            for name in names[: count - len(wanted)]:
                yanked = self.companions.yanked(name)
                admitted = [
                    version
                    for at, version in enumerate(self.companions.versions(name))
                    if at not in yanked
                    and version != base[name].partition("+")[0]
                    and not Version(version).is_prerelease
                    and any(each.contains(version) for each in required[name] if str(each))
                ]
                if admitted and self._size(name) < LARGEST:
                    wanted.append((name, draw.choice(admitted)))
            if len(wanted) == before:
                break
        return wanted

    def _size(self, name: str) -> int:
        folder = read_environment([self.site]).folders[name]
        rows = (folder / "RECORD").read_text(encoding="utf-8").splitlines()
        return sum(int(row.rpartition(",")[2] or 0) for row in rows)

    def _chosen(self, draw: random.Random, name: str, told: set[str], base: Mapping[str, str]) -> list[str]:
        """Return the packages, the modules of the servers, some told modules, and some that import `name`."""
        there = set(self.modules())
        server = {
            module
            for package, modules in SERVER_MODULES.items()
            if package in base
            for module in (IMPORT_NAMES[package], *modules)
        }
        asking = {
            demand.module
            for package in (SGLANG, VLLM)
            if package in base
            for demand in self.companions.demands(package, base[package])
            if demand.form != "deferred" and name in self.companions.carriers(demand.target.partition(":")[0])
        }
        some = [draw.sample(sorted(each), min(SAMPLE, len(each))) for each in (told, asking - told)]
        return sorted((server | set(some[0]) | set(some[1])) & there)

    def _install(self, name: str, version: str) -> bool:
        command = [str(find_uv()), "pip", "install", "--quiet", "--python", str(self.python), "--no-deps"]
        done = subprocess.run(
            [*command, "--only-binary", ":all:", f"{name}=={version}"],
            check=False,
            capture_output=True,
            text=True,
            env=dict(os.environ),
        )
        if done.returncode:
            print(f"{name} {version}: not installed ({done.stderr.strip().splitlines()[-1:]})", flush=True)
        return done.returncode == 0


def told_by(report: CheckReport) -> set[str]:
    """Return all modules that a report tells to fail, with those that need what nothing requires."""
    return {module for each in (*report.findings, *report.left_out) for module in each.breaks}


def wants_device(error: str) -> bool:
    """Return whether an error is about a device or about code that is compiled for one."""
    return any(word in error.lower() for word in DEVICE)


def show(result: Mapping[str, object]) -> None:
    """Print counts as lines."""
    for key, value in result.items():
        if isinstance(value, list):
            print(f"{key}:", *(f"  {each}" for each in value), sep="\n")
        else:
            print(f"{key}: {value}")


if __name__ == "__main__":
    main()
