"""Test that a package's layer computes what its scheme defines, by comparison with the reference."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from compat.errors import UsageError
from compat.quant.backends import package_layer, process_setup, reference
from compat.quant.backends.package_layer import LayerSpec
from compat.quant.packing.sharding import Shard, cut
from compat.quant.schemes import Awq, Gptq, Scheme, Unquantized

ROWS = (1, 64)
WEIGHTS = 2**22
"""How many weights the reference converts to float32 at a time: 16 MiB, several times over."""
BOUND = 0.1
"""The bound for the relative error; the coarsest intended rounding (vllm's block FP8) has 0.05."""
WEIGHT_ONLY_BOUND = 2e-2
"""The bound without rounded activations: at most 6e-3 was measured, and 4e-2 with groups mixed up."""


def verify(
    run: Callable[[Tensor], Tensor],
    tensors: Mapping[str, Tensor],
    spec: LayerSpec,
    shard: Shard | None = None,
) -> None:
    """Check that a loaded layer computes what its scheme defines, for one row and for many.

    Packages use different kernels for few and many rows. A wrong scale, a wrong order or unwritten memory
    exceeds the bounds; the scheme's own rounding does not.

    Args:
        run: the layer, or one rank's part of it without communication.
        tensors: the tensors of the whole layer.
        spec: the layer.
        shard: which part `run` computes; None for the whole layer.

    Raises:
        SchemeUnavailable: the result is wrong, or the kernel raised an error.
    """
    size = (spec.out_features, spec.in_features)
    if shard is not None:
        tensors, size = cut(spec.scheme, tensors, size, shard), shard.features(*size)
    if shard is not None and shard.kind == "row":  # the bias is added once, to the sum of the parts
        tensors = {name: tensor for name, tensor in tensors.items() if name != "bias"}
    version = process_setup.installed(spec.package)
    source = torch.Generator().manual_seed(size[1])
    inputs = [torch.randn(rows, size[1], generator=source) for rows in ROWS]
    inputs = [x.to(spec.device, spec.dtype) for x in inputs]
    try:
        found = [run(x) for x in inputs]
    except Exception as error:
        raise package_layer.refusal(spec, version, "unknown", package_layer.describe(error)) from error
    bound = WEIGHT_ONLY_BOUND if isinstance(spec.scheme, Unquantized | Gptq | Awq) else BOUND
    for rows, off in zip(ROWS, _errors(spec, tensors, size, inputs, found), strict=True):
        if not off <= bound:  # also true for NaN
            part = "" if shard is None else f" (part {shard.rank + 1} of {shard.size}, {shard.kind} parallel)"
            label = f"{rows} row{'s' if rows > 1 else ''}"
            reason = f"its kernel computes a wrong result: with {label} it is off by {off:.2g}{part}"
            raise package_layer.refusal(spec, version, "unknown", [reason])


def _errors(
    spec: LayerSpec,
    tensors: Mapping[str, Tensor],
    size: tuple[int, int],
    inputs: Sequence[Tensor],
    found: Sequence[Tensor],
) -> list[float]:
    """Return the error of each result relative to the reference, as a ratio of norms.

    It compares some outputs at a time: the reference converts weights to float32, so a whole layer of a large
    model would need gigabytes on a GPU that may have little memory left.
    """
    sums = torch.zeros(len(inputs), 2, device=spec.device, dtype=torch.float64)
    """For each result, the sums of the squared differences and of the squared reference."""
    start = 0
    for part in slices(spec.scheme, tensors, size):
        on_device = {name: tensor.to(spec.device) for name, tensor in part.items()}
        bias = on_device.pop("bias", None)
        right = reference.forward(spec.scheme, on_device, torch.cat(list(inputs)), bias).double()
        stop = start + right.shape[1]
        references = right.split([x.shape[0] for x in inputs])
        for index, (out, exact) in enumerate(zip(found, references, strict=True)):
            sums[index, 0] += (out[:, start:stop] - exact).square().sum()
            sums[index, 1] += exact.square().sum()
        start = stop
    return [float(off) for off in (sums[:, 0] / sums[:, 1].clamp(min=1e-24)).sqrt()]


def slices(
    scheme: Scheme, tensors: Mapping[str, Tensor], size: tuple[int, int]
) -> Iterator[Mapping[str, Tensor]]:
    """Yield the tensors of a layer in parts of some outputs each, with at most `WEIGHTS` weights per part.

    A format that cannot be cut at these outputs gives larger parts, or the whole layer.
    """
    count = 1
    while size[0] * size[1] > count * WEIGHTS and _can_be_cut(scheme, tensors, size, count * 2):
        count *= 2
    if count == 1:  # `cut` would refuse a layer whose size is not a whole number of blocks
        yield tensors
        return
    for index in range(count):
        yield cut(scheme, tensors, size, Shard(kind="column", rank=index, size=count))


def _can_be_cut(scheme: Scheme, tensors: Mapping[str, Tensor], size: tuple[int, int], count: int) -> bool:
    try:
        cut(scheme, tensors, size, Shard(kind="column", rank=0, size=count))
    except UsageError:
        return False
    return True
