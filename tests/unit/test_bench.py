"""The benchmarks' files stand first on the path of those that are run as scripts."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from compat.locks.lockfile import read_lock

ROOT = Path(__file__).resolve().parents[2]


def test_no_benchmark_has_the_name_of_a_module_that_a_pair_has() -> None:
    """Or the packages under test would import the benchmark in its place: sglang imports `deep_gemm`."""
    taken: dict[str, str] = {}
    for path in (ROOT / "locks").glob("*.json"):
        lock = read_lock(path.stem, ROOT / "locks")
        for distribution in lock.packages:
            for name in lock.imports.get(distribution) or (distribution.replace("-", "_"),):
                taken[name.partition(".")[0]] = f"{distribution} of {path.stem}"
    assert "deep_gemm" in taken
    assert {path.stem: taken[path.stem] for path in (ROOT / "bench").glob("*.py") if path.stem in taken} == {}


@pytest.fixture
def processes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("processes", ROOT / "bench" / "processes.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["processes"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_a_process_is_measured(processes: ModuleType, tmp_path: Path) -> None:
    code = "import sys; x = b'x' * 60_000_000; sys.stderr.write('x' * 1_000_000); sys.exit(1)"
    took = processes.run([sys.executable, "-c", code], tmp_path)
    assert took.peak_mb > 60
    assert took.cpu_s > 0
    assert took.wall_s > 0


@pytest.mark.parametrize("code", ["import sys; sys.exit(2)", "print(1 / 0)", "import os; os.abort()"])
def test_a_process_that_fails_is_no_measure(processes: ModuleType, code: str) -> None:
    with pytest.raises(SystemExit, match="failed with"):
        processes.run([sys.executable, "-c", code])
    with pytest.raises(SystemExit, match="failed with exit code 1"):
        processes.run([sys.executable, "-c", "import sys; sys.exit(1)"], fine=(0,))
