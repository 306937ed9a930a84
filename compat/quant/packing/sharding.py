"""Cut the tensors of a layer for one of several ranks, along the axes that its scheme defines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from compat.errors import UsageError
from compat.quant.schemes import Gptq, Scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One rank's part of a layer: a range of outputs (column) or of inputs (row)."""

    kind: Literal["column", "row"]
    rank: int
    size: int

    def features(self, out_features: int, in_features: int) -> tuple[int, int]:
        """Return `(out_features, in_features)` of this part.

        Raises:
            UsageError: the size of the layer is not a multiple of the number of ranks.
        """
        whole = out_features if self.kind == "column" else in_features
        if whole % self.size:
            side = "out_features" if self.kind == "column" else "in_features"
            raise UsageError(f"{side} is {whole}, which cannot be divided over {self.size} ranks")
        part = whole // self.size
        return (part, in_features) if self.kind == "column" else (out_features, part)


def cut(
    scheme: Scheme, tensors: Mapping[str, Tensor], shape: tuple[int, int], shard: Shard
) -> dict[str, Tensor]:
    """Return one rank's part of the tensors of a layer; a bias is cut by outputs.

    Args:
        scheme: their format.
        tensors: the whole layer's tensors, as in a checkpoint.
        shape: the whole layer's `(out_features, in_features)`.
        shard: which part.

    Raises:
        UsageError: the part would begin inside a group, block or packed word.
    """
    shard.features(*shape)
    whole = shape[0] if shard.kind == "column" else shape[1]
    part = whole // shard.size
    found: dict[str, Tensor] = {}
    for spec in scheme.tensors(*shape):
        axis = spec.output if shard.kind == "column" else spec.input
        tensor = tensors[spec.name]
        if axis is not None:
            if part % axis.per:
                where = f"only after a multiple of {axis.per}"
                raise UsageError(f"{scheme.label}: {spec.name} cannot be cut after {part} features, {where}")
            length = part // axis.per
            tensor = tensor.narrow(axis.dim, shard.rank * length, length)
        found[spec.name] = tensor
    if isinstance(scheme, Gptq) and shard.kind == "row" and found["scales"].shape != tensors["scales"].shape:
        found["g_idx"] = found["g_idx"] - found["g_idx"].min()  # the groups were cut as well
    if "bias" in tensors:
        bias = tensors["bias"]
        found["bias"] = bias.narrow(0, shard.rank * part, part) if shard.kind == "column" else bias
    return found
