"""Pack small unsigned integers into int32 words, in the layouts of GPTQ and AWQ."""

from collections.abc import Sequence

import torch
from torch import Tensor

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight consecutive values each nibble of an AWQ word holds, lowest bits first (AutoAWQ, "gemm")."""


def pack(values: Tensor, bits: int, dim: int, order: Sequence[int] | None = None) -> Tensor:
    """Return `values` packed along `dim`, 32 / bits of them per int32 word, the first in the lowest bits.

    Args:
        values: integers from 0 to 2**bits - 1, of any dtype; the size of `dim` is a multiple of 32 / bits.
        bits: 4 or 8.
        dim: the dimension that shrinks.
        order: which of the values in a word comes first, second, …; None keeps their order.
    """
    per = 32 // bits
    lanes = values.to(torch.int64).unflatten(dim, (-1, per)).movedim(dim + 1, -1)
    if order is not None:
        lanes = lanes[..., list(order)]
    words = (lanes << _shifts(bits, values)).sum(dim=-1)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def unpack(words: Tensor, bits: int, dim: int, order: Sequence[int] | None = None) -> Tensor:
    """Return the int32 values that `pack` stored in `words`."""
    lanes = (words.to(torch.int64).unsqueeze(-1) >> _shifts(bits, words)) & (2**bits - 1)
    if order is not None:
        lanes = lanes[..., [list(order).index(place) for place in range(32 // bits)]]
    return lanes.movedim(-1, dim + 1).flatten(dim, dim + 1).to(torch.int32)


def _shifts(bits: int, like: Tensor) -> Tensor:
    return torch.arange(0, 32, bits, device=like.device, dtype=torch.int64)
