"""The self-test of a package's layer: does it compute what its scheme says?"""

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
"""How many weights are widened at a time: 16 MiB in float32, a few times over."""
BOUND = 0.1
"""The coarsest that is meant so: vllm rounds block FP8 to powers of two, which is 0.05."""
WEIGHT_ONLY_BOUND = 2e-2
"""Where activations are not rounded: 6e-3 at most is measured, and 4e-2 where groups are confused."""


def try_out(
    run: Callable[[Tensor], Tensor],
    tensors: Mapping[str, Tensor],
    spec: LayerSpec,
    shard: Shard | None = None,
) -> None:
    """Insist that a filled layer computes what its scheme says, for one row and for many.

    The kernels differ by the number of rows. A wrong scale, a wrong order or memory that was not written is
    off by more than the bounds; what a scheme itself rounds is less.

    Args:
        run: the layer; a rank's part by itself, without what the ranks do together.
        tensors: those of the whole layer.
        spec: the layer.
        shard: which part of it `run` is.

    Raises:
        SchemeUnavailable: it does not, or its kernel refuses.
    """
    size = (spec.out_features, spec.in_features)
    if shard is not None:
        tensors, size = cut(spec.scheme, tensors, size, shard), shard.features(*size)
    if shard is not None and shard.kind == "row":  # a bias is added once, to the sum of the parts
        tensors = {name: tensor for name, tensor in tensors.items() if name != "bias"}
    version = process_setup.installed(spec.package)
    source = torch.Generator().manual_seed(size[1])
    inputs = [torch.randn(rows, size[1], generator=source) for rows in ROWS]
    inputs = [x.to(spec.device, spec.dtype) for x in inputs]
    try:
        found = [run(x) for x in inputs]
    except Exception as error:
        raise package_layer.refusal(spec, version, "unknown", package_layer.said(error)) from error
    bound = WEIGHT_ONLY_BOUND if isinstance(spec.scheme, Unquantized | Gptq | Awq) else BOUND
    for rows, off in zip(ROWS, _off(spec, tensors, size, inputs, found), strict=True):
        if not off <= bound:  # NaN is not
            part = "" if shard is None else f" (part {shard.rank + 1} of {shard.size}, {shard.kind} parallel)"
            told = f"its kernel computes something else: with {rows} rows it is off by {off:.2g}{part}"
            raise package_layer.refusal(spec, version, "unknown", [told])


def _off(
    spec: LayerSpec,
    tensors: Mapping[str, Tensor],
    size: tuple[int, int],
    inputs: Sequence[Tensor],
    found: Sequence[Tensor],
) -> list[float]:
    """Return how far each result is from the reference, as a ratio of norms.

    Some outputs at a time: the reference widens weights to float32, and a layer of a large model would take
    gigabytes of a GPU that may have little left.
    """
    sums = torch.zeros(len(inputs), 2, device=spec.device, dtype=torch.float64)
    """Of each result: squares of what it is off by, and of what is right."""
    start = 0
    for part in slices(spec.scheme, tensors, size):
        given = {name: tensor.to(spec.device) for name, tensor in part.items()}
        bias = given.pop("bias", None)
        right = reference.forward(spec.scheme, given, torch.cat(list(inputs)), bias).double()
        stop = start + right.shape[1]
        here = right.split([x.shape[0] for x in inputs])
        for index, (out, exact) in enumerate(zip(found, here, strict=True)):
            sums[index, 0] += (out[:, start:stop] - exact).square().sum()
            sums[index, 1] += exact.square().sum()
        start = stop
    return [float(off) for off in (sums[:, 0] / sums[:, 1].clamp(min=1e-24)).sqrt()]


def slices(
    scheme: Scheme, tensors: Mapping[str, Tensor], size: tuple[int, int]
) -> Iterator[Mapping[str, Tensor]]:
    """Yield the tensors of a layer in parts of some outputs each, of at most `WEIGHTS` weights.

    Where the scheme can be cut so; a format that cannot comes in larger parts, or whole.
    """
    count = 1
    while size[0] * size[1] > count * WEIGHTS and _can_be_cut(scheme, tensors, size, count * 2):
        count *= 2
    if count == 1:  # nothing to cut: a whole layer need not end where a block does
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
