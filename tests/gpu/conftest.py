"""Tests on a GPU. Without one, or without a package, they are told as not run; `--require-gpu` forbids it.

One process should hold one package: `pytest -m gpu tests/gpu --back-end vllm --results vllm.json`.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_cases import BACK_ENDS, cases, why_not

from compat.quant import worlds

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))  # the small Llama lives there

RECORDS = pytest.StashKey[list[dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORDS] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--back-end") or BACK_ENDS
        found = [case for case in cases() if case.back_end in asked]
        if why_not() is not None:
            found = found[:1]  # one line says as much as four hundred
        metafunc.parametrize("case", found, ids=[case.id for case in found])


@pytest.fixture(autouse=True)
def _needs_gpu(request: pytest.FixtureRequest) -> None:
    reason = why_not()
    if reason is not None and request.config.getoption("--require-gpu"):
        pytest.fail(f"not run: {reason}")
    if reason is not None:
        pytest.skip(f"not run: {reason}")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A new one each time; it is printed, and stands in the results."""
    fresh = int(torch.seed()) % 2**32
    print(f"seed {fresh} of {request.node.name}")
    torch.manual_seed(fresh)
    return fresh


@pytest.fixture
def record(request: pytest.FixtureRequest, seed: int) -> dict[str, Any]:
    """What this test measures, for `--results`."""
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
        "releases": {package: worlds.installed(package) for package in BACK_ENDS},
        "records": session.config.stash[RECORDS],
    }
    target.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
