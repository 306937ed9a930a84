"""Measure what each shortcut of `compat scan` saves: whole scans with and without it, in turn.

A shortcut is code that exists for speed alone. The benchmark replaces each one by the general code that it
spares. The findings stay the same, except that `prefilter.conditional_imports` also limits which modules
count as conditional. Times differ from machine to machine, ratios less so, and other work on the machine
disturbs the minimum least. `python bench/scan_parts.py FOLDER…` writes its results
to `bench/results/scan-parts-pythonX.Y.json`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from processes import Run, run

from compat import __version__
from compat._util import atomic_write

RESULTS = Path(__file__).resolve().parent / "results"
ALL = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What scans of one tree took without one shortcut."""

    tree: str
    without: str
    """The shortcut that was replaced; `nothing` for the scan as it is."""
    runs: int
    wall_ms: float
    """Median."""
    cpu_ms: float
    """Median of user and system time, child processes included."""
    wall_ratio: float
    """Shortest wall time against that of the scan as it is."""
    cpu_ratio: float
    """Least user and system time against that of the scan as it is."""


def _every_name(self: Any, _path: str, data: bytes) -> set[str]:
    """Return all names of `ImportedNames` for a file that contains the name of the module."""
    return set(self._names.values()) if self._stem in data else set()


SHORTCUTS: dict[str, tuple[str, str, Any]] = {
    "workers": ("compat.scan.workers", "MAX_PROCESSES", 1),
    "prefilter.all_names_resolve": (
        "compat.scan.check.file_checker",
        "all_names_resolve",
        lambda _data, _resolves: False,
    ),
    "prefilter.conditional_imports": (
        "compat.scan.project.importers",
        "ImportGraph._may_be_conditional",
        lambda _self, _path: True,
    ),
    "prefilter.imported_names": (
        "compat.scan.prefilter.imported_names",
        "ImportedNames.__call__",
        _every_name,
    ),
}
"""Each shortcut with the module and the attribute that select it, and what selects the general code."""


def replace(shortcut: str) -> None:
    """Make this process use the general code instead of a shortcut."""
    module, path, replacement = SHORTCUTS[shortcut]
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    getattr(owner, name)  # a shortcut that no longer exists is an error
    setattr(owner, name, replacement)


def main() -> int:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=7, help="of each scan (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (default: bench/results)")
    parser.add_argument(
        "--without", choices=SHORTCUTS, help="scan once without this shortcut, and do no more"
    )
    arguments = parser.parse_args()
    if arguments.without:
        replace(arguments.without)
    if arguments.without or arguments.runs == 0:
        from compat.scan.cli import main as scan

        return scan([str(folder) for folder in arguments.folder])
    load = os.getloadavg()[0]
    savings = [each for folder in arguments.folder for each in measured(folder, arguments.runs)]
    for each in savings:
        print(
            f"{each.tree:20}{each.without:32}{each.wall_ms:>8.0f} ms wall ({each.wall_ratio:.2f})"
            f"{each.cpu_ms:>8.0f} ms CPU ({each.cpu_ratio:.2f})"
        )
    document = {
        "schema": 1,
        "command": "bench scan_parts",
        "compat": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(load, 1),
        "scans": [asdict(each) for each in savings],
    }
    version = ".".join(map(str, sys.version_info[:2]))
    target = arguments.output / f"scan-parts-python{version}.json"
    atomic_write.write_text(target, json.dumps(document, indent=2, sort_keys=True) + "\n")
    return 0


def measured(folder: Path, runs: int) -> list[Saving]:
    """Return what scans of a folder take, with all shortcuts first and then without each."""
    command = [sys.executable, __file__, str(folder.resolve())]
    commands = {ALL: [*command, "--runs", "0"]}
    commands |= {name: [*command, "--without", name] for name in SHORTCUTS}
    took: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(runs + 1):  # the first round compiles and fills the disk cache: it does not count
        for name, each in commands.items():
            once = run(each)
            if number:
                took[name].append(once)
    return [_saving(folder.resolve().name, name, took[name], took[ALL]) for name in commands]


def _saving(tree: str, name: str, runs: Sequence[Run], base: Sequence[Run]) -> Saving:
    return Saving(
        tree=tree,
        without=name,
        runs=len(runs),
        wall_ms=round(statistics.median(each.wall_s for each in runs) * 1e3, 1),
        cpu_ms=round(statistics.median(each.cpu_s for each in runs) * 1e3, 1),
        wall_ratio=round(min(each.wall_s for each in runs) / min(each.wall_s for each in base), 2),
        cpu_ratio=round(min(each.cpu_s for each in runs) / min(each.cpu_s for each in base), 2),
    )


if __name__ == "__main__":
    sys.exit(main())
