"""Test the packages' own column- and row-parallel layers on two GPUs, with one process per GPU."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compat.quant.backends.required_symbols import Package

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

REFUSED = {
    "sglang": frozenset(),
    "vllm": frozenset(
        {
            ("block-int8", "column"),  # vllm has no class that reads the format
            ("block-int8", "row"),
            ("gptq4-g128-sym-desc", "row"),  # wrong result, see docs/accuracy/quant.md
        }
    ),
}
"""Scheme and kind of parallel layer that a package cannot run or computes wrongly, and must refuse."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.two_gpus
def test_two_gpus_agree_with_float64(back_end: Package, record: dict[str, Any]) -> None:
    port = str(free_port())
    ranks = []
    for rank in range(2):
        places = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        ranks.append(
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("ranks.py")), back_end, str(record["seed"])],
                env={**os.environ, **places, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        outputs = [child.communicate(timeout=400)[0] for child in ranks]
    finally:
        for child in ranks:
            child.kill()
    record.update(back_end=back_end, ranks=[])
    for output in outputs:
        results = [line for line in output.splitlines() if line.startswith("RESULT ")]
        assert results, output[-3000:]
        record["ranks"] += json.loads(results[0].removeprefix("RESULT "))
    refused = {
        (entry["scheme"], entry["parallel"]) for entry in record["ranks"] if entry["outcome"] == "refused"
    }
    assert refused <= REFUSED[back_end], refused
    ran = [entry for entry in record["ranks"] if entry["outcome"] == "ran"]
    done = {(entry["scheme"], entry["parallel"]) for entry in ran}
    assert done >= {("llama", "both"), ("gptq4-g128-sym", "row")}
    assert [entry for entry in ran if not entry["error"] <= entry["bound"]] == []
