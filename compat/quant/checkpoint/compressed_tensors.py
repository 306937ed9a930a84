"""Convert tensors with the names and layout of compressed-tensors to those of the schemes."""

from collections.abc import Mapping

from torch import Tensor

from compat.quant.checkpoint.quantization_config import Assigned
from compat.quant.packing import bit_packing
from compat.quant.schemes import HALVES, Gptq, TensorSpec


def stored_tensors(assigned: Assigned, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
    """Return the specs of the tensors that a checkpoint contains for one layer.

    Raises:
        UsageError: the format cannot hold a weight of this shape.
    """
    specs = assigned.scheme.tensors(out_features, in_features)
    if assigned.layout == "compressed-block":
        return tuple(
            TensorSpec(name="weight_scale", shape=spec.shape, dtypes=("float32", *HALVES))
            if spec.name == "weight_scale_inv"
            else spec
            for spec in specs
        )
    if assigned.layout == "compressed-packed" and isinstance(assigned.scheme, Gptq):
        by_name = {spec.name: spec for spec in specs}
        rows, columns = by_name["qweight"].shape
        groups = by_name["scales"].shape[0]
        found = (
            TensorSpec(name="weight_packed", shape=(columns, rows), dtypes=("int32",)),
            TensorSpec(name="weight_scale", shape=(columns, groups), dtypes=HALVES),
            TensorSpec(name="weight_shape", shape=(2,), dtypes=("int64", "int32")),
        )
        order = TensorSpec(name="weight_g_idx", shape=(in_features,), dtypes=("int32",))
        return (*found, order) if assigned.scheme.desc_act else found
    return specs


def translate(assigned: Assigned, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the scheme, converted from those of the checkpoint; a bias stays as it is.

    compressed-tensors packs along K, as GPTQ does, but stores `[N, K/p]`, and omits zero points in the middle
    of the range (`pack_to_int32`).
    """
    found = dict(tensors)
    if assigned.layout == "compressed-block":
        found["weight_scale_inv"] = found.pop("weight_scale").float()
    if assigned.layout == "compressed-packed" and isinstance(assigned.scheme, Gptq):
        found.pop("weight_shape")
        scales = found.pop("weight_scale").T.contiguous()
        middle = 2 ** (assigned.scheme.bits - 1)
        packed = found.pop("weight_packed")
        groups = scales.shape[0]
        inputs = packed.shape[1] * 32 // assigned.scheme.bits
        zeros = scales.new_full(scales.shape, middle - 1).int()
        found["qweight"] = packed.T.contiguous()
        found["qzeros"] = bit_packing.pack(zeros, assigned.scheme.bits, 1)
        found["scales"] = scales
        ordered = (zeros.new_ones(inputs).cumsum(0) - 1).int() // (inputs // groups)
        found["g_idx"] = found.pop("weight_g_idx", ordered)
    return found
