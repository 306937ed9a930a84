"""The benchmarks' files stand first on the path of those that are run as scripts."""

from pathlib import Path

from compat.locks import read_lock

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
