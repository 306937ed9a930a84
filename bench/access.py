"""Measure the time of `compat.load` for a loaded symbol, and of the pytest plug-in while no test fails.

Both results are ratios, measured side by side in one run. Run it with `nox -s bench`, or with
`python bench/access.py`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import run

from compat import __version__
from compat._util import atomic_write

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
CALLS = 200_000
REPEATS = 9
TESTS = 300
"""The number of tests in a run of pytest; all pass."""

WARM = """
import json, sys, timeit
import compat
found = compat.load("Thing", package="vllm")
table = {("Thing", "vllm", 0.75): found}
load = compat.load
calls, repeats = int(sys.argv[1]), int(sys.argv[2])
def best(statement):
    return min(timeit.repeat(statement, globals=globals(), number=calls, repeat=repeats)) / calls
print(json.dumps({
    "load": best("load('Thing', package='vllm')"),
    "look_up": best("table[('Thing', 'vllm', 0.75)]"),
}))
"""


def main() -> int:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--runs",
        type=int,
        default=7,
        help="runs of pytest with and without the plug-in (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (default: bench/results)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        warm = _warm(Path(name))
        with_it, without = _plugin(Path(name), arguments.runs)
    document = {
        "schema": 1,
        "command": "bench access",
        "compat": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_ns": round(warm["load"] * 1e9),
        "look_up_ns": round(warm["look_up"] * 1e9),
        "load_ratio": round(warm["load"] / warm["look_up"], 2),
        "plugin_ratio": round(with_it / without, 3),
    }
    print(
        f"a symbol loaded before: {document['load_ratio']} x a dictionary look-up ({document['load_ns']} ns)"
    )
    print(f"{TESTS} tests that pass, with the plug-in: {document['plugin_ratio']} x without it")
    version = ".".join(map(str, sys.version_info[:2]))
    target = arguments.output / f"access-python{version}.json"
    atomic_write.write_text(target, json.dumps(document, indent=2, sort_keys=True) + "\n")
    print(f"written to {target.name}", file=sys.stderr)
    return 0


def _warm(folder: Path) -> dict[str, float]:
    """Return the seconds of one `load` and of one dictionary lookup, with a vllm of one module."""
    home = folder / "site/vllm"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text("class Thing:\n    def apply(self, x):\n        return x\n")
    info = folder / "site/vllm-99.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("vllm/__init__.py,,\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 99.0\n")
    done = subprocess.run(
        [sys.executable, "-c", WARM, str(CALLS), str(REPEATS)],
        env={
            **os.environ,
            "COMPAT_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _plugin(folder: Path, runs: int) -> tuple[float, float]:
    """Return the processor seconds of the fastest runs of pytest with and without the plug-in, in turns."""
    (folder / "test_many.py").write_text(
        f"import pytest\n@pytest.mark.parametrize('n', range({TESTS}))\ndef test(n): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_many.py"]
    taken: dict[str, list[float]] = {"with": [], "without": []}
    for number in range(runs + 1):
        for kind, options in (("with", []), ("without", ["-p", "no:compat"])):
            took = run([*command, *options], folder, os.environ, fine=(0,))
            if number:  # the first run compiles bytecode
                taken[kind].append(took.cpu_s)  # processor time depends less on other processes
    return min(taken["with"]), min(taken["without"])


if __name__ == "__main__":
    sys.exit(main())
