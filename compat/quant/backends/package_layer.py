"""Build, fill and run a linear layer of sglang or vllm with the package's own classes."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

import compat
from compat.errors import CompatError, SchemeUnavailable
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.quant.backends import process_setup
from compat.quant.backends.adapters import Adapter, candidates, other_releases
from compat.quant.backends.required_symbols import Package
from compat.quant.packing.sharding import Shard
from compat.quant.schemes import Scheme

Parallel = Literal["column", "row"]

KERNEL_ATTRIBUTES = ("kernel", "fp8_linear", "w8a8_block_fp8_linear")
"""The attributes in which a method class or its scheme keeps the object that computes."""

GPU = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """Describe the layer to build."""

    package: Package
    scheme: Scheme
    out_features: int
    in_features: int
    bias: bool
    dtype: torch.dtype
    device: torch.device
    prefix: str
    parallel: Parallel | None
    quantization: str | None
    """The package's name of a quantization method, such as `gptq`; None selects the first that fits."""


def build(spec: LayerSpec) -> tuple[Any, Adapter]:
    """Return the package's layer with empty weights, and the adapter with which it was built.

    Raises:
        SchemeUnavailable: the installed release or this machine cannot run the scheme; the diagnosis has the
            reason.
        SymbolUnavailable: a required class is missing from the installed release, or is a stub.
    """
    version = process_setup.installed(spec.package)
    if version is None:
        raise refusal(spec, None, "package_missing", [f"{spec.package} is not installed"])
    if spec.device.type != GPU or not torch.cuda.is_available():
        raise refusal(
            spec,
            version,
            "no_gpu",
            ["its kernels need a CUDA device; use the back end 'reference' on this machine"],
        )
    adapter = _adapter(spec, version)
    if spec.in_features % adapter.step:
        reason = f"{adapter.name} reads {adapter.step} inputs at a time; {spec.in_features} is not a multiple"
        raise refusal(spec, version, "unknown", [reason])
    try:
        with process_setup.building(spec.package, spec.dtype, spec.device):
            layer = new_layer(spec, adapter)
    except CompatError:
        raise
    except Exception as error:  # the package's code may raise anything; its message is the reason
        raise refusal(spec, version, "unknown", describe(error)) from error
    ran = type(layer.quant_method).__name__
    if ran not in adapter.methods:
        reason = f"{adapter.config} selected {ran} instead of {' or '.join(adapter.methods)}"
        raise refusal(spec, version, "unknown", [f"silent fall-back: {reason}"])
    return layer, adapter


def fill(layer: Any, tensors: Mapping[str, Tensor], spec: LayerSpec) -> None:
    """Load checkpoint tensors with the package's own weight loaders, then prepare them for its kernels.

    Raises:
        SchemeUnavailable: the package refuses them.
    """
    parameters = dict(layer.named_parameters())
    try:
        with process_setup.building(spec.package, spec.dtype, spec.device):
            check_names(parameters, tensors)
            for name, parameter in parameters.items():
                tensor = tensors[name]
                parameter.weight_loader(parameter, tensor.reshape(1) if tensor.dim() == 0 else tensor)
            before = {name: parameter.data for name, parameter in parameters.items()}
            layer.quant_method.process_weights_after_loading(layer)
            copy_borrowed(layer, before)
    except Exception as error:
        version = process_setup.installed(spec.package)
        raise refusal(spec, version, "unknown", describe(error)) from error


def copy_borrowed(layer: Any, before: Mapping[str, Tensor]) -> None:
    """Copy each parameter that points into the memory of a tensor in `before` without keeping it alive.

    sgl-deep-gemm (seen in 0.1.3) returns scales as a view that does not keep their memory alive
    (sgl-project/sglang issue 39684). vllm uses the first `deep_gemm` it finds, and drops the original tensor.
    """
    for name, old in before.items():
        new = getattr(layer, name, None)
        if isinstance(new, Tensor) and new.numel() and new.data_ptr() == old.data_ptr():
            same = new.untyped_storage()._cdata == old.untyped_storage()._cdata  # noqa: SLF001 -- no public API
            if not same:
                new.data = new.data.clone()


def check_names(parameters: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Check that parameters and tensors have the same names, apart from tensors that the layer implies.

    Raises:
        ValueError: a parameter has no tensor, or a tensor has no parameter.
    """
    missing = parameters.keys() - tensors.keys()
    unread = {name for name in tensors.keys() - parameters.keys() if not _is_implied(name, tensors)}
    if missing or unread:
        raise ValueError(f"the layer has {sorted(parameters)}, the checkpoint {sorted(tensors)}")


def _is_implied(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether a tensor holds group indices in order, which a layer without `g_idx` assumes.

    vllm's GPTQ layers have no `g_idx` since 0.30, but checkpoints still do.
    """
    if name != "g_idx":
        return False
    index, groups = tensors[name], tensors["scales"].shape[0]
    return bool((index == torch.arange(index.numel(), device=index.device) * groups // index.numel()).all())


def runner(layer: Any, *, parallel: bool) -> Callable[[Tensor], Tensor]:
    """Return a function that runs the layer on `[M, K]`, with its attributes looked up once."""
    return (lambda x: layer(x)[0]) if parallel else local_runner(layer, layer.bias)


def local_runner(layer: Any, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Return a function that runs this rank's part of a layer, without communication between ranks."""
    apply = layer.quant_method.apply
    return lambda x: apply(layer, x, bias)


def shard_of(spec: LayerSpec) -> Shard | None:
    """Return the part of a parallel layer that this process holds; None for a layer that is not parallel."""
    if spec.parallel is None:
        return None
    rank, size = process_setup.rank_and_size(spec.package)
    return Shard(kind=spec.parallel, rank=rank, size=size)


def kernel_name(layer: Any) -> str:
    """Return the name of the class or function that computes: a kernel object, else the method's `apply`."""
    for holder in (layer.quant_method, getattr(layer, "scheme", None)):
        for name in KERNEL_ATTRIBUTES:
            found = getattr(holder, name, None)
            if found is not None and (name != KERNEL_ATTRIBUTES[2] or getattr(holder, "block_quant", True)):
                return str(getattr(found, "__name__", type(found).__name__))
    return f"{type(layer.quant_method).__name__}.apply"


def refusal(spec: LayerSpec, version: str | None, cause: Cause, evidence: list[str]) -> SchemeUnavailable:
    """Return an error whose diagnosis says why the package does not run the scheme."""
    release = f"{spec.package} {version}" if version else spec.package
    dtype = str(spec.dtype).removeprefix("torch.")
    what = f"{spec.scheme.label} [{spec.out_features}, {spec.in_features}] in {dtype}"
    return SchemeUnavailable(
        f"{release} does not run {what}: {evidence[0]}",
        Diagnosis(
            cause=cause,
            package=spec.package,
            version=version,
            evidence=tuple(evidence),
            fix=Fix(
                kind="install" if cause in ("package_missing", "not_yet_added") else "none",
                text=f"Install {spec.package}."
                if cause == "package_missing"
                else "Use another scheme or back end.",
                command=f"pip install {spec.package}" if cause == "package_missing" else None,
            ),
        ),
    )


def _adapter(spec: LayerSpec, version: str) -> Adapter:
    adapters = candidates(spec.package, version, spec.scheme)
    if spec.quantization is not None:
        named = [adapter for adapter in adapters if adapter.name == spec.quantization]
        if not named:
            names = ", ".join(adapter.name for adapter in adapters) or "none"
            reason = f"it has no quantization method {spec.quantization!r} for this scheme; it has {names}"
            raise refusal(spec, version, "unknown", [reason])
        return named[0]
    if adapters:
        return adapters[0]
    others = other_releases(spec.package, spec.scheme)
    known = f"releases {' and '.join(others)} have one" if others else "and neither does any known release"
    raise refusal(spec, version, "unknown", [f"it has no class that reads this format; {known}"])


def new_layer(spec: LayerSpec, adapter: Adapter) -> Any:
    """Return the package's layer with empty weights.

    The process must be set up. The package may raise any exception.
    """
    return _layer(spec, _config(spec, adapter))


def _config(spec: LayerSpec, adapter: Adapter) -> Any:
    if adapter.config is None:
        return None
    version = process_setup.installed(spec.package) or ""
    if adapter.borrows(version) and process_setup.installed("vllm") is None:
        raise ValueError(
            f"{spec.package} {version} takes its {adapter.name} from vllm, which is not installed"
        )
    config_class = compat.load(adapter.config, package=spec.package)
    config = config_class.from_config(dict(adapter.settings(spec.scheme, spec.prefix)))
    dtypes = config.get_supported_act_dtypes()
    if spec.dtype not in dtypes:
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise ValueError(f"{adapter.config} takes activations in {names} only (get_supported_act_dtypes)")
    least, major_minor = config.get_min_capability(), torch.cuda.get_device_capability(spec.device)
    if major_minor[0] * 10 + major_minor[1] < least:
        raise ValueError(f"{adapter.config} needs compute capability {least / 10} (get_min_capability)")
    return config


def _layer(spec: LayerSpec, config: Any) -> Any:
    process_setup.load_symbol(spec.package, "import before layers")
    kind = process_setup.load_symbol(spec.package, f"{spec.parallel or 'whole'} layer")
    return kind(
        spec.in_features,
        spec.out_features,
        bias=spec.bias,
        params_dtype=spec.dtype,
        quant_config=config,
        prefix=spec.prefix,
    )


def describe(error: Exception) -> list[str]:
    """Return the message of a package's error, and the line of sglang or vllm that raised it.

    Some releases of sglang run classes of vllm, so the line may be in either.
    """
    first = (str(error).strip().splitlines() or [""])[0]
    lines = [f"{type(error).__name__}: {first}" if first else type(error).__name__]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        parts = Path(frame.filename).parts
        package = next((each for each in get_args(Package) if each in parts), None)
        if package is not None:
            where = "/".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
            lines.append(f"raised at {where}:{frame.lineno} in {frame.name}")
            break
    return lines
