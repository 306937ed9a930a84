"""Test every scheme on every back end: the method, its errors, odd sizes, CUDA graphs and torch.compile."""

import statistics
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import pytest
import torch
from gpu_cases import INPUT_SCALE, Case, exactness, ideal_bound, may_be_refused, uneven

from compat.errors import SchemeUnavailable
from compat.quant.backends import reference
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.packing.packers import pack

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

N, K = 768, 1024
ROWS = (1, 3, 16, 65, 512, 4096, 8192)
TIMED = (16, 512)


def made(
    case: Case, n: int = N, k: int = K, *, bias: bool = True
) -> tuple[MixedPrecisionLinear, dict[str, Any]]:
    """Return a layer with random weights, and its checkpoint tensors on the GPU."""
    tensors = pack(case.scheme, uneven(n, k), dtype=case.dtype, input_scale=INPUT_SCALE)
    if bias:
        tensors["bias"] = torch.randn(n).to(case.dtype)
    layer = MixedPrecisionLinear(
        case.scheme,
        k,
        n,
        bias=bias,
        backend=case.back_end,
        dtype=case.dtype,
        quantization=case.quantization,
        prefix="model.layers.0.x",
    )
    layer.load(tensors)
    return layer, {name: tensor.cuda() for name, tensor in tensors.items()}


class RefusedError(Exception):
    """The release refuses the case, as expected."""


def or_refused(test: Callable[..., None]) -> Callable[..., None]:
    """Return the test so that it passes when the release refuses the case as expected."""

    @wraps(test)
    def either(*args: Any, **kwargs: Any) -> None:
        with suppress(RefusedError):
            test(*args, **kwargs)

    return either


def made_or_refused(
    case: Case, record: dict[str, Any], *, odd_size: bool = False, **options: Any
) -> tuple[MixedPrecisionLinear, dict[str, Any]]:
    """Return what `made` returns, and record a refusal by the release.

    Raises:
        RefusedError: the release refuses the case, as expected.
    """
    record.update(
        back_end=case.back_end,
        scheme=case.scheme.label,
        way=case.quantization,
        dtype=str(case.dtype).removeprefix("torch."),
    )
    try:
        return made(case, **options)
    except SchemeUnavailable as refused:
        record.update(outcome="refused", reason=str(refused), evidence=list(refused.diagnosis.evidence))
        said = " ".join(refused.diagnosis.evidence)
        assert may_be_refused(case, said, odd_size=odd_size), said
        raise RefusedError from refused


def exact(case: Case, tensors: dict[str, Any], x: torch.Tensor, *, ideal: bool) -> torch.Tensor:
    weights = dict(tensors)
    return reference.forward(
        case.scheme,
        weights,
        x,
        weights.pop("bias", None),
        accumulate=torch.float64,
        quantize_activations=not ideal,
    )


def relative(found: torch.Tensor, right: torch.Tensor) -> float:
    return float((found.double() - right).norm() / right.norm())


def poisoned(layer: MixedPrecisionLinear, x: torch.Tensor) -> torch.Tensor:
    """Return the layer's result, computed while every free block that it may be stored in holds NaN."""
    for _ in range(3):
        blocks = [
            torch.full((x.shape[0], layer.out_features), torch.nan, dtype=x.dtype, device="cuda")
            for _ in range(4)
        ]
        del blocks
    return layer(x)


def kernels(layer: MixedPrecisionLinear, x: torch.Tensor) -> list[str]:
    """Return the names of the GPU kernels of one call, the longest first."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        layer(x)
        torch.cuda.synchronize()
    events = [event for event in seen.key_averages() if event.self_device_time_total > 0]
    return [event.key[:160] for event in sorted(events, key=lambda event: -event.self_device_time_total)][:4]


def microseconds(layer: MixedPrecisionLinear, x: torch.Tensor) -> float:
    for _ in range(5):
        layer(x)
    times = []
    for _ in range(30):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        layer(x)
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1000)
    return round(float(statistics.median(times)), 2)


@or_refused
def test_the_right_kernel_computes_the_right_numbers(case: Case, record: dict[str, Any]) -> None:
    layer, tensors = made_or_refused(case, record)
    record.update(method=layer.method, home=layer.home, kernel=layer.kernel)
    record.update(errors={}, ideal_errors={}, us={}, gpu_kernels={})
    assert layer.method in layer.adapter.methods
    assert ("Unquantized" in layer.method) == (case.scheme.kind == "unquantized")
    for rows in ROWS:
        x = torch.randn(rows, K, device="cuda").to(case.dtype)
        out = poisoned(layer, x)
        assert out.shape == (rows, N)
        assert out.dtype == case.dtype
        assert torch.isfinite(out).all(), f"M={rows}: not finite"
        record["errors"][rows] = relative(out, exact(case, tensors, x, ideal=False))
        record["ideal_errors"][rows] = relative(out, exact(case, tensors, x, ideal=True))
        if rows in TIMED:
            record["us"][rows] = microseconds(layer, x)
            record["gpu_kernels"][rows] = kernels(layer, x)
    record["ideal_bound"] = ideal_bound(case.scheme, case.back_end, case.dtype)
    record["bounds"] = {rows: exactness(case, rows) for rows in ROWS}
    assert max(record["ideal_errors"].values()) <= record["ideal_bound"]
    assert [rows for rows in ROWS if not record["errors"][rows] <= record["bounds"][rows]] == []


@or_refused
def test_shapes_strides_and_no_bias(case: Case, record: dict[str, Any]) -> None:
    layer, tensors = made_or_refused(case, record, bias=False)
    x = torch.randn(4, 8, 2 * K, device="cuda").to(case.dtype)[..., ::2]
    assert not x.is_contiguous()
    out = layer(x)
    assert out.shape == (4, 8, N)
    right = exact(case, tensors, x, ideal=False)
    record["error"] = relative(out, right)
    assert record["error"] <= exactness(case)
    assert relative(layer(x[0, 0]), right[0, 0]) <= exactness(case, 1)
    assert layer(x[:0]).shape == (0, 8, N)


@or_refused
def test_sizes_that_are_no_multiple_of_128(
    case: Case, record: dict[str, Any], shape: tuple[int, int]
) -> None:
    layer, tensors = made_or_refused(case, record, odd_size=True, n=shape[0], k=shape[1])
    x = torch.randn(33, shape[1], device="cuda").to(case.dtype)
    out = poisoned(layer, x)
    assert torch.isfinite(out).all()
    record["error"] = relative(out, exact(case, tensors, x, ideal=False))
    assert record["error"] <= exactness(case)


@or_refused
def test_a_cuda_graph_replays_it(case: Case, record: dict[str, Any]) -> None:
    layer, tensors = made_or_refused(case, record)
    x = torch.randn(16, K, device="cuda").to(case.dtype)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        layer(x)  # one-time compilation and allocation must not be captured
        layer(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = layer(x)
    x.copy_(torch.randn_like(x))
    out.fill_(torch.nan)
    graph.replay()
    record["error"] = relative(out, exact(case, tensors, x, ideal=False))
    assert record["error"] <= exactness(case)


@or_refused
def test_torch_compile_keeps_it(default_case: Case, record: dict[str, Any]) -> None:
    case = default_case
    layer, tensors = made_or_refused(case, record)
    x = torch.randn(16, K, device="cuda").to(case.dtype)
    torch.compiler.reset()
    out = torch.compile(layer, dynamic=False)(x)
    record["error"] = relative(out, exact(case, tensors, x, ideal=False))
    assert record["error"] <= exactness(case)
