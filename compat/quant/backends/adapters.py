"""The table of which classes of each sglang and vllm release run a scheme, and with which settings.

Its entries were read from the sources of the releases that they name. They name classes without a module,
since `compat.load` finds them in every release. Nothing here imports torch or a package.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

Package = Literal["sglang", "vllm"]
Settings = Mapping[str, Any]
"""The `quantization_config` that a package's configuration class reads, for a checkpoint with one scheme."""

CLAIMED: Mapping[Package, str] = {"sglang": ">=0.4.7,<=0.5.23", "vllm": ">=0.9.0.1,<=0.33.0"}
"""The releases that the layer supports, as specifiers; newer ones are treated like the newest of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredSymbol:
    """A symbol that the layer or the set-up of a package loads, whatever the scheme."""

    package: Package
    role: str
    """What the symbol is used for. In a release at most one symbol has a role."""
    location: str
    """`module:name`, as `compat.load` accepts it."""
    releases: str = ""
    """The releases in which the symbol has this role, as a specifier; empty means all of `CLAIMED`."""

    def covers(self, version: str) -> bool:
        """Return whether the symbol has its role in the release `version`."""
        return Version(version) in SpecifierSet(self.releases, prereleases=True)


def location(package: Package, version: str, role: str) -> str | None:
    """Return the location of the symbol with this role in a release; None when the release needs none."""
    for row in REQUIRED_SYMBOLS:
        if row.package == package and row.role == role and row.covers(version):
            return row.location
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """The classes and settings with which some releases of a package run some schemes."""

    package: Package
    releases: str
    """The releases for which this entry is right, as a specifier."""
    name: str
    """The package's name of the quantization method, such as `gptq_marlin`; users may select it."""
    config: str | None
    """The configuration class; None for the package's linear layer without one."""
    methods: tuple[str, ...]
    """The method classes that may run the layer; any other means that the package fell back silently."""
    fits: Callable[[Scheme], bool]
    """Whether the adapter runs a scheme."""
    settings: Callable[[Any, str], Settings] = lambda _scheme, _prefix: {}
    """From the scheme and the layer's name to what the configuration class reads."""
    step: int = 1
    """How many inputs the kernel reads at a time; with any other size it reads past the end."""
    opaque: str = ""
    """Why torch.compile must not trace the layer; empty where it may."""
    borrowed: str = ""
    """The releases of sglang, as a specifier, whose classes or kernels are vllm's; empty for none."""

    def covers(self, version: str) -> bool:
        """Return whether this adapter is for the release `version`."""
        return Version(version) in SpecifierSet(self.releases, prereleases=True)

    def borrows(self, version: str) -> bool:
        """Return whether a release of sglang needs vllm in the same environment for this."""
        return bool(self.borrowed) and Version(version) in SpecifierSet(self.borrowed, prereleases=True)


def candidates(package: Package, version: str, scheme: Scheme) -> tuple[Adapter, ...]:
    """Return the adapters with which a release runs a scheme, the fastest first."""
    return tuple(row for row in TABLE if row.package == package and row.covers(version) and row.fits(scheme))


def other_releases(package: Package, scheme: Scheme) -> tuple[str, ...]:
    """Return the specifiers of all releases of a package that run the scheme."""
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
        # Without this key vllm (seen in 0.23.0) treats every layer as unquantized; its own loader derives the
        # key from the checkpoint.
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
"""For each package: the modules of its process groups and of its linear layers."""


def _sglang(releases: str, name: str, config: str | None, *methods: str, **rest: Any) -> Adapter:
    return Adapter(package="sglang", releases=releases, name=name, config=config, methods=methods, **rest)


def _vllm(releases: str, name: str, config: str | None, *methods: str, **rest: Any) -> Adapter:
    return Adapter(package="vllm", releases=releases, name=name, config=config, methods=methods, **rest)


_SINCE = ">=0.4.7"
_BORROWED = "<0.5.0rc2"
"""Up to 0.4.9.post2 the method classes are vllm's; later ones are sglang's own, on vllm's `_custom_ops`.
Without vllm both are stubs: building a layer raises a `NameError`, or repacking its weights an
`AttributeError`."""
_VLLM = ">=0.9.0.1"

_TVM_FFI = "tvm-ffi calls its Marlin kernels, without an operator of torch (jit_kernel/gptq_marlin.py)"
"""Tracing such a layer ended in a segmentation fault (seen with 0.5.14)."""

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
    # On an H100, K = 1040 gave results that were not finite, in both packages; hence the step. 0.5.20 removed
    # the kernel: `GPTQLinearScheme._init_kernel` raises, and no other kernel runs asymmetric weights.
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
    # In earlier releases this class was vllm's, which does not support sglang's layers.
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
    # Since 0.5.11 one method class gets a scheme with the kernel from the configuration.
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
    # Since 0.22 one class replaces both, and it supports symmetric weights only (`TYPE_MAP`).
    _vllm(
        ">=0.22,<0.30",
        "auto_gptq",
        "AutoGPTQConfig",
        "AutoGPTQLinearMethod",
        fits=_symmetric,
        settings=_gptq_settings,
    ),
    # Since 0.30 no kernel supports groups out of order (`normalize_and_validate_gptq_desc_act` raises).
    _vllm(
        ">=0.30",
        "auto_gptq",
        "AutoGPTQConfig",
        "AutoGPTQLinearMethod",
        fits=_symmetric_in_order,
        settings=_gptq_settings,
    ),
    # vllm falls back to its plain AWQ method for shapes that Marlin does not support; the format is the same.
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

REQUIRED_SYMBOLS: tuple[RequiredSymbol, ...] = (
    # Before 0.5.3.post2 the layers read module-level defaults, so there are no arguments to set.
    RequiredSymbol(
        package="sglang",
        role="server arguments",
        location="sglang.srt.server_args:ServerArgs",
        releases=">=0.5.3.post2",
    ),
    RequiredSymbol(
        package="sglang",
        role="current server arguments",
        location="sglang.srt.server_args:get_global_server_args",
        releases=">=0.5.3.post2,<0.5.15",
    ),
    # The earlier accessor still exists in 0.5.20 and later, but only raises an error that it is retired.
    RequiredSymbol(
        package="sglang",
        role="current server arguments",
        location="sglang.srt.runtime_context:get_server_args",
        releases=">=0.5.15",
    ),
    RequiredSymbol(
        package="sglang",
        role="set server arguments",
        location="sglang.srt.server_args:set_global_server_args_for_scheduler",
        releases=">=0.5.3.post2",
    ),
    RequiredSymbol(
        package="sglang",
        role="graph configuration",
        location="sglang.srt.model_executor.cuda_graph_config:default_cuda_graph_config",
        releases=">=0.5.14",
    ),
    # Before 0.5.9 importing the linear layers first fails in a circular import; importing this first works.
    RequiredSymbol(
        package="sglang",
        role="import before layers",
        location="sglang.srt.layers.quantization.base_config:QuantizationConfig",
    ),
    # For the rehearsal: the platform of a machine with a GPU but without NVML.
    RequiredSymbol(
        package="vllm", role="platform without NVML", location="vllm.platforms.cuda:NonNvmlCudaPlatform"
    ),
    RequiredSymbol(package="vllm", role="configuration", location="vllm.config:VllmConfig"),
    RequiredSymbol(package="vllm", role="model configuration", location="vllm.config:ModelConfig"),
    RequiredSymbol(
        package="vllm", role="current configuration", location="vllm.config:get_current_vllm_config"
    ),
    RequiredSymbol(package="vllm", role="set configuration", location="vllm.config:set_current_vllm_config"),
    *(
        RequiredSymbol(package=package, role=role, location=f"{home}:{name}")
        for package, home, _ in _HOMES
        for role, name in (
            ("groups exist", "model_parallel_is_initialized"),
            ("create world group", "init_distributed_environment"),
            ("rank", "get_tensor_model_parallel_rank"),
            ("world size", "get_tensor_model_parallel_world_size"),
        )
    ),
    RequiredSymbol(
        package="vllm",
        role="create groups with size",
        location="vllm.distributed.parallel_state:initialize_model_parallel",
    ),
    RequiredSymbol(
        package="sglang",
        role="create groups with size",
        location="sglang.srt.distributed.parallel_state:initialize_model_parallel",
        releases="<0.5.21",
    ),
    # Since 0.5.21 the function takes no size, and reads it from the global arguments.
    RequiredSymbol(
        package="sglang",
        role="create groups",
        location="sglang.srt.distributed.parallel_state:initialize_model_parallel",
        releases=">=0.5.21",
    ),
    *(
        RequiredSymbol(package=package, role=f"{parallel} layer", location=f"{home}:{name}")
        for package, _, home in _HOMES
        for parallel, name in (
            ("whole", "ReplicatedLinear"),
            ("column", "ColumnParallelLinear"),
            ("row", "RowParallelLinear"),
        )
    ),
)
"""Everything that is loaded from a package besides the classes of `TABLE`. A test compares both with the
shipped index, for every release in `CLAIMED`."""
