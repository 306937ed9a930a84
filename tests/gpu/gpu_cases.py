"""What the tests on a GPU go through, and how exact each has to be."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch

from compat.quant.backends import process_setup
from compat.quant.backends.adapters import Package, candidates
from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

BACK_ENDS: tuple[Package, ...] = ("sglang", "vllm")

SCHEMES: tuple[Scheme, ...] = (
    Unquantized(),
    Fp8(granularity="tensor"),
    Fp8(granularity="tensor", activation="static"),
    Fp8(granularity="channel"),
    Fp8(granularity="channel", activation="static"),
    Fp8(granularity="block"),
    Gptq(),
    Gptq(bits=8),
    Gptq(sym=False),
    Gptq(desc_act=True),
    Gptq(group_size=32),
    Gptq(group_size=-1),
    Awq(),
    Awq(group_size=64),
    Awq(zero_point=False),
    BlockInt8(),
    W8A8Int8(),
)

MANY = 16
"""Rows over which the errors of single values even out."""

INPUT_SCALE = 5.0 / 448
"""A static activation reaches to 5: what lies beyond in a normal distribution is one in two million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One scheme on one back end by one way, in one dtype."""

    back_end: Package
    scheme: Scheme
    way: str | None
    """The package's name of the way; None where it has none, and has to say so."""
    dtype: torch.dtype
    default: bool
    """Whether it is what the layer takes when nobody asks."""

    @property
    def id(self) -> str:
        return f"{self.back_end}-{self.scheme.label}-{self.way}-{str(self.dtype).removeprefix('torch.')}"


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Return all cases of the packages that are installed; of both when none is, to be told as not run."""
    found: list[Case] = []
    for back_end in BACK_ENDS:
        version = process_setup.installed(back_end)
        if version is None and any(map(process_setup.installed, BACK_ENDS)):
            continue
        for scheme in SCHEMES:
            ways = [way.name for way in candidates(back_end, version, scheme)] if version else []
            for place, way in enumerate(ways or [None]):
                found += [
                    Case(back_end=back_end, scheme=scheme, way=way, dtype=dtype, default=place == 0)
                    for dtype in (torch.bfloat16, torch.float16)
                ]
    return tuple(found)


def uneven(n: int, k: int) -> torch.Tensor:
    """Return random weights `[N, K]` that differ in size from one 16 inputs or outputs to the next.

    Were all groups alike, a kernel that confuses their scales would be off by a few hundredths only.
    """
    sizes = torch.exp(0.5 * torch.randn(-(-k // 16))).repeat_interleave(16)[:k]
    heights = torch.exp(0.5 * torch.randn(-(-n // 16))).repeat_interleave(16)[:n]
    weight = torch.randn(n, k) * sizes * heights[:, None]
    return weight / (sizes.square().mean() * k) ** 0.5


def why_not() -> str | None:
    """Return why nothing can run here; None when it can."""
    if not torch.cuda.is_available():
        return "there is no CUDA device"
    if not any(map(process_setup.installed, BACK_ENDS)):
        return "neither sglang nor vllm is installed"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a package does not run, and what of its own says so."""

    back_end: Package
    what: Callable[[Case], bool]
    says: str
    """A regular expression that its evidence matches."""


def _labelled(*starts: str) -> Callable[[Case], bool]:
    return lambda case: case.scheme.label.startswith(starts)


REFUSALS: tuple[Refusal, ...] = (
    *(
        Refusal(
            back_end=back_end,
            what=lambda case: case.way in ("gptq", "awq") and case.dtype == torch.bfloat16,
            says=r"takes activations in float16 only \(get_supported_act_dtypes\)",
        )
        for back_end in BACK_ENDS
    ),
    Refusal(
        back_end="sglang",
        what=_labelled("fp8-channel-static"),
        says=r"size of scales_a is not matched.* raised at sglang/srt/layers/quantization/fp8_utils\.py",
    ),
    *(
        Refusal(back_end=back_end, what=lambda case: case.way is None, says="no class of it reads this")
        for back_end in BACK_ENDS
    ),
    Refusal(
        back_end="vllm",
        what=lambda case: case.scheme.label == "awq4-g128-nozp" and case.dtype == torch.bfloat16,
        says=r"c10::Half.* raised at vllm/",
    ),
)
"""All that may be refused at a size that suits every kernel. The page docs/quant.md says why."""

OF_SIZE = r"raised at (vllm|sglang)/|inputs at a time"
"""What says that a size is the reason."""

UNWRITTEN = "its kernel computes something else: with 1 rows it is off by nan"
"""The refusal of the plain AWQ kernel of sglang 0.4.7 (sgl-kernel 0.1.7) where N is no multiple of 128: it
leaves the last outputs unwritten."""


def refused_in_advance(case: Case) -> bool:
    """Return whether the release is known to refuse a case at any size."""
    return any(each.back_end == case.back_end and each.what(case) for each in REFUSALS)


def may_be_refused(case: Case, said: str, *, odd_size: bool) -> bool:
    """Tell whether a refusal is one that is known, with the reason that is known."""
    known = any(
        each.back_end == case.back_end and each.what(case) and re.search(each.says, said) for each in REFUSALS
    )
    if odd_size and said == UNWRITTEN:
        return (
            case.way == "awq" and process_setup.installed("sglang") == "0.4.7" and case.back_end == "sglang"
        )
    return known or (odd_size and re.search(OF_SIZE, said) is not None)


def rounds_activations(scheme: Scheme) -> bool:
    return isinstance(scheme, Fp8 | BlockInt8 | W8A8Int8)


def rounds_zero_points(scheme: Scheme, back_end: str | None) -> bool:
    return back_end == "vllm" and isinstance(scheme, Awq) and scheme.zero_point


def exactness(case: Case, rows: int = MANY) -> float:
    """Return how far a kernel may be from float64 on the values that the scheme defines, as a ratio of norms.

    The result is rounded to the dtype: about 2**-9 / sqrt(3) = 1.1e-3 in bfloat16 (measured 1.7e-3 for
    torch's own product with a bias), an eighth of that in float16. Weight-only kernels round weights to the
    dtype before they multiply: two roundings more, so 6e-3 and 8e-4. AWQ's in vllm round zero point times
    scale as well, which is 8 steps: off by 9e-3 of a step, where a step is 0.4 of the mean weight, and 0.6 in
    groups whose weights differ in size: 5e-3 in all (4e-3 to 6e-3 was measured), so 1e-2 and 1.3e-3.
    GPTQ's plain kernel (exllama) adds up products in float16: 4e-3 (1.2e-3 was measured at K = 4096). Where
    activations are rounded, a scale that differs in its last bit moves some of them to the next value: as
    bfloat16 in both.

    Fewer rows than `MANY` are few samples. One large activation that rounds the other way is off by an
    eighth of its share, which is some hundredths of a row: 2e-2. The rest varies by half.

    sglang's int8 in groups of 128 cuts activations off instead of rounding them: a whole step of peak / 127,
    where the peak of 128 normal numbers lies at 2.6 sigma, so 2.6 / 127 / sqrt(3) = 1.2e-2; a single row
    varies by a half.
    """
    if isinstance(case.scheme, BlockInt8):
        return 2e-2
    if _to_powers_of_two(case):
        return POWERS_OF_TWO
    few = rows < MANY
    if rounds_activations(case.scheme):
        return 2e-2 if few else 6e-3
    if rounds_zero_points(case.scheme, case.back_end):
        bound = 1e-2 if case.dtype == torch.bfloat16 else 1.3e-3
    else:
        bound = 6e-3 if case.dtype == torch.bfloat16 else 4e-3 if case.way == "gptq" else 8e-4
    return 1.5 * bound if few else bound


def _to_powers_of_two(case: Case) -> bool:
    return ideal_bound(case.scheme, case.back_end, case.dtype) == POWERS_OF_TWO


POWERS_OF_TWO = 6e-2
"""Of vllm's block FP8 in bfloat16, the dtype in which it takes DeepGEMM. Unless VLLM_USE_DEEP_GEMM_E8M0=0, it
rounds scales up to powers of two first, of weights (`requant_weight_ue8m0_inplace`) and of activations. So
both are rounded to e4m3 a second time: 2.6e-2 each, and 1.9e-2 less alike than the scheme's own rounding."""


def ideal_bound(scheme: Scheme, back_end: str | None = None, dtype: torch.dtype | None = None) -> float:
    """Return how far the result may be from float64 without any rounding of activations.

    e4m3 keeps 4 bits: at most 2**-4, and 2.6e-2 in the mean over a normal distribution. int8: half a step of
    the largest in a token, 3 to 4 sigma: 3.5 / 127 / sqrt(12) = 8e-3.
    """
    if isinstance(scheme, Fp8):
        coarse = scheme.granularity == "block" and back_end == "vllm" and dtype == torch.bfloat16
        return POWERS_OF_TWO if coarse else 4e-2
    if isinstance(scheme, BlockInt8):
        return 2e-2  # cut off, see above
    if rounds_zero_points(scheme, back_end):
        return 1.5e-2  # see above; a single row varies by half
    return 1.5e-2 if rounds_activations(scheme) else 6e-3
