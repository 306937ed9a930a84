"""Fixtures of the GPU tests, which are skipped without a GPU or a package, or fail with `--require-gpu`.

Test one package per process: `pytest -m gpu tests/gpu --back-end vllm --results vllm.json`.
"""

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_cases import BACK_ENDS, cases, why_not

from compat.quant.backends import process_setup

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))  # for the small Llama
os.environ.setdefault(
    "SGLANG_JIT_DEEPGEMM_PRECOMPILE", "0"
)  # it compiles 16,384 sizes before the first product

RECORDS = pytest.StashKey[list[dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORDS] = []


ODD_SHAPES = {"multiples-of-64": (576, 1152), "multiples-of-16": (720, 1040)}
"""`[N, K]`; schemes whose group size does not divide K are left out."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize the tests with everything that this machine can run, so that none is skipped."""
    asked = [each for each in BACK_ENDS if each in (metafunc.config.getoption("--back-end") or BACK_ENDS)]
    names = metafunc.fixturenames
    if "back_end" in names:
        installed = [each for each in asked if process_setup.installed(each)]
        metafunc.parametrize("back_end", installed or asked[:1])
    found = [case for case in cases() if case.back_end in asked]
    if "default_case" in names:  # only the methods that the layer selects by default
        found = [case for case in found if case.default]
    if why_not() is not None:
        found = found[:1]  # one skipped test says as much as four hundred
    if "shape" in names:
        both = [
            pytest.param(case, shape, id=f"{case.id}-{name}")
            for case in found
            for name, shape in ODD_SHAPES.items()
            if not shape[1] % max(1, getattr(case.scheme, "group_size", 1))
        ]
        metafunc.parametrize(("case", "shape"), both)
    elif "case" in names or "default_case" in names:
        name = "case" if "case" in names else "default_case"
        metafunc.parametrize(name, found, ids=[case.id for case in found])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that need two GPUs on a machine with one; without a GPU they are skipped as not run."""
    if torch.cuda.device_count() != 1:
        return
    two = [item for item in items if item.get_closest_marker("two_gpus")]
    items[:] = [item for item in items if item not in two]
    config.hook.pytest_deselected(items=two)


@pytest.fixture(autouse=True)
def _needs_gpu(request: pytest.FixtureRequest) -> None:
    reason = why_not()
    if reason is not None and request.config.getoption("--require-gpu"):
        pytest.fail(f"not run: {reason}")
    if reason is not None:
        pytest.skip(f"not run: {reason}")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return a new random seed, which is printed and recorded in the results."""
    fresh = int(torch.seed()) % 2**32
    print(f"seed {fresh} of {request.node.name}")
    torch.manual_seed(fresh)
    return fresh


@pytest.fixture
def record(request: pytest.FixtureRequest, seed: int) -> dict[str, Any]:
    """Return the record of this test in the file of `--results`."""
    entry: dict[str, Any] = {"test": request.node.name, "seed": seed}
    request.config.stash[RECORDS].append(entry)
    return entry


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = (yield).get_result()
    entry = getattr(item, "funcargs", {}).get("record")
    if report.when == "call" and entry is not None:
        entry.setdefault("outcome", report.outcome)
        if report.failed:
            entry["outcome"] = "failed"
            entry["error"] = str(call.excinfo.value if call.excinfo else "")[:2000]


def pytest_sessionfinish(session: pytest.Session) -> None:
    target: Path | None = session.config.getoption("--results")
    if target is None or not torch.cuda.is_available():
        return
    document = {
        "schema": 1,
        "command": "gpu tests",
        "device": torch.cuda.get_device_name(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "releases": {package: process_setup.installed(package) for package in BACK_ENDS},
        "records": session.config.stash[RECORDS],
    }
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:  # each process has run some of the tests
        target = target.with_stem(f"{target.stem}-{worker}")
    target.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
