"""Measure the layers on a GPU against the package's own method, bf16 torch, and the limit of the hardware.

Needs a GPU and a back end in this environment: `python bench/gpu.py --back-end vllm --results vllm.json`,
then `python bench/gpu_picture.py`. Times are of calls one after another, host included, as
a model makes them; the device's own time is that of a replayed CUDA graph. Weights of less than 50 MB may
stay in the L2.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compat._util import atomic_write
from compat.errors import CompatError
from compat.quant.backends import process_setup
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.packing import packers
from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, W8A8Int8

SHAPES = {
    "Llama-3-8B": ((4096, 4096), (14336, 4096), (4096, 14336)),
    "Llama-3-70B": ((8192, 8192), (28672, 8192), (8192, 28672)),
}
"""`[N, K]` of attention output, MLP up and MLP down."""
ROWS = (1, 16, 64, 512, 4096)
SCHEMES: tuple[Scheme, ...] = (
    Fp8(granularity="tensor"),
    Fp8(granularity="channel"),
    Fp8(granularity="block"),
    Gptq(),
    Gptq(bits=8),
    Awq(),
    BlockInt8(),
    W8A8Int8(),
)
ROUNDS = 2
"""How many times each sample follows each other one."""
SAMPLE_SECONDS = 0.008
"""Duration of one sample: long compared with the timer, short enough for hundreds of points."""


def sample(call: Callable[[], Any], count: int) -> float:
    """Return microseconds per call, over `count` consecutive calls."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(count):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / count * 1e6


def turns(count: int) -> list[list[int]]:
    """Return orders of an even number of samples in which each sample follows each other one once.

    They form a Williams design (E. J. Williams, Australian Journal of Scientific Research A 2, 1949), so that
    the state of caches and clocks after one sample affects all others equally.
    """
    first = [0] + [(step + 1) // 2 if step % 2 else count - step // 2 for step in range(1, count)]
    return [[(each + shift) % count for each in first] for shift in range(count)]


def side_by_side(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median of each sample; they take turns, so that drift of the clock affects all equally.

    A few calls before each sample do not count, since code in the processor's caches is faster by
    microseconds.
    """
    counts = {}
    for name, call in calls.items():
        sample(call, 3)
        counts[name] = max(3, min(200, int(SAMPLE_SECONDS * 1e6 / sample(call, 5))))
    seen: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in ROUNDS * turns(len(names)):
        for name in (names[index] for index in turn):
            sample(calls[name], 5)
            seen[name].append(sample(calls[name], counts[name]))
    return {name: round(float(statistics.median(times)), 2) for name, times in seen.items()}


def on_device(call: Callable[[], Any]) -> float | None:
    """Return device microseconds per call, by a CUDA graph of ten calls; None if capturing one fails."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            for _ in range(10):
                call()
    except RuntimeError:
        return None
    return round(sample(graph.replay, 5) / 10, 2)


def ceilings() -> dict[str, float]:
    """Return the best rates of this GPU: bytes per second of a copy, and operations of a bf16 product."""
    source = torch.empty(2**31, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copied = min(sample(lambda: target.copy_(source), 5) for _ in range(3))
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    multiplied = min(sample(lambda: a @ b, 10) for _ in range(3))
    return {"bytes_per_s": 2 * 2**31 / copied * 1e6, "bf16_per_s": 2 * 8192**3 / multiplied * 1e6}


def floor(scheme: Scheme, shape: tuple[int, int], rows: int, best: dict[str, float]) -> float:
    """Return the lower limit in microseconds: the time to move each byte and do each operation once."""
    n, k = shape
    size = {"float16": 2, "bfloat16": 2, "float32": 4, "int32": 4, "int8": 1, "float8_e4m3fn": 1}
    moved = sum(size[spec.dtypes[0]] * _count(spec.shape) for spec in scheme.tensors(n, k)) + 2 * rows * (
        n + k
    )
    rate = best["bf16_per_s"] * (2 if scheme.kind in ("fp8", "block_int8", "w8a8_int8") else 1)
    return round(max(moved / best["bytes_per_s"], 2 * rows * n * k / rate) * 1e6, 2)


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for dimension in shape:
        total *= dimension
    return total


def measure(back_end: Any, best: dict[str, float], deadline: float) -> list[dict[str, Any]]:
    """Return one record per scheme, shape and number of rows; after the deadline, as not run."""
    found: list[dict[str, Any]] = []
    for model, shapes in SHAPES.items():
        for n, k in shapes:
            plain = torch.nn.Linear(k, n, bias=False, device="cuda", dtype=torch.bfloat16)
            for scheme in SCHEMES:
                entry = {"model": model, "n": n, "k": k, "scheme": scheme.label}
                if time.monotonic() > deadline:
                    found.append({**entry, "outcome": "not-run", "reason": "out of time"})
                    continue
                try:
                    layer = MixedPrecisionLinear(scheme, k, n, backend=back_end)
                    layer.load(
                        packers.pack(scheme, torch.randn(n, k, device="cuda") / k**0.5, dtype=torch.bfloat16)
                    )
                except CompatError as error:
                    found.append({**entry, "outcome": "refused", "reason": str(error)})
                    continue
                entry.update(outcome="ran", method=layer.method, kernel=layer.kernel)
                found += [{**entry, **_rows(layer, plain, rows, best)} for rows in ROWS]
                print(back_end, n, k, scheme.label, found[-1].get("layer_us"), file=sys.stderr, flush=True)
    return found


def _rows(layer: MixedPrecisionLinear, plain: Any, rows: int, best: dict[str, float]) -> dict[str, Any]:
    x = torch.randn(rows, layer.in_features, device="cuda", dtype=torch.bfloat16)
    inner = layer.inner
    with torch.no_grad():
        times = side_by_side(
            {
                "layer_us": lambda: layer(x),
                "direct_us": lambda: inner.quant_method.apply(inner, x, None),
                "package_us": lambda: inner(x),
                "bf16_us": lambda: plain(x),
            }
        )
        device = {
            "layer_device_us": on_device(lambda: layer(x)),
            "bf16_device_us": on_device(lambda: plain(x)),
        }
    shape = (layer.out_features, layer.in_features)
    return {"m": rows, **times, **device, "floor_us": floor(layer.scheme, shape, rows, best)}


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--back-end", choices=["sglang", "vllm"], required=True)
    parser.add_argument("--results", type=Path, default=Path("bench-gpu.json"))
    parser.add_argument(
        "--seconds", type=float, default=3600, help="stop starting new points after this time"
    )
    chosen = parser.parse_args()
    best = ceilings()
    document = {
        "schema": 1,
        "command": "bench gpu",
        "back_end": chosen.back_end,
        "device": torch.cuda.get_device_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "releases": {name: process_setup.installed(name) for name in ("sglang", "vllm")},
        "ceilings": best,
        "records": measure(chosen.back_end, best, time.monotonic() + chosen.seconds),
    }
    atomic_write.write_text(chosen.results, json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
