"""Measure the accuracy of vllm's block FP8 by `deep_gemm` package: `nox -s bench-gpu -- block-fp8`.

This needs a GPU and vllm in the current environment; beside sglang, vllm uses sglang's `deep_gemm`. Each way
runs in its own process, since vllm chooses the package once. Records of other releases stay in the results
file, so that one file can have the results of several environments.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compat._util import atomic_write
from compat.quant.backends import package_layer, process_setup, reference, self_test
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.packing import packers
from compat.quant.schemes import Fp8

SHAPES = ((768, 1024), (2048, 4096))
"""`[N, K]`."""
ROWS = (1, 16, 64, 512)
LONGEST = 900
"""Seconds after which a process is killed; it compiles kernels."""
WAYS = {
    "left": "the first deep_gemm that vllm finds, its scales as it leaves them",
    "copied": "the same, its scales copied as every layer of this project does",
    "own": "vllm's own copy of deep_gemm",
}


def child(way: str) -> dict[str, Any]:
    """Return the errors of one way relative to float64, and the `deep_gemm` package that it used.

    Errors are ratios of norms: one list per shape, with one entry per number of rows; an infinite one is
    stated as `nan`.
    """
    if way == "own":
        sys.modules.update({"deep_gemm": None})  # type: ignore[dict-item]
    if way == "left":
        package_layer.copy_borrowed = _nothing
    self_test.verify = _nothing  # otherwise the layer refuses inaccurate kernels
    scheme = Fp8(granularity="block")
    errors = []
    for n, k in SHAPES:
        tensors = packers.pack(scheme, torch.randn(n, k) / k**0.5, dtype=torch.bfloat16)
        layer = MixedPrecisionLinear(scheme, k, n, backend="vllm", dtype=torch.bfloat16)
        layer.load(tensors)
        given = {name: tensor.cuda() for name, tensor in tensors.items()}
        found = []
        for rows in ROWS:
            x = torch.randn(rows, k, device="cuda").to(torch.bfloat16)
            right = reference.forward(scheme, given, x, accumulate=torch.float64, quantize_activations=False)
            off = float((layer(x).double() - right).norm() / right.norm())
            found.append(round(off, 4) if math.isfinite(off) else "nan")
        errors.append(found)
    return {"deep_gemm": taken(), "errors": errors}


def _nothing(*_given: Any, **_named: Any) -> None:
    """Do nothing, in place of a step that is skipped."""


def taken() -> str:
    """Return the `deep_gemm` module that vllm has imported, and its distribution."""
    for name in ("deep_gemm", "vllm.third_party.deep_gemm"):
        module = sys.modules.get(name)
        if module is not None:
            return f"{name} of {_owner(name.partition('.')[0], Path(str(module.__file__)))}"
    return "none"


def _owner(top: str, file: Path) -> str:
    for each in metadata.packages_distributions().get(top, []):
        found = metadata.distribution(each)
        if any(Path(str(found.locate_file(path))) == file for path in found.files or ()):
            return f"{each} {found.version}"
    return "no distribution here"


def records() -> list[dict[str, Any]]:
    """Run every way in its own process, and return one record for each."""
    found = []
    for way, what in WAYS.items():
        try:
            done = subprocess.run(
                [sys.executable, __file__, "--child", way],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "SGLANG_JIT_DEEPGEMM_PRECOMPILE": "0"},
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{way}: did not finish within {LONGEST} s") from None
        told = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        entry = {
            "vllm": process_setup.installed("vllm"),
            "sglang": process_setup.installed("sglang"),
            "way": way,
        }
        if told:
            entry |= {"what": what, **json.loads(told[0].removeprefix("RESULT "))}
        else:
            entry |= {"what": what, "error": done.stderr.strip()[-1000:]}
        print(json.dumps(entry), file=sys.stderr, flush=True)
        found.append(entry)
    return found


def main() -> None:
    """Measure all ways, and add them to the results file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, default=Path("block-fp8.json"))
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print("RESULT " + json.dumps(child(chosen.child)))
        return
    release = process_setup.installed("vllm")
    if release is None or not torch.cuda.is_available():
        parser.error("this needs a GPU, and vllm in this environment")
    fresh = records()
    before = json.loads(chosen.results.read_text(encoding="utf-8")) if chosen.results.exists() else {}
    kept = [each for each in before.get("records", []) if each["vllm"] != release]
    document = {
        "schema": 1,
        "command": "bench block-fp8",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "shapes": SHAPES,
        "rows": ROWS,
        "records": sorted([*kept, *fresh], key=lambda each: [int(part) for part in each["vllm"].split(".")]),
    }
    atomic_write.write_text(chosen.results, json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
