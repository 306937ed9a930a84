"""The schemes that the quantization tests cover, and the largest error of a packed weight in each."""

from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

SCHEMES: tuple[Scheme, ...] = (
    Unquantized(),
    Fp8(granularity="tensor"),
    Fp8(granularity="tensor", activation="static"),
    Fp8(granularity="channel"),
    Fp8(granularity="channel", activation="static"),
    Fp8(granularity="block"),
    Gptq(),
    Gptq(bits=8),
    Gptq(sym=False),  # zero points that differ
    Gptq(desc_act=True),  # groups out of order
    Gptq(group_size=32),
    Gptq(group_size=-1),  # one group
    Gptq(bits=8, sym=False, desc_act=True, group_size=64),
    Awq(),
    Awq(group_size=64, zero_point=False),
    Awq(group_size=-1),
    BlockInt8(),
    W8A8Int8(),
)

WEIGHT_ERROR = {
    # Half a step of the largest value in a group, in units of that value: 1 / 2 / (levels above zero).
    "unquantized": 2**-11,  # float16 has 11 bits
    "fp8": 2**-4,  # e4m3 has 4 bits; small values lose more relative to themselves, not to the group
    "gptq4": 1 / 14,
    "gptq8": 1 / 254,
    "awq4": 1 / 14,
    "block": 1 / 254,
    "w8a8": 1 / 254,
}
"""The largest error of a packed weight relative to the largest of its group, by prefix of the label."""


def weight_error(scheme: Scheme) -> float:
    """Return the bound for a scheme; asymmetric schemes, whose error is at most half, need no entry."""
    return next(bound for start, bound in WEIGHT_ERROR.items() if scheme.label.startswith(start))
