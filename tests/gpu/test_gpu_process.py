"""Test that a process that has built a layer exits."""

import subprocess
import sys
from typing import Any

import pytest

from compat.quant.backends.required_symbols import Package

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

PROGRAM = """
import sys
import torch
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.schemes import Fp8

MixedPrecisionLinear.from_float(Fp8(granularity="channel"), torch.randn(256, 256), backend=sys.argv[1])
print("made", flush=True)
"""


def test_a_process_with_a_layer_ends(back_end: Package, record: dict[str, Any]) -> None:
    """The process takes half a minute; without destroying its process groups it would never exit."""
    record.update(back_end=back_end)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, back_end], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "made"
