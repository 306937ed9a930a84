"""Test packing and unpacking: single bits of a word, round trips, and values computed one by one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.errors import UsageError
from compat.quant.packing import bit_packing
from compat.quant.packing.packers import check, dequantize, pack
from compat.quant.schemes import BLOCK, Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8
from quant_cases import SCHEMES, weight_error

IDS = [scheme.label for scheme in SCHEMES]


def grouped_peak(scheme: Scheme, weight: torch.Tensor) -> torch.Tensor:
    """Return, for each weight, the largest magnitude among the weights that share its scale."""
    if isinstance(scheme, Unquantized):
        return weight.abs()
    if isinstance(scheme, W8A8Int8) or (isinstance(scheme, Fp8) and scheme.granularity == "channel"):
        return weight.abs().amax(1, keepdim=True).expand_as(weight)
    if isinstance(scheme, BlockInt8) or (isinstance(scheme, Fp8) and scheme.granularity == "block"):
        peak = torch.empty_like(weight)
        for row in range(0, weight.shape[0], BLOCK):
            for column in range(0, weight.shape[1], BLOCK):
                tile = weight[row : row + BLOCK, column : column + BLOCK]
                peak[row : row + BLOCK, column : column + BLOCK] = tile.abs().max()
        return peak
    if isinstance(scheme, Fp8):
        return weight.abs().max().expand_as(weight)
    assert isinstance(scheme, Gptq | Awq)
    size = weight.shape[1] if scheme.group_size == -1 else scheme.group_size
    if isinstance(scheme, Gptq) and scheme.desc_act:
        return weight.abs().amax(1, keepdim=True).expand_as(weight)  # the group of an input is not known here
    return weight.abs().unflatten(1, (-1, size)).amax(2, keepdim=True).expand(-1, -1, size).flatten(1)


def test_words_are_laid_out_as_the_formats_say() -> None:
    """0x76543210 has 0 in its lowest nibble; AWQ puts the outputs 0, 2, 4, 6, 1, 3, 5, 7 there."""
    values = torch.arange(8)
    assert bit_packing.pack(values, 4, 0).item() == 0x76543210
    assert bit_packing.pack(values, 4, 0, bit_packing.AWQ_ORDER).item() == 0x75316420
    assert bit_packing.pack(torch.tensor([1, 2, 3, 255]), 8, 0).item() == -(2**32 - 0xFF030201)


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 8]), st.sampled_from([0, 1]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_integer_comes_back(seed: int, width: int, dim: int, awq: bool) -> None:  # noqa: FBT001
    order = bit_packing.AWQ_ORDER if awq and width == 4 else None
    values = torch.randint(0, 2**width, (16, 24), generator=torch.Generator().manual_seed(seed))
    words = bit_packing.pack(values, width, dim, order)
    assert words.dtype == torch.int32
    assert words.shape[dim] == values.shape[dim] * width // 32
    assert torch.equal(bit_packing.unpack(words, width, dim, order), values.to(torch.int32))


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-2, 1.0, 30.0]))
@settings(max_examples=8, deadline=None)
def test_a_weight_comes_back_within_half_a_step(scheme: Scheme, seed: int, size: float) -> None:
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(seed)) * size
    tensors = pack(scheme, weight)
    check(scheme, tensors, 64, 256)
    error = (dequantize(scheme, tensors) - weight).abs()
    # Scales in float16 are rounded too: by 2**-11 of the value, which is at most the peak.
    slack = weight_error(scheme) + 2**-10
    asymmetric = isinstance(scheme, Gptq | Awq) and not getattr(scheme, "sym", False)
    peak = grouped_peak(scheme, weight) * (
        2 if asymmetric else 1
    )  # the range from lowest to highest is up to twice the peak
    tiniest = 2**-25  # half of the smallest float16
    assert (error <= slack * peak + tiniest).all(), (error / peak).max()


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_packing_an_unpacked_weight_changes_nothing(scheme: Scheme) -> None:
    """A weight that the format can represent comes back, up to the rounding of scales.

    Exceptions are asymmetric schemes, whose range and zero point depend on each other, and schemes in which
    rounding changes the order of activation: for these only the bound of the test above holds.
    """
    weight = torch.randn(128, 256, generator=torch.Generator().manual_seed(1))
    once = dequantize(scheme, pack(scheme, weight))
    twice = dequantize(scheme, pack(scheme, once))
    found_again = scheme.label not in (
        "gptq4-g128-asym",
        "gptq4-g128-sym-desc",
        "gptq8-g64-asym-desc",
        "awq4-g128",
        "awq4-gall",
    )
    exact = 2**-9 if isinstance(scheme, Gptq | Awq) else 2**-20
    bound = exact if found_again else 3 * weight_error(scheme)
    assert ((once - twice).abs() <= bound * once.abs().max()).all()


@pytest.mark.parametrize(
    "scheme", [Gptq(sym=False), Gptq(desc_act=True, bits=8), Awq()], ids=lambda s: s.label
)
def test_values_are_what_the_format_defines(scheme: Gptq | Awq) -> None:
    """Compute (q - zero) * scale for single weights, with shifts on the packed words."""
    tensors = pack(scheme, torch.randn(16, 256, generator=torch.Generator().manual_seed(2)))
    weight = dequantize(scheme, tensors)
    width, per = scheme.bits, 32 // scheme.bits
    for n, k in [(0, 0), (3, 17), (7, 130), (15, 255), (9, 128)]:
        if isinstance(scheme, Gptq):
            group = int(tensors["g_idx"][k])
            q = int(tensors["qweight"][k // per, n]) >> (width * (k % per)) & (2**width - 1)
            zero = (int(tensors["qzeros"][group, n // per]) >> (width * (n % per)) & (2**width - 1)) + 1
        else:
            group = k // scheme.group_size
            shift = width * bit_packing.AWQ_ORDER.index(n % per)
            q = int(tensors["qweight"][k, n // per]) >> shift & 15
            zero = int(tensors["qzeros"][group, n // per]) >> shift & 15
        assert weight[n, k].item() == pytest.approx((q - zero) * float(tensors["scales"][group, n]), abs=1e-6)


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_zeros_stay_zeros(scheme: Scheme) -> None:
    """No scale causes a division by zero, and no value becomes NaN."""
    weight = torch.randn(64, 256)
    weight[:, :128] = 0
    weight[:8] = 0
    back = dequantize(scheme, pack(scheme, weight))
    assert torch.isfinite(back).all()
    assert (back[weight == 0] == 0).all()


def test_the_order_of_activation_is_not_that_of_position() -> None:
    weight = torch.randn(32, 256)
    index = pack(Gptq(desc_act=True), weight)["g_idx"]
    assert not torch.equal(index, index.sort().values)
    assert torch.equal(index.bincount(), torch.tensor([128, 128]))


def test_one_error_lists_everything_that_is_wrong_with_tensors() -> None:
    tensors = pack(Gptq(), torch.randn(64, 256))
    wrong = {
        **tensors,
        "qweight": tensors["qweight"].T,
        "scales": tensors["scales"].double(),
        "extra": tensors["g_idx"],
    }
    del wrong["qzeros"]
    with pytest.raises(UsageError) as caught:
        check(Gptq(), wrong, 64, 256)
    for part in ("qzeros is missing", "extra is not a tensor", "qweight has shape", "scales is float64"):
        assert part in str(caught.value)
