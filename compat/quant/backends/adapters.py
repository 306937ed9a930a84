"""The table of which classes of each sglang and vllm release run a scheme, and with which settings.

Its entries were read from the sources of the releases that they name. They name classes without a module,
since `compat.load` finds them in every release. Nothing here imports torch or a package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from compat.quant.backends import method_settings
from compat.quant.backends.method_settings import Settings
from compat.quant.backends.required_symbols import Package
from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8


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


def _symmetric(scheme: Scheme) -> bool:
    return isinstance(scheme, Gptq) and scheme.sym


def _symmetric_in_order(scheme: Scheme) -> bool:
    return isinstance(scheme, Gptq) and scheme.sym and (not scheme.desc_act or scheme.group_size == -1)


def _with_zero_point(scheme: Scheme) -> bool:
    return isinstance(scheme, Awq) and scheme.zero_point


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

_NOT_TRACED = "a compiled graph reads what its FP8 quantization has not written yet (seen with 0.5.5.post3)"
_TRACED = ((f"{_SINCE},<0.5.0rc0", ""), (">=0.5.0rc0,<0.5.11", _NOT_TRACED), (">=0.5.11", ""))
"""Whether torch.compile may trace the FP8 layers of sglang's releases. In 0.5.5.post3, on torch 2.8.0, five
of six compiled layers with a dynamic activation returned NaN. 0.4.7 and 0.4.10.post2 on torch 2.7.1, 0.5.11,
0.5.14 and 0.5.17 on 2.11, and 0.5.23 on 2.14.1 compute the same as without compilation."""

TABLE: tuple[Adapter, ...] = (
    _sglang(_SINCE, "unquantized", None, "UnquantizedLinearMethod", fits=_is(Unquantized)),
    *(
        _sglang(
            releases,
            "fp8",
            "Fp8Config",
            "Fp8LinearMethod",
            fits=_fp8("tensor", "block", activations=("dynamic",)),
            settings=method_settings.fp8,
            opaque=opaque,
        )
        for releases, opaque in _TRACED
    ),
    _sglang(
        _SINCE,
        "fp8",
        "Fp8Config",
        "Fp8LinearMethod",
        fits=_fp8("tensor", activations=("static",)),
        settings=method_settings.fp8,
        opaque="inductor's PassManager fails on its quantization of a static activation (seen with 0.5.14)",
    ),
    *(
        _sglang(
            releases,
            "w8a8_fp8",
            "W8A8Fp8Config",
            "W8A8Fp8LinearMethod",
            fits=_fp8("channel", activations=("dynamic",)),
            settings=method_settings.w8a8_fp8,
            opaque=opaque,
        )
        for releases, opaque in _TRACED
    ),
    *(
        _sglang(
            releases,
            "compressed-tensors",
            "CompressedTensorsConfig",
            "CompressedTensorsLinearMethod",
            fits=_fp8("channel"),
            settings=method_settings.compressed_tensors,
            opaque=opaque,
        )
        for releases, opaque in _TRACED
    ),
    _sglang(
        f"{_SINCE},<0.5.11",
        "gptq_marlin",
        "GPTQMarlinConfig",
        "GPTQMarlinLinearMethod",
        fits=_symmetric,
        settings=method_settings.gptq,
        borrowed=_BORROWED,
    ),
    _sglang(
        ">=0.5.11",
        "gptq_marlin",
        "GPTQMarlinConfig",
        "GPTQMarlinLinearMethod",
        fits=_symmetric,
        settings=method_settings.gptq,
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
        settings=method_settings.gptq,
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
        settings=method_settings.awq,
        borrowed=_BORROWED,
    ),
    # Since 0.5.11 one method class gets a scheme with the kernel from the configuration.
    _sglang(
        ">=0.5.11",
        "awq_marlin",
        "AWQMarlinConfig",
        "AWQLinearMethod",
        fits=_with_zero_point,
        settings=method_settings.awq,
        opaque=_TVM_FFI,
    ),
    _sglang(_SINCE, "awq", "AWQConfig", "AWQLinearMethod", fits=_is(Awq), settings=method_settings.awq),
    _sglang(
        _SINCE,
        "blockwise_int8",
        "BlockInt8Config",
        "BlockInt8LinearMethod",
        fits=_is(BlockInt8),
        settings=method_settings.block_int8,
    ),
    _sglang(
        _SINCE,
        "w8a8_int8",
        "W8A8Int8Config",
        "W8A8Int8LinearMethod",
        fits=_is(W8A8Int8),
        settings=method_settings.w8a8_int8,
    ),
    _vllm(_VLLM, "unquantized", None, "UnquantizedLinearMethod", fits=_is(Unquantized)),
    _vllm(
        _VLLM,
        "fp8",
        "Fp8Config",
        "Fp8LinearMethod",
        fits=_fp8("tensor", "block"),
        settings=method_settings.fp8,
    ),
    _vllm(
        _VLLM,
        "compressed-tensors",
        "CompressedTensorsConfig",
        "CompressedTensorsLinearMethod",
        fits=lambda scheme: _fp8("channel")(scheme) or isinstance(scheme, W8A8Int8),
        settings=method_settings.compressed_tensors,
    ),
    _vllm(
        f"{_VLLM},<0.22",
        "gptq_marlin",
        "GPTQMarlinConfig",
        "GPTQMarlinLinearMethod",
        fits=_symmetric,
        settings=method_settings.gptq,
    ),
    _vllm(
        f"{_VLLM},<0.22",
        "gptq",
        "GPTQConfig",
        "GPTQLinearMethod",
        fits=_is(Gptq),
        settings=method_settings.gptq,
        step=32,
    ),
    # Since 0.22 one class replaces both, and it supports symmetric weights only (`TYPE_MAP`).
    _vllm(
        ">=0.22,<0.30",
        "auto_gptq",
        "AutoGPTQConfig",
        "AutoGPTQLinearMethod",
        fits=_symmetric,
        settings=method_settings.gptq,
    ),
    # Since 0.30 no kernel supports groups out of order (`normalize_and_validate_gptq_desc_act` raises).
    _vllm(
        ">=0.30",
        "auto_gptq",
        "AutoGPTQConfig",
        "AutoGPTQLinearMethod",
        fits=_symmetric_in_order,
        settings=method_settings.gptq,
    ),
    # vllm falls back to its plain AWQ method for shapes that Marlin does not support; the format is the same.
    _vllm(
        f"{_VLLM},<0.24",
        "awq_marlin",
        "AWQMarlinConfig",
        "AWQMarlinLinearMethod",
        "AWQLinearMethod",
        fits=_with_zero_point,
        settings=method_settings.awq,
    ),
    _vllm(
        f"{_VLLM},<0.24", "awq", "AWQConfig", "AWQLinearMethod", fits=_is(Awq), settings=method_settings.awq
    ),
    _vllm(
        ">=0.24",
        "auto_awq",
        "AutoAWQConfig",
        "AutoAWQMarlinLinearMethod",
        "AutoAWQLinearMethod",
        fits=_is(Awq),
        settings=method_settings.awq,
    ),
)
