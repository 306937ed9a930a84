"""Small unsigned integers inside int32 words, as GPTQ and AWQ lay them out."""

from collections.abc import Sequence

import torch
from torch import Tensor

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight neighbours each nibble of an AWQ word holds, lowest bits first (AutoAWQ, version "gemm")."""


def pack(values: Tensor, bits: int, dim: int, order: Sequence[int] | None = None) -> Tensor:
    """Pack unsigned `values` below 2**bits along `dim`: 32 / bits of them make one int32, the first lowest.

    Args:
        values: integers of any dtype; the size of `dim` is a multiple of 32 / bits.
        bits: 4 or 8.
        dim: the dimension that shrinks.
        order: which of the neighbours comes first, second, …; as they stand when None.
    """
    per = 32 // bits
    lanes = values.to(torch.int64).unflatten(dim, (-1, per)).movedim(dim + 1, -1)
    if order is not None:
        lanes = lanes[..., list(order)]
    words = (lanes << _shifts(bits, values)).sum(dim=-1)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def unpack(words: Tensor, bits: int, dim: int, order: Sequence[int] | None = None) -> Tensor:
    """Return the values, int32, that `pack` has put into `words`."""
    lanes = (words.to(torch.int64).unsqueeze(-1) >> _shifts(bits, words)) & (2**bits - 1)
    if order is not None:
        lanes = lanes[..., [list(order).index(place) for place in range(32 // bits)]]
    return lanes.movedim(-1, dim + 1).flatten(dim, dim + 1).to(torch.int32)


def _shifts(bits: int, like: Tensor) -> Tensor:
    return torch.arange(0, 32, bits, device=like.device, dtype=torch.int64)
