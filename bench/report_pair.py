"""Measure the errors of one package's layers on a GPU by number of rows: `python bench/report_pair.py`.

For the pair `seed`, this records which class and kernel runs FP8, GPTQ and AWQ, and the error relative to
float64, for M = 1 to 4096 at N = K = 4096. Run it in the environment of the pair; `bench/gpu_table.py` prints
the table from the file that `--output` names.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("SGLANG_JIT_DEEPGEMM_PRECOMPILE", "0")  # it would compile 16,384 sizes first
TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "gpu"), str(TESTS / "unit"), str(TESTS.parent)]

import torch  # noqa: E402 -- needs the variable above
from gpu_cases import INPUT_SCALE, uneven  # noqa: E402 -- needs the path above

from compat.errors import CompatError  # noqa: E402 -- as above
from compat.quant.backends import process_setup, reference  # noqa: E402
from compat.quant.backends.adapters import Adapter, candidates  # noqa: E402
from compat.quant.backends.required_symbols import Package  # noqa: E402
from compat.quant.linear import MixedPrecisionLinear  # noqa: E402
from compat.quant.packing.packers import pack  # noqa: E402
from compat.quant.schemes import Awq, Fp8, Gptq, Scheme  # noqa: E402

SIZE = 4096
ROWS = (1, 16, 64, 256, 1024, 4096)
SCHEMES: tuple[Scheme, ...] = (
    Fp8(),
    Fp8(granularity="block"),
    Fp8(granularity="channel"),
    Gptq(),
    Gptq(desc_act=True),
    Awq(),
)


def measured(package: Package) -> Iterator[dict[str, Any]]:
    """Yield the result of each scheme on the installed release, by every method and in both dtypes."""
    release = str(process_setup.installed(package))
    for scheme in SCHEMES:
        for adapter in candidates(package, release, scheme):
            for dtype in (torch.float16, torch.bfloat16):
                yield {"package": package, "release": release, **_one(package, scheme, adapter, dtype)}


def _one(package: Package, scheme: Scheme, adapter: Adapter, dtype: torch.dtype) -> dict[str, Any]:
    name = str(dtype).removeprefix("torch.")
    entry: dict[str, Any] = {"scheme": scheme.label, "way": adapter.name, "dtype": name, "n": SIZE, "k": SIZE}
    torch.manual_seed(1234)
    tensors = pack(scheme, uneven(SIZE, SIZE), dtype=dtype, input_scale=INPUT_SCALE)
    try:
        layer = MixedPrecisionLinear(
            scheme,
            SIZE,
            SIZE,
            backend=package,
            dtype=dtype,
            quantization=adapter.name,
            prefix="model.layers.0.x",
        )
        layer.load(tensors)
    except CompatError as refused:
        return {**entry, "refused": str(refused)}
    held = {name: tensor.cuda() for name, tensor in tensors.items()}
    errors = {}
    for rows in ROWS:
        x = torch.randn(rows, SIZE, device="cuda").to(dtype)
        right = reference.forward(scheme, dict(held), x, accumulate=torch.float64)
        errors[rows] = float((layer(x).double() - right).norm() / right.norm())
    return {**entry, "method": layer.method, "home": layer.home, "kernel": layer.kernel, "errors": errors}


def main() -> None:
    """Measure the packages that the arguments name, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("package", nargs="+", choices=("sglang", "vllm"))
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    document = {
        "schema": 1,
        "command": "bench report_pair",
        "device": torch.cuda.get_device_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "records": [each for package in chosen.package for each in measured(package)],
    }
    chosen.output.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
