"""The cases of the GPU tests, the refusals that are expected, and the bounds for the error of each case."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch

from compat.quant.backends import process_setup
from compat.quant.backends.adapters import candidates
from compat.quant.backends.required_symbols import Package
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
"""The number of rows from which the errors of single values average out."""

INPUT_SCALE = 5.0 / 448
"""The scale of a static activation with maximum 5, which one in two million normal values exceeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One scheme on one back end with one quantization method, in one dtype."""

    back_end: Package
    scheme: Scheme
    quantization: str | None
    """The package's name of the method; None where it has none, and must refuse the scheme."""
    dtype: torch.dtype
    default: bool
    """Whether the layer selects this method by default."""

    @property
    def id(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{self.back_end}-{self.scheme.label}-{self.quantization}-{dtype}"


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Return all cases of the installed packages; of both packages when none is installed, to be skipped."""
    found: list[Case] = []
    for back_end in BACK_ENDS:
        version = process_setup.installed(back_end)
        if version is None and any(map(process_setup.installed, BACK_ENDS)):
            continue
        for scheme in SCHEMES:
            names = [row.name for row in candidates(back_end, version, scheme)] if version else []
            for index, name in enumerate(names or [None]):
                found += [
                    Case(back_end=back_end, scheme=scheme, quantization=name, dtype=dtype, default=index == 0)
                    for dtype in (torch.bfloat16, torch.float16)
                ]
    return tuple(found)


def uneven(n: int, k: int) -> torch.Tensor:
    """Return random weights `[N, K]` whose size differs between groups of 16 inputs or outputs.

    With equal groups, a kernel that mixes up their scales would be off by a few hundredths only.
    """
    sizes = torch.exp(0.5 * torch.randn(-(-k // 16))).repeat_interleave(16)[:k]
    heights = torch.exp(0.5 * torch.randn(-(-n // 16))).repeat_interleave(16)[:n]
    weight = torch.randn(n, k) * sizes * heights[:, None]
    return weight / (sizes.square().mean() * k) ** 0.5


def why_not() -> str | None:
    """Return why no GPU test can run here; None when they can."""
    if not torch.cuda.is_available():
        return "there is no CUDA device"
    if not any(map(process_setup.installed, BACK_ENDS)):
        return "neither sglang nor vllm is installed"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Cases that a package does not run, and the message with which it refuses them."""

    back_end: Package
    what: Callable[[Case], bool]
    says: str
    """A regular expression for the evidence of the refusal."""


def _labelled(*starts: str) -> Callable[[Case], bool]:
    return lambda case: case.scheme.label.startswith(starts)


REFUSALS: tuple[Refusal, ...] = (
    *(
        Refusal(
            back_end=back_end,
            what=lambda case: case.quantization in ("gptq", "awq") and case.dtype == torch.bfloat16,
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
        Refusal(
            back_end=back_end,
            what=lambda case: case.quantization is None,
            says="no class that reads this format",
        )
        for back_end in BACK_ENDS
    ),
    Refusal(
        back_end="vllm",
        what=lambda case: case.scheme.label == "awq4-g128-nozp" and case.dtype == torch.bfloat16,
        says=r"c10::Half.* raised at vllm/",
    ),
)
"""All refusals at a size that every kernel supports; docs/accuracy/quant.md gives the reasons."""

OF_SIZE = r"raised at (vllm|sglang)/|inputs at a time"
"""A regular expression for refusals because of the size."""

UNWRITTEN = "its kernel computes a wrong result: with 1 row it is off by nan"
"""The refusal of the plain AWQ kernel of sglang 0.4.7 (sgl-kernel 0.1.7) where N is not a multiple of 128:
it leaves the last outputs unwritten."""


def refused_in_advance(case: Case) -> bool:
    """Return whether the release is known to refuse a case at every size."""
    return any(each.back_end == case.back_end and each.what(case) for each in REFUSALS)


def may_be_refused(case: Case, said: str, *, odd_size: bool) -> bool:
    """Return whether a refusal with the evidence `said` is expected."""
    known = any(
        each.back_end == case.back_end and each.what(case) and re.search(each.says, said) for each in REFUSALS
    )
    if odd_size and said == UNWRITTEN:
        return (
            case.quantization == "awq"
            and process_setup.installed("sglang") == "0.4.7"
            and case.back_end == "sglang"
        )
    return known or (odd_size and re.search(OF_SIZE, said) is not None)


def rounds_activations(scheme: Scheme) -> bool:
    return isinstance(scheme, Fp8 | BlockInt8 | W8A8Int8)


def rounds_zero_points(scheme: Scheme, back_end: str | None) -> bool:
    return back_end == "vllm" and isinstance(scheme, Awq) and scheme.zero_point


def exactness(case: Case, rows: int = MANY) -> float:
    """Return the bound for the error of a kernel, relative to float64 with the scheme's values, by norms.

    The result is rounded to the dtype: about 2**-9 / sqrt(3) = 1.1e-3 in bfloat16 (1.7e-3 was measured for
    torch's own product with a bias), and an eighth of that in float16. Weight-only kernels round weights to
    the dtype before they multiply: two more roundings, so 6e-3 and 8e-4. vllm's AWQ kernels also round zero
    point times scale, which is 8 steps: off by 9e-3 of a step, where a step is 0.4 of the mean weight
    (0.6 where weights of a group differ in size): 5e-3 in total (4e-3 to 6e-3 was measured), so 1e-2 and
    1.3e-3.
    GPTQ's plain kernel (exllama) sums products in float16: 4e-3 (1.2e-3 was measured at K = 4096). Where
    activations are rounded, a scale that differs in its last bit moves some of them to the next value: the
    bound of bfloat16 in both dtypes.

    Fewer rows than `MANY` are few samples. One large activation that rounds in the other direction is off by
    an eighth of its share, which is some hundredths of a row: 2e-2. The other errors vary by half.

    sglang's int8 in groups of 128 truncates activations instead of rounding them: a whole step of peak / 127,
    where the peak of 128 normal numbers lies at 2.6 sigma, so 2.6 / 127 / sqrt(3) = 1.2e-2; a single row
    varies by half.
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
        bound = 6e-3 if case.dtype == torch.bfloat16 else 4e-3 if case.quantization == "gptq" else 8e-4
    return 1.5 * bound if few else bound


def _to_powers_of_two(case: Case) -> bool:
    return ideal_bound(case.scheme, case.back_end, case.dtype) == POWERS_OF_TWO


POWERS_OF_TWO = 6e-2
"""The bound of vllm's block FP8 in bfloat16, the dtype in which it uses DeepGEMM. Unless
VLLM_USE_DEEP_GEMM_E8M0=0, it first rounds scales up to powers of two, those of weights
(`requant_weight_ue8m0_inplace`) and of activations. So both are rounded to e4m3 a second time: 2.6e-2 each,
of which 1.9e-2 differs from the scheme's own rounding."""


def ideal_bound(scheme: Scheme, back_end: str | None = None, dtype: torch.dtype | None = None) -> float:
    """Return the bound for the error relative to float64 without any rounding of activations.

    e4m3 keeps 4 bits: at most 2**-4, and 2.6e-2 on average over a normal distribution. int8: half a step of
    the largest value in a token, 3 to 4 sigma: 3.5 / 127 / sqrt(12) = 8e-3.
    """
    if isinstance(scheme, Fp8):
        coarse = scheme.granularity == "block" and back_end == "vllm" and dtype == torch.bfloat16
        return POWERS_OF_TWO if coarse else 4e-2
    if isinstance(scheme, BlockInt8):
        return 2e-2  # truncated, see above
    if rounds_zero_points(scheme, back_end):
        return 1.5e-2  # see above; a single row varies by half
    return 1.5e-2 if rounds_activations(scheme) else 6e-3
