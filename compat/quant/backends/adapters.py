"""The one table of what differs between releases: which of their classes run a scheme, how they are told.

Read from the sources of the releases named; `compat.load` finds the classes wherever a release keeps them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

Package = Literal["sglang", "vllm"]
Settings = Mapping[str, Any]
"""What a configuration class reads: the `quantization_config` of a checkpoint with this one scheme."""

CLAIMED: Mapping[Package, str] = {"sglang": ">=0.4.7,<=0.5.23", "vllm": ">=0.9.0.1,<=0.33.0"}
"""The releases that the layer was made for, as specifiers: the one place that says so. A newer release is
tried with what the newest of these needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A symbol of a package that the layer or its set-up loads, whatever the scheme."""

    package: Package
    role: str
    """What it is needed for; one symbol plays each role in a release, or none does."""
    location: str
    """Module and name, as `compat.load` takes them."""
    releases: str = ""
    """The releases in which it plays the role, as a specifier; all claimed ones when empty."""

    def covers(self, version: str) -> bool:
        """Return whether it plays its role in a release."""
        return Version(version) in SpecifierSet(self.releases, prereleases=True)


def location(package: Package, version: str, role: str) -> str | None:
    """Return the symbol that plays a role in a release; None when the release does without one."""
    for row in NEEDED:
        if row.package == package and row.role == role and row.covers(version):
            return row.location
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One way in which some releases of a package run some schemes."""

    package: Package
    releases: str
    """The releases it is true of, as a specifier."""
    name: str
    """The package's own name of the way, such as `gptq_marlin`; users may ask for it."""
    config: str | None
    """The configuration class; None: the package's linear layer without one."""
    methods: tuple[str, ...]
    """The method classes that may run; any other is a silent fall-back."""
    fits: Callable[[Scheme], bool]
    """Which schemes it is for."""
    settings: Callable[[Any, str], Settings] = lambda _scheme, _prefix: {}
    """From scheme and name of the layer to what the configuration class reads."""
    step: int = 1
    """How many inputs its kernel takes at a time; with others it reads what is not there."""
    opaque: str = ""
    """Why torch.compile must not look inside; empty where it may."""
    borrowed: str = ""
    """The releases of sglang, as a specifier, in which its classes or kernels are vllm's; empty for none."""

    def covers(self, version: str) -> bool:
        """Tell whether a release is among those this was read from."""
        return Version(version) in SpecifierSet(self.releases, prereleases=True)

    def borrows(self, version: str) -> bool:
        """Return whether a release of sglang needs vllm beside it for this."""
        return bool(self.borrowed) and Version(version) in SpecifierSet(self.borrowed, prereleases=True)


def candidates(package: Package, version: str, scheme: Scheme) -> tuple[Adapter, ...]:
    """Return the ways in which a release runs a scheme, the fastest first; empty when it has none."""
    return tuple(row for row in TABLE if row.package == package and row.covers(version) and row.fits(scheme))


def other_releases(package: Package, scheme: Scheme) -> tuple[str, ...]:
    """Return the releases, as specifiers, of which some run the scheme."""
    return tuple(dict.fromkeys(row.releases for row in TABLE if row.package == package and row.fits(scheme)))


def _is(kind: type[Scheme]) -> Callable[[Scheme], bool]:
    return lambda scheme: isinstance(scheme, kind)


def _fp8(
    *granularities: str, activations: tuple[str, ...] = ("dynamic", "static")
) -> Callable[[Scheme], bool]:
    return lambda scheme: (
        isinstance(scheme, Fp8) and scheme.granularity in granularities and scheme.activation in activations
    )


def _fp8_settings(scheme: Fp8, _prefix: str) -> Settings:
    blocks = {"weight_block_size": [128, 128]} if scheme.granularity == "block" else {}
    return {"quant_method": "fp8", "activation_scheme": scheme.activation, **blocks}


def _compressed(scheme: Scheme, _prefix: str) -> Settings:
    static = isinstance(scheme, Fp8) and scheme.activation == "static"
    kind, form = ("float", "float-quantized") if isinstance(scheme, Fp8) else ("int", "int-quantized")
    common = {"num_bits": 8, "type": kind, "symmetric": True}
    weights = {**common, "strategy": "channel", "dynamic": False}
    inputs = {**common, "strategy": "tensor" if static else "token", "dynamic": not static}
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "format": form}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": [],
    }


def _gptq_settings(scheme: Gptq, prefix: str) -> Settings:
    return {
        "quant_method": "gptq",
        "bits": scheme.bits,
        "group_size": scheme.group_size,
        "desc_act": scheme.desc_act,
        "sym": scheme.sym,
        "lm_head": False,
        # Without it vllm (seen in 0.23.0) takes every layer for unquantized; its own loader reads it from the
        # files.
        "modules_in_block_to_quantize": [prefix],
    }


def _awq_settings(scheme: Awq, _prefix: str) -> Settings:
    return {
        "quant_method": "awq",
        "bits": scheme.bits,
        "group_size": scheme.group_size,
        "zero_point": scheme.zero_point,
        "version": "gemm",
    }


def _symmetric(scheme: Scheme) -> bool:
    return isinstance(scheme, Gptq) and scheme.sym


def _symmetric_in_order(scheme: Scheme) -> bool:
    return isinstance(scheme, Gptq) and scheme.sym and (not scheme.desc_act or scheme.group_size == -1)


def _with_zero_point(scheme: Scheme) -> bool:
    return isinstance(scheme, Awq) and scheme.zero_point


def _w8a8_fp8_settings(_scheme: Scheme, _prefix: str) -> Settings:
    return {"quant_method": "w8a8_fp8"}


def _block_int8_settings(_scheme: Scheme, _prefix: str) -> Settings:
    return {
        "quant_method": "blockwise_int8",
        "activation_scheme": "dynamic",
        "weight_block_size": [128, 128],
    }


_HOMES: tuple[tuple[Package, str, str], ...] = (
    ("sglang", "sglang.srt.distributed.parallel_state", "sglang.srt.layers.linear"),
    ("vllm", "vllm.distributed.parallel_state", "vllm.model_executor.layers.linear"),
)
"""Of each package: where its groups of ranks are, and its linear layers."""


def _sglang(releases: str, name: str, config: str | None, *methods: str, **rest: Any) -> Adapter:
    return Adapter(package="sglang", releases=releases, name=name, config=config, methods=methods, **rest)


def _vllm(releases: str, name: str, config: str | None, *methods: str, **rest: Any) -> Adapter:
    return Adapter(package="vllm", releases=releases, name=name, config=config, methods=methods, **rest)


_SINCE = ">=0.4.7"
_BORROWED = "<0.5.0rc2"
"""Up to 0.4.9.post2 the methods are vllm's; then sglang has its own, still on vllm's `_custom_ops`. Without
vllm both are stubs: a layer ends in a `NameError` when it is built, or when its weights are repacked."""
_VLLM = ">=0.9.0.1"

_TVM_FFI = "tvm-ffi calls its Marlin kernels, without an operator of torch (jit_kernel/gptq_marlin.py)"
"""Traced all the same, the process ended in a segmentation fault (seen with 0.5.14)."""

TABLE: tuple[Adapter, ...] = (
    _sglang(_SINCE, "unquantized", None, "UnquantizedLinearMethod", fits=_is(Unquantized)),
    _sglang(
        _SINCE,
        "fp8",
        "Fp8Config",
        "Fp8LinearMethod",
        fits=_fp8("tensor", "block", activations=("dynamic",)),
        settings=_fp8_settings,
    ),
    _sglang(
        _SINCE,
        "fp8",
        "Fp8Config",
        "Fp8LinearMethod",
        fits=_fp8("tensor", activations=("static",)),
        settings=_fp8_settings,
        opaque="inductor's PassManager fails on its quantization of a static activation (seen with 0.5.14)",
    ),
    _sglang(
        _SINCE,
        "w8a8_fp8",
        "W8A8Fp8Config",
        "W8A8Fp8LinearMethod",
        fits=_fp8("channel", activations=("dynamic",)),
        settings=_w8a8_fp8_settings,
    ),
    _sglang(
        _SINCE,
        "compressed-tensors",
        "CompressedTensorsConfig",
        "CompressedTensorsLinearMethod",
        fits=_fp8("channel"),
        settings=_compressed,
    ),
    _sglang(
        f"{_SINCE},<0.5.11",
        "gptq_marlin",
        "GPTQMarlinConfig",
        "GPTQMarlinLinearMethod",
        fits=_symmetric,
        settings=_gptq_settings,
        borrowed=_BORROWED,
    ),
    _sglang(
        ">=0.5.11",
        "gptq_marlin",
        "GPTQMarlinConfig",
        "GPTQMarlinLinearMethod",
        fits=_symmetric,
        settings=_gptq_settings,
        opaque=_TVM_FFI,
    ),
    # Steps: on an H100 K = 1040 gave numbers that were not finite, in both packages. The kernel is gone from
    # 0.5.20 on: `GPTQLinearScheme._init_kernel` raises, and asymmetric weights have no other.
    _sglang(
        f"{_SINCE},<0.5.20",
        "gptq",
        "GPTQConfig",
        "GPTQLinearMethod",
        fits=_is(Gptq),
        settings=_gptq_settings,
        step=32,
        borrowed=_BORROWED,
    ),
    # Before, this class was vllm's, which knows nothing of sglang's layers.
    _sglang(
        ">=0.4.9.post3,<0.5.11",
        "awq_marlin",
        "AWQMarlinConfig",
        "AWQMarlinLinearMethod",
        "AWQLinearMethod",
        fits=_with_zero_point,
        settings=_awq_settings,
        borrowed=_BORROWED,
    ),
    # From then on one method asks the configuration for a scheme, which has the kernel.
    _sglang(
        ">=0.5.11",
        "awq_marlin",
        "AWQMarlinConfig",
        "AWQLinearMethod",
        fits=_with_zero_point,
        settings=_awq_settings,
        opaque=_TVM_FFI,
    ),
    _sglang(_SINCE, "awq", "AWQConfig", "AWQLinearMethod", fits=_is(Awq), settings=_awq_settings),
    _sglang(
        _SINCE,
        "blockwise_int8",
        "BlockInt8Config",
        "BlockInt8LinearMethod",
        fits=_is(BlockInt8),
        settings=_block_int8_settings,
    ),
    _sglang(
        _SINCE,
        "w8a8_int8",
        "W8A8Int8Config",
        "W8A8Int8LinearMethod",
        fits=_is(W8A8Int8),
        settings=lambda _scheme, _prefix: {"quant_method": "w8a8_int8", "is_dynamic": True},
    ),
    _vllm(_VLLM, "unquantized", None, "UnquantizedLinearMethod", fits=_is(Unquantized)),
    _vllm(_VLLM, "fp8", "Fp8Config", "Fp8LinearMethod", fits=_fp8("tensor", "block"), settings=_fp8_settings),
    _vllm(
        _VLLM,
        "compressed-tensors",
        "CompressedTensorsConfig",
        "CompressedTensorsLinearMethod",
        fits=lambda scheme: _fp8("channel")(scheme) or isinstance(scheme, W8A8Int8),
        settings=_compressed,
    ),
    _vllm(
        f"{_VLLM},<0.22",
        "gptq_marlin",
        "GPTQMarlinConfig",
        "GPTQMarlinLinearMethod",
        fits=_symmetric,
        settings=_gptq_settings,
    ),
    _vllm(
        f"{_VLLM},<0.22",
        "gptq",
        "GPTQConfig",
        "GPTQLinearMethod",
        fits=_is(Gptq),
        settings=_gptq_settings,
        step=32,
    ),
    # From 0.22 one class stands for both, and it takes symmetric weights alone (`TYPE_MAP`).
    _vllm(
        ">=0.22,<0.30",
        "auto_gptq",
        "AutoGPTQConfig",
        "AutoGPTQLinearMethod",
        fits=_symmetric,
        settings=_gptq_settings,
    ),
    # From 0.30 no kernel takes groups out of order (`normalize_and_validate_gptq_desc_act` raises).
    _vllm(
        ">=0.30",
        "auto_gptq",
        "AutoGPTQConfig",
        "AutoGPTQLinearMethod",
        fits=_symmetric_in_order,
        settings=_gptq_settings,
    ),
    # It may fall back to its own plain AWQ method for shapes that Marlin does not do: still the same format.
    _vllm(
        f"{_VLLM},<0.24",
        "awq_marlin",
        "AWQMarlinConfig",
        "AWQMarlinLinearMethod",
        "AWQLinearMethod",
        fits=_with_zero_point,
        settings=_awq_settings,
    ),
    _vllm(f"{_VLLM},<0.24", "awq", "AWQConfig", "AWQLinearMethod", fits=_is(Awq), settings=_awq_settings),
    _vllm(
        ">=0.24",
        "auto_awq",
        "AutoAWQConfig",
        "AutoAWQMarlinLinearMethod",
        "AutoAWQLinearMethod",
        fits=_is(Awq),
        settings=_awq_settings,
    ),
)

NEEDED: tuple[Needed, ...] = (
    # Before 0.5.3.post2 the layers read module-level defaults, and nothing is to be set up.
    Needed(
        package="sglang",
        role="arguments",
        location="sglang.srt.server_args:ServerArgs",
        releases=">=0.5.3.post2",
    ),
    Needed(
        package="sglang",
        role="current arguments",
        location="sglang.srt.server_args:get_global_server_args",
        releases=">=0.5.3.post2,<0.5.15",
    ),
    # The former accessor is still there in 0.5.20 and later, and only raises that it is retired.
    Needed(
        package="sglang",
        role="current arguments",
        location="sglang.srt.runtime_context:get_server_args",
        releases=">=0.5.15",
    ),
    Needed(
        package="sglang",
        role="set arguments",
        location="sglang.srt.server_args:set_global_server_args_for_scheduler",
        releases=">=0.5.3.post2",
    ),
    Needed(
        package="sglang",
        role="graph configuration",
        location="sglang.srt.model_executor.cuda_graph_config:default_cuda_graph_config",
        releases=">=0.5.14",
    ),
    # Before 0.5.9 its linear layers cannot be imported first: the import is circular, and this is the way in.
    Needed(
        package="sglang",
        role="before the layers",
        location="sglang.srt.layers.quantization.base_config:QuantizationConfig",
    ),
    # For a rehearsal: the platform of a machine with a GPU whose driver cannot be asked about it.
    Needed(package="vllm", role="platform without NVML", location="vllm.platforms.cuda:NonNvmlCudaPlatform"),
    Needed(package="vllm", role="configuration", location="vllm.config:VllmConfig"),
    Needed(package="vllm", role="model configuration", location="vllm.config:ModelConfig"),
    Needed(package="vllm", role="current configuration", location="vllm.config:get_current_vllm_config"),
    Needed(package="vllm", role="set configuration", location="vllm.config:set_current_vllm_config"),
    *(
        Needed(package=package, role=role, location=f"{home}:{name}")
        for package, home, _ in _HOMES
        for role, name in (
            ("groups are made", "model_parallel_is_initialized"),
            ("make the world", "init_distributed_environment"),
            ("rank", "get_tensor_model_parallel_rank"),
            ("ranks", "get_tensor_model_parallel_world_size"),
        )
    ),
    Needed(
        package="vllm",
        role="make groups of a size",
        location="vllm.distributed.parallel_state:initialize_model_parallel",
    ),
    Needed(
        package="sglang",
        role="make groups of a size",
        location="sglang.srt.distributed.parallel_state:initialize_model_parallel",
        releases="<0.5.21",
    ),
    # From 0.5.21 on it takes no size, but makes them as wide as the global arguments say.
    Needed(
        package="sglang",
        role="make groups",
        location="sglang.srt.distributed.parallel_state:initialize_model_parallel",
        releases=">=0.5.21",
    ),
    *(
        Needed(package=package, role=f"{parallel} layer", location=f"{home}:{name}")
        for package, _, home in _HOMES
        for parallel, name in (
            ("whole", "ReplicatedLinear"),
            ("column", "ColumnParallelLinear"),
            ("row", "RowParallelLinear"),
        )
    ),
)
"""Everything that is loaded from a package beside the classes of `TABLE`. A test holds both against the
shipped index, for every release that is claimed."""
