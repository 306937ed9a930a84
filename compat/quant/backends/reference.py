"""Compute a layer of any scheme in plain torch, as the reference with which kernels are compared."""

from functools import singledispatch

import torch
from torch import Tensor

from compat.quant.packing.packers import Tensors, dequantize, to_e4m3, to_int8
from compat.quant.schemes import BLOCK, E4M3_MAX, INT8_MAX, BlockInt8, Fp8, Scheme, W8A8Int8

SMALLEST = 1e-12
"""The smallest peak, so that a row of zeros does not cause a division by zero."""


def forward(
    scheme: Scheme,
    tensors: Tensors,
    x: Tensor,
    bias: Tensor | None = None,
    *,
    accumulate: torch.dtype = torch.float32,
    quantize_activations: bool = True,
) -> Tensor:
    """Return `x @ weight.T + bias` as `scheme` defines it, with dtype `accumulate`.

    Args:
        scheme: the format of `tensors`.
        tensors: the tensors of a checkpoint, on the device of `x`.
        x: `[..., K]`, any float dtype.
        bias: `[N]` or None.
        accumulate: float32, or float64 for a comparison with other back ends.
        quantize_activations: False does not round `x`, even where the scheme does: the ideal result.
    """
    weight = dequantize(scheme, tensors, accumulate)
    wide = activation(scheme, tensors, x).to(accumulate) if quantize_activations else x.to(accumulate)
    out = wide @ weight.T
    return out if bias is None else out + bias.to(accumulate)


@singledispatch
def activation(scheme: Scheme, tensors: Tensors, x: Tensor) -> Tensor:
    """Return `x` rounded as the scheme rounds activations, in float32; most schemes do not round them."""
    return x.to(torch.float32)


@activation.register
def _(scheme: Fp8, tensors: Tensors, x: Tensor) -> Tensor:
    wide = x.to(torch.float32)
    if scheme.activation == "static":
        scale = tensors["input_scale"].to(torch.float32).reshape(())
        return to_e4m3(wide / scale).to(torch.float32) * scale
    if scheme.granularity == "block":
        groups, scale = _grouped(wide, E4M3_MAX)
        return _whole(to_e4m3(groups / scale).to(torch.float32) * scale, x.shape[-1])
    scale = _peak(wide) / E4M3_MAX
    return to_e4m3(wide / scale).to(torch.float32) * scale


@activation.register
def _(scheme: W8A8Int8, tensors: Tensors, x: Tensor) -> Tensor:
    wide = x.to(torch.float32)
    scale = _peak(wide) / INT8_MAX
    return to_int8(wide / scale).to(torch.float32) * scale


@activation.register
def _(scheme: BlockInt8, tensors: Tensors, x: Tensor) -> Tensor:
    groups, scale = _grouped(x.to(torch.float32), INT8_MAX)
    return _whole(to_int8(groups / scale).to(torch.float32) * scale, x.shape[-1])


def _peak(x: Tensor) -> Tensor:
    return x.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST)


def _grouped(x: Tensor, largest: float) -> tuple[Tensor, Tensor]:
    """Return `x` in groups of 128 inputs, the last padded with zeros, and the scale of each group."""
    groups = torch.nn.functional.pad(x, (0, -x.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    return groups, _peak(groups) / largest


def _whole(groups: Tensor, inputs: int) -> Tensor:
    return groups.flatten(-2)[..., :inputs]
