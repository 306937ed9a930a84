"""Convert float weights to the tensors of a scheme and back, by rounding to nearest without calibration.

The tensors are well formed, but the model would be less exact than one from a real quantizer, which chooses
its scales from activations.
"""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from compat.errors import UsageError
from compat.quant.packing import bit_packing
from compat.quant.schemes import (
    BLOCK,
    E4M3_MAX,
    INT8_MAX,
    Awq,
    BlockInt8,
    Fp8,
    Gptq,
    Scheme,
    Unquantized,
    W8A8Int8,
)

Tensors = Mapping[str, Tensor]


def pack(
    scheme: Scheme, weight: Tensor, *, dtype: torch.dtype = torch.float16, input_scale: float = 1.0
) -> dict[str, Tensor]:
    """Return the tensors of `scheme` for `weight`, rounded to nearest.

    Args:
        scheme: the format.
        weight: `[N, K]`, any float dtype.
        dtype: of unquantized weights and of the scales of GPTQ and AWQ (float16 or bfloat16).
        input_scale: the divisor of a static activation (fp8 only).

    Raises:
        UsageError: the format cannot hold a weight of this shape.
    """
    specs = scheme.tensors(*weight.shape)
    tensors = _pack(scheme, weight.to(torch.float32), dtype)
    if any(spec.name == "input_scale" for spec in specs):
        tensors["input_scale"] = torch.tensor([input_scale], dtype=torch.float32)
    return tensors


@singledispatch
def dequantize(scheme: Scheme, tensors: Tensors, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the weight `[N, K]` that `tensors` represent, in `dtype`."""
    raise NotImplementedError(scheme)


@singledispatch
def _pack(scheme: Scheme, weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    raise NotImplementedError(scheme)


@_pack.register
def _(scheme: Unquantized, weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    return {"weight": weight.to(dtype)}


@dequantize.register
def _(scheme: Unquantized, tensors: Tensors, dtype: torch.dtype = torch.float32) -> Tensor:
    return tensors["weight"].to(dtype)


@_pack.register
def _(scheme: Fp8, weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    if scheme.granularity == "block":
        return _pack_blocks(weight, E4M3_MAX, to_e4m3)
    peak = weight.abs().amax() if scheme.granularity == "tensor" else weight.abs().amax(dim=1, keepdim=True)
    scale = _scale(peak, E4M3_MAX).reshape(-1, *([1] if scheme.granularity == "channel" else []))
    return {"weight": to_e4m3(weight / scale), "weight_scale": scale}


@dequantize.register
def _(scheme: Fp8, tensors: Tensors, dtype: torch.dtype = torch.float32) -> Tensor:
    if scheme.granularity == "block":
        return _from_blocks(tensors, dtype)
    scale = tensors["weight_scale"].to(dtype)
    return tensors["weight"].to(dtype) * (scale.reshape(()) if scheme.granularity == "tensor" else scale)


@_pack.register
def _(scheme: BlockInt8, weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    return _pack_blocks(weight, INT8_MAX, to_int8)


@dequantize.register
def _(scheme: BlockInt8, tensors: Tensors, dtype: torch.dtype = torch.float32) -> Tensor:
    return _from_blocks(tensors, dtype)


@_pack.register
def _(scheme: W8A8Int8, weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    scale = _scale(weight.abs().amax(dim=1, keepdim=True), INT8_MAX)
    return {"weight": to_int8(weight / scale), "weight_scale": scale}


@dequantize.register
def _(scheme: W8A8Int8, tensors: Tensors, dtype: torch.dtype = torch.float32) -> Tensor:
    return tensors["weight"].to(dtype) * tensors["weight_scale"].to(dtype)


@_pack.register
def _(scheme: Gptq, weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    outputs, inputs = weight.shape
    size = inputs if scheme.group_size == -1 else scheme.group_size
    order = torch.arange(inputs, device=weight.device)
    if scheme.desc_act:  # without calibration, the norm of an input's weights replaces its activation
        order = weight.norm(dim=0).argsort(descending=True, stable=True)
    group = torch.empty(inputs, dtype=torch.int32, device=weight.device)
    group[order] = torch.arange(inputs, dtype=torch.int32, device=weight.device) // size
    grouped = weight[:, order].reshape(outputs, -1, size)
    # Format v1 stores the zero point minus one, so a zero point of 0 would wrap around.
    scales, zeros = _affine(grouped, scheme.bits, sym=scheme.sym, lowest=1, dtype=dtype)
    which = group.long()
    levels = _levels(weight.T, scales[which], zeros[which], scheme.bits)
    return {
        "qweight": bit_packing.pack(levels, scheme.bits, 0),
        "qzeros": bit_packing.pack(zeros - 1, scheme.bits, 1),
        "scales": scales,
        "g_idx": group,
    }


@dequantize.register
def _(scheme: Gptq, tensors: Tensors, dtype: torch.dtype = torch.float32) -> Tensor:
    group = tensors["g_idx"].long()
    zeros = bit_packing.unpack(tensors["qzeros"], scheme.bits, 1) + 1
    levels = bit_packing.unpack(tensors["qweight"], scheme.bits, 0) - zeros[group]
    return (levels.to(dtype) * tensors["scales"].to(dtype)[group]).T.contiguous()


@_pack.register
def _(scheme: Awq, weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    outputs, inputs = weight.shape
    size = inputs if scheme.group_size == -1 else scheme.group_size
    grouped = weight.reshape(outputs, -1, size)
    scales, zeros = _affine(grouped, scheme.bits, sym=not scheme.zero_point, lowest=0, dtype=dtype)
    levels = _levels(
        weight.T, scales.repeat_interleave(size, 0), zeros.repeat_interleave(size, 0), scheme.bits
    )
    return {
        "qweight": bit_packing.pack(levels, scheme.bits, 1, bit_packing.AWQ_ORDER),
        "qzeros": bit_packing.pack(zeros, scheme.bits, 1, bit_packing.AWQ_ORDER),
        "scales": scales,
    }


@dequantize.register
def _(scheme: Awq, tensors: Tensors, dtype: torch.dtype = torch.float32) -> Tensor:
    scales = tensors["scales"].to(dtype)
    levels = bit_packing.unpack(tensors["qweight"], scheme.bits, 1, bit_packing.AWQ_ORDER)
    zeros = bit_packing.unpack(tensors["qzeros"], scheme.bits, 1, bit_packing.AWQ_ORDER)
    size = levels.shape[0] // scales.shape[0]
    shifted = levels - zeros.repeat_interleave(size, 0)
    return (shifted.to(dtype) * scales.repeat_interleave(size, 0)).T.contiguous()


def to_e4m3(values: Tensor) -> Tensor:
    """Return `values` rounded to float8_e4m3fn; values out of range become its largest value, not NaN."""
    return values.clamp(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn)


def to_int8(values: Tensor) -> Tensor:
    """Return `values` rounded half to even and clamped to -127 … 127, as int8."""
    return values.round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)


def spread(scale: Tensor, rows: int, columns: int) -> Tensor:
    """Return one scale per weight, `[rows, columns]`, from one scale per block of 128 x 128."""
    return scale.repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :columns]


def _pack_blocks(weight: Tensor, largest: float, rounded: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    rows, columns = weight.shape
    padded = torch.nn.functional.pad(weight, (0, -columns % BLOCK, 0, -rows % BLOCK))
    tiles = padded.unflatten(1, (-1, BLOCK)).unflatten(0, (-1, BLOCK))
    scale = _scale(tiles.abs().amax(dim=(1, 3)), largest)
    return {"weight": rounded(weight / spread(scale, rows, columns)), "weight_scale_inv": scale}


def _from_blocks(tensors: Tensors, dtype: torch.dtype) -> Tensor:
    weight = tensors["weight"]
    return weight.to(dtype) * spread(tensors["weight_scale_inv"].to(dtype), *weight.shape)


def _scale(peak: Tensor, largest: float) -> Tensor:
    """Return the scale that maps `largest` to `peak`; 1 where the peak is zero."""
    return torch.where(peak > 0, peak / largest, torch.ones_like(peak))


def _affine(
    grouped: Tensor, width: int, *, sym: bool, lowest: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return scales `[G, N]` in `dtype` and zero points `[G, N]` for weights `[N, G, group_size]`."""
    top = 2**width - 1
    if sym:
        scales = _scale(grouped.abs().amax(dim=2), 2 ** (width - 1) - 1)
        zeros = torch.full_like(scales, 2 ** (width - 1))
    else:
        low, high = grouped.amin(dim=2).clamp(max=0), grouped.amax(dim=2).clamp(min=0)
        scales = _scale(high - low, top - lowest)
        zeros = (-low / scales).round().clamp(lowest, top)
    tiny = torch.finfo(dtype).tiny  # a scale that rounds to zero would cause a division by zero
    return scales.T.clamp(min=tiny).to(dtype).contiguous(), zeros.T.to(torch.int32).contiguous()


def _levels(weight: Tensor, scales: Tensor, zeros: Tensor, width: int) -> Tensor:
    """Return the integers `[K, N]` for weights `[K, N]`, computed with the stored scales."""
    return ((weight / scales.to(torch.float32)).round() + zeros).clamp(0, 2**width - 1).to(torch.int32)


def check(scheme: Scheme, tensors: Mapping[str, Any], out_features: int, in_features: int) -> None:
    """Check that `tensors` are those of `scheme` for a weight `[out_features, in_features]`.

    Raises:
        UsageError: tensors are missing, unexpected, or of another shape or dtype; the message lists all.
    """
    specs = {spec.name: spec for spec in scheme.tensors(out_features, in_features)}
    found = [f"{name} is missing" for name in specs if name not in tensors]
    found += [f"{name} is not a tensor of this scheme" for name in tensors if name not in specs]
    for name, tensor in tensors.items():
        spec = specs.get(name)
        if spec is None:
            continue
        dtype = str(tensor.dtype).removeprefix("torch.")
        if tuple(tensor.shape) != spec.shape and not (spec.shape == (1,) and tensor.numel() == 1):
            found.append(f"{name} has shape {list(tensor.shape)}, not {list(spec.shape)}")
        if dtype not in spec.dtypes:
            found.append(f"{name} is {dtype}, not {' or '.join(spec.dtypes)}")
    if found:
        raise UsageError(f"{scheme.label} [{out_features}, {in_features}]: {'; '.join(found)}")
