"""Test what is set up once per process, and destroyed at its end."""

import subprocess
import sys
from pathlib import Path

import pytest

from compat.quant.backends.process_setup import once


def test_a_set_up_runs_once() -> None:
    calls: list[str] = []
    ready = once(calls.append)
    for package in ("sglang", "vllm", "sglang"):
        ready(package)
    assert calls == ["sglang", "vllm"]


def test_the_first_error_of_a_set_up_is_raised_each_time() -> None:
    """A second attempt would fail because of the first one, and hide its error."""
    calls: list[str] = []

    def fails(package: str) -> None:
        calls.append(package)
        raise ImportError("deep_gemm" if len(calls) == 1 else "group is already initialized")

    ready = once(fails)
    for _ in range(3):
        with pytest.raises(ImportError, match="deep_gemm"):
            ready("sglang")
    assert calls == ["sglang"]


PROGRAM = """
import sys, types
import torch
from compat.quant.backends import process_setup

def join(**options):
    torch.distributed.init_process_group(
        "gloo", init_method=options["distributed_init_method"], rank=0, world_size=1
    )

state = types.SimpleNamespace(
    model_parallel_is_initialized=lambda: False,
    init_distributed_environment=lambda **options: torch.distributed.is_initialized() or join(**options),
    initialize_model_parallel=lambda **options: None,
)
def load(name, package):
    return getattr(state, name.partition(":")[2])
process_setup.compat = types.SimpleNamespace(load=load)
if sys.argv[1] == "its own":
    join(distributed_init_method=f"file://{sys.argv[2]}/ranks")
end = torch.distributed.destroy_process_group
torch.distributed.destroy_process_group = lambda: (print("destroyed"), end())
process_setup.installed = lambda package: "0.23.0"
process_setup._groups("vllm", "cpu")
print("done")
"""


@pytest.mark.parametrize(("whose", "printed"), [("made here", "done destroyed"), ("its own", "done")])
def test_a_process_destroys_the_groups_that_were_created_for_it(
    whose: str, printed: str, tmp_path: Path
) -> None:
    """With NCCL groups alive a process may never exit. The groups here are real ones of gloo."""
    command = [sys.executable, "-c", PROGRAM, whose, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.split()) == (0, printed.split()), done.stderr
