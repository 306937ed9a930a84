"""Quantization schemes of a linear layer, as values that define its tensors: shapes, dtypes and packing.

Nothing here needs torch. A weight is `[out_features, in_features]`, written `[N, K]`; dtypes are named as in
torch.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from compat.errors import UsageError

FLOATS = ("float16", "bfloat16", "float32")
"""The dtypes of an unquantized tensor."""
HALVES = ("float16", "bfloat16")
"""The dtypes of the scales in weight-only formats."""
E4M3 = ("float8_e4m3fn",)
E4M3_MAX = 448.0
"""The largest finite float8_e4m3fn (Micikevicius et al., FP8 Formats for Deep Learning, 2022, table 1)."""
INT8_MAX = 127.0
"""The largest value of symmetric int8, which does not use -128."""
BLOCK = 128
"""Rows and columns that share a scale in block formats (`weight_block_size` of DeepSeek-V3's config.json)."""

Granularity = Literal["tensor", "channel", "block"]
Activation = Literal["static", "dynamic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The dimension of a tensor that follows N or K, and how many of N or K one step of it covers."""

    dim: int
    per: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One tensor of a linear layer, as a checkpoint stores it."""

    name: str
    """The last part of the tensor's name, such as `qweight`."""
    shape: tuple[int, ...]
    dtypes: tuple[str, ...]
    """The accepted dtypes; packers write the first."""
    output: Axis | None = None
    """How the tensor is cut when N is divided over ranks; None when every rank has all of it."""
    input: Axis | None = None
    """How the tensor is cut when K is divided over ranks; None when every rank has all of it."""


class Scheme:
    """The interface of all schemes; each scheme is a frozen dataclass below."""

    __slots__ = ()
    kind: ClassVar[str]
    """The scheme's name in configurations."""

    def tensors(self, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
        """Return the tensors of a layer, without its bias.

        Raises:
            UsageError: the format cannot hold a weight of this shape.
        """
        raise NotImplementedError

    @property
    def label(self) -> str:
        """A short name that is unique for each value, for tables and test ids."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unquantized(Scheme):
    """A plain weight `[N, K]` in float16, bfloat16 or float32."""

    kind: ClassVar[str] = "unquantized"

    def tensors(self, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
        return (_weight(out_features, in_features, FLOATS),)

    @property
    def label(self) -> str:
        return "unquantized"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fp8(Scheme):
    """float8_e4m3fn weights, with activations that are quantized to the same dtype when the layer runs.

    `weight` is `[N, K]`. A scale multiplies what is stored: `weight_scale` is float32 of shape `[1]` (per
    tensor) or `[N, 1]` (per channel); per block of 128 x 128 it is `weight_scale_inv`, float32 `[ceil(N/128),
    ceil(K/128)]`. A static activation adds `input_scale`, float32 `[1]`. Sources: the checkpoints of ModelOpt
    and compressed-tensors (tensor, channel) and of DeepSeek-V3 (block), as `Fp8LinearMethod.create_weights`
    of both packages reads them.
    """

    kind: ClassVar[str] = "fp8"
    granularity: Granularity = "tensor"
    activation: Activation = "dynamic"

    def __post_init__(self) -> None:
        _one_of("granularity", self.granularity, ("tensor", "channel", "block"))
        _one_of("activation", self.activation, ("static", "dynamic"))
        if self.granularity == "block" and self.activation == "static":
            raise UsageError(
                "fp8: granularity 'block' has no static activation scale; use activation 'dynamic'"
            )

    def tensors(self, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
        weight = _weight(out_features, in_features, E4M3)
        if self.granularity == "block":
            return (weight, _block_scale(out_features, in_features))
        scale = (
            TensorSpec(name="weight_scale", shape=(1,), dtypes=("float32",))
            if self.granularity == "tensor"
            else _channel_scale(out_features)
        )
        if self.activation == "dynamic":
            return (weight, scale)
        return (weight, scale, TensorSpec(name="input_scale", shape=(1,), dtypes=("float32",)))

    @property
    def label(self) -> str:
        return f"fp8-{self.granularity}-{self.activation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gptq(Scheme):
    """4-bit or 8-bit weights with a scale and zero point per group of inputs; activations are not quantized.

    An int32 holds p = 32 / bits values, the first in the lowest bits. `qweight` `[K/p, N]` is packed along K;
    `qzeros` `[G, N/p]` is packed along N and stores the zero point minus one; `scales` is `[G, N]`; `g_idx`
    `[K]` is the group of each input. G = K / group_size; group_size -1 is one group of all K. With `desc_act`
    the groups follow the order of activation, not of position. Source: checkpoint format "gptq" (v1) of
    AutoGPTQ and GPTQModel.
    """

    kind: ClassVar[str] = "gptq"
    bits: Literal[4, 8] = 4
    group_size: int = 128
    desc_act: bool = False
    sym: bool = True

    def __post_init__(self) -> None:
        _one_of("bits", self.bits, (4, 8))
        _check_group("gptq", self.group_size, self.bits)

    def tensors(self, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
        per = 32 // self.bits
        size = _group("gptq", self.group_size, in_features)
        _multiple("gptq", "in_features", in_features, per)
        _multiple("gptq", "out_features", out_features, per)
        groups = in_features // size
        grouped = None if self.desc_act or self.group_size == -1 else Axis(dim=0, per=size)
        return (
            TensorSpec(
                name="qweight",
                shape=(in_features // per, out_features),
                dtypes=("int32",),
                output=Axis(dim=1),
                input=Axis(dim=0, per=per),
            ),
            TensorSpec(
                name="qzeros",
                shape=(groups, out_features // per),
                dtypes=("int32",),
                output=Axis(dim=1, per=per),
                input=grouped,
            ),
            TensorSpec(
                name="scales",
                shape=(groups, out_features),
                dtypes=HALVES,
                output=Axis(dim=1),
                input=grouped,
            ),
            TensorSpec(name="g_idx", shape=(in_features,), dtypes=("int32",), input=Axis(dim=0)),
        )

    @property
    def label(self) -> str:
        order = "-desc" if self.desc_act else ""
        return f"gptq{self.bits}-g{_size(self.group_size)}-{'sym' if self.sym else 'asym'}{order}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Awq(Scheme):
    """4-bit weights with a scale and zero point per group of inputs; activations are not quantized.

    Eight values of one row fill an int32, outputs 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits up: `qweight`
    `[K, N/8]`, `qzeros` `[G, N/8]`, `scales` `[G, N]`. Without `zero_point` every zero point is 8. Source:
    version "gemm" of AutoAWQ (Lin et al., AWQ, 2023).
    """

    kind: ClassVar[str] = "awq"
    bits: Literal[4] = 4
    group_size: int = 128
    zero_point: bool = True

    def __post_init__(self) -> None:
        _one_of("bits", self.bits, (4,))
        _check_group("awq", self.group_size, self.bits)

    def tensors(self, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
        per = 32 // self.bits
        size = _group("awq", self.group_size, in_features)
        _multiple("awq", "out_features", out_features, per)
        groups = in_features // size
        along = Axis(dim=0, per=size)
        packed = Axis(dim=1, per=per)
        return (
            TensorSpec(
                name="qweight",
                shape=(in_features, out_features // per),
                dtypes=("int32",),
                output=packed,
                input=Axis(dim=0),
            ),
            TensorSpec(
                name="qzeros",
                shape=(groups, out_features // per),
                dtypes=("int32",),
                output=packed,
                input=along,
            ),
            TensorSpec(
                name="scales", shape=(groups, out_features), dtypes=HALVES, output=Axis(dim=1), input=along
            ),
        )

    @property
    def label(self) -> str:
        return f"awq{self.bits}-g{_size(self.group_size)}{'' if self.zero_point else '-nozp'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockInt8(Scheme):
    """int8 weights with a scale per block of 128 x 128; activations are quantized to int8 per 128 inputs.

    `weight` is int8 `[N, K]`; `weight_scale_inv` is float32 `[ceil(N/128), ceil(K/128)]` and multiplies the
    stored values. Source: `blockwise_int8` of sglang (`BlockInt8LinearMethod.create_weights`).
    """

    kind: ClassVar[str] = "block_int8"

    def tensors(self, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
        return (_weight(out_features, in_features, ("int8",)), _block_scale(out_features, in_features))

    @property
    def label(self) -> str:
        return "block-int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class W8A8Int8(Scheme):
    """int8 weights with a scale per output, and activations quantized to int8 per token; both symmetric.

    `weight` is int8 `[N, K]`, `weight_scale` float32 `[N, 1]`. Sources: `w8a8_int8` of sglang, and the int8
    channel format of compressed-tensors, which vllm reads.
    """

    kind: ClassVar[str] = "w8a8_int8"

    def tensors(self, out_features: int, in_features: int) -> tuple[TensorSpec, ...]:
        return (_weight(out_features, in_features, ("int8",)), _channel_scale(out_features))

    @property
    def label(self) -> str:
        return "w8a8-int8"


KINDS: dict[str, type[Scheme]] = {
    scheme.kind: scheme for scheme in (Unquantized, Fp8, Gptq, Awq, BlockInt8, W8A8Int8)
}
"""From the name of a scheme in configurations to its class."""


def blocks(size: int) -> int:
    """Return the number of blocks of 128 that cover `size`; the last block may be smaller."""
    return -(-size // BLOCK)


def _weight(out_features: int, in_features: int, dtypes: tuple[str, ...]) -> TensorSpec:
    return TensorSpec(
        name="weight",
        shape=(out_features, in_features),
        dtypes=dtypes,
        output=Axis(dim=0),
        input=Axis(dim=1),
    )


def _channel_scale(out_features: int) -> TensorSpec:
    return TensorSpec(name="weight_scale", shape=(out_features, 1), dtypes=("float32",), output=Axis(dim=0))


def _block_scale(out_features: int, in_features: int) -> TensorSpec:
    return TensorSpec(
        name="weight_scale_inv",
        shape=(blocks(out_features), blocks(in_features)),
        dtypes=("float32",),
        output=Axis(dim=0, per=BLOCK),
        input=Axis(dim=1, per=BLOCK),
    )


def _group(kind: str, group_size: int, in_features: int) -> int:
    size = in_features if group_size == -1 else group_size
    _multiple(kind, "in_features", in_features, size)
    return size


def _size(group_size: int) -> str:
    return "all" if group_size == -1 else str(group_size)


def _check_group(kind: str, group_size: int, bits: int) -> None:
    if isinstance(group_size, bool) or not isinstance(group_size, int):
        raise UsageError(
            f"{kind}: group_size {group_size!r} is not an integer; use -1 or a positive multiple of 8"
        )
    per = 32 // bits
    if group_size != -1 and (group_size < per or group_size % per):
        raise UsageError(f"{kind}: group_size {group_size} cannot be packed; use -1 or a multiple of {per}")


def _multiple(kind: str, what: str, size: int, of: int) -> None:
    if size <= 0 or size % of:
        raise UsageError(f"{kind}: {what} is {size}, which is not a positive multiple of {of}")


def _one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices or isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}; use one of {', '.join(map(repr, choices))}")
