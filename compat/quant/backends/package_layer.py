"""A linear layer of sglang's or vllm's: built by their classes, filled and run by their own code."""

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
from compat.quant.backends.adapters import Adapter, Package, candidates, other_releases
from compat.quant.packing.sharding import Shard
from compat.quant.schemes import Scheme

Parallel = Literal["column", "row"]

HOLDERS = ("kernel", "fp8_linear", "w8a8_block_fp8_linear")
"""Where a method or its scheme keeps what really computes."""

GPU = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """What layer is to be built."""

    package: Package
    scheme: Scheme
    out_features: int
    in_features: int
    bias: bool
    dtype: torch.dtype
    device: torch.device
    prefix: str
    parallel: Parallel | None
    way: str | None
    """The package's own name of one way, such as `gptq`; None: the first that fits."""


def build(spec: LayerSpec) -> tuple[Any, Adapter]:
    """Return the package's layer with empty weights, and the way in which it was made.

    Raises:
        SchemeUnavailable: the installed release or this machine cannot run the scheme; the diagnosis tells
        why.
        SymbolUnavailable: a class that this needs is not in the installed release, or only as a stub.
    """
    version = process_setup.installed(spec.package)
    if version is None:
        raise refusal(spec, None, "package_missing", [f"{spec.package} is not installed"])
    if spec.device.type != GPU or not torch.cuda.is_available():
        raise refusal(
            spec, version, "no_gpu", ["its kernels need a CUDA device; the back end 'reference' runs here"]
        )
    adapter = _way(spec, version)
    if spec.in_features % adapter.step:
        told = f"{adapter.name} takes {adapter.step} inputs at a time, and {spec.in_features} leave a rest"
        raise refusal(spec, version, "unknown", [told])
    try:
        with process_setup.building(spec.package, spec.dtype, spec.device):
            layer = made(spec, adapter)
    except CompatError:
        raise
    except Exception as error:  # a foreign class may raise anything; what it says is the reason
        raise refusal(spec, version, "unknown", said(error)) from error
    ran = type(layer.quant_method).__name__
    if ran not in adapter.methods:
        told = f"{adapter.config} gave {ran} instead of {' or '.join(adapter.methods)}"
        raise refusal(spec, version, "unknown", [f"silent fall-back: {told}"])
    return layer, adapter


def fill(layer: Any, tensors: Mapping[str, Tensor], spec: LayerSpec) -> None:
    """Load checkpoint tensors by the package's own loaders, and let it prepare them for its kernels.

    Raises:
        SchemeUnavailable: the package refuses them.
    """
    parameters = dict(layer.named_parameters())
    try:
        with process_setup.building(spec.package, spec.dtype, spec.device):
            insist_on_the_same(parameters, tensors)
            for name, parameter in parameters.items():
                given = tensors[name]
                parameter.weight_loader(parameter, given.reshape(1) if given.dim() == 0 else given)
            held = {name: parameter.data for name, parameter in parameters.items()}
            layer.quant_method.process_weights_after_loading(layer)
            own(layer, held)
    except Exception as error:
        version = process_setup.installed(spec.package)
        raise refusal(spec, version, "unknown", said(error)) from error


def own(layer: Any, held: Mapping[str, Tensor]) -> None:
    """Copy the parameters that lie in memory which will be freed with `held`, what they were made of.

    sgl-deep-gemm (seen in 0.1.3) returns scales as a view that does not keep their memory (sgl-project/sglang
    issue 39684), and vllm takes the first `deep_gemm` it finds and drops the tensor it gave.
    """
    for name, before in held.items():
        now = getattr(layer, name, None)
        if isinstance(now, Tensor) and now.numel() and now.data_ptr() == before.data_ptr():
            same = now.untyped_storage()._cdata == before.untyped_storage()._cdata  # noqa: SLF001 -- no public way
            if not same:
                now.data = now.data.clone()


def insist_on_the_same(parameters: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Insist that each parameter has its tensor, and each tensor that says something its parameter.

    Raises:
        ValueError: one has not.
    """
    missing = parameters.keys() - tensors.keys()
    unread = {name for name in tensors.keys() - parameters.keys() if not _says_nothing(name, tensors)}
    if missing or unread:
        raise ValueError(f"the layer has {sorted(parameters)}, the checkpoint {sorted(tensors)}")


def _says_nothing(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether a tensor is what a layer without it takes for granted: group indices in order.

    vllm's GPTQ layers have none from 0.30 on, and checkpoints still do.
    """
    if name != "g_idx":
        return False
    given, groups = tensors[name], tensors["scales"].shape[0]
    return bool((given == torch.arange(given.numel(), device=given.device) * groups // given.numel()).all())


def runner(layer: Any, *, parallel: bool) -> Callable[[Tensor], Tensor]:
    """Return what runs a layer on `[M, K]`; what it looks up on the way is looked up once."""
    return (lambda x: layer(x)[0]) if parallel else alone(layer, layer.bias)


def alone(layer: Any, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Return what runs a rank's part of a layer without the others."""
    apply = layer.quant_method.apply
    return lambda x: apply(layer, x, bias)


def part(spec: LayerSpec) -> Shard | None:
    """Return which part of a parallel layer this process has; None when it has all of it."""
    if spec.parallel is None:
        return None
    rank, size = process_setup.place(spec.package)
    return Shard(kind=spec.parallel, rank=rank, size=size)


def kernel(layer: Any) -> str:
    """Return the name of the class or function that computes; the method's own when it does so itself."""
    for holder in (layer.quant_method, getattr(layer, "scheme", None)):
        for name in HOLDERS:
            found = getattr(holder, name, None)
            if found is not None and (name != HOLDERS[2] or getattr(holder, "block_quant", True)):
                return str(getattr(found, "__name__", type(found).__name__))
    return f"{type(layer.quant_method).__name__}.apply"


def refusal(spec: LayerSpec, version: str | None, cause: Cause, evidence: list[str]) -> SchemeUnavailable:
    """Return the error that says why a scheme does not run."""
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


def _way(spec: LayerSpec, version: str) -> Adapter:
    ways = candidates(spec.package, version, spec.scheme)
    if spec.way is not None:
        named = [way for way in ways if way.name == spec.way]
        if not named:
            have = ", ".join(way.name for way in ways) or "none"
            raise refusal(spec, version, "unknown", [f"it has no way {spec.way!r} for it; it has {have}"])
        return named[0]
    if ways:
        return ways[0]
    others = other_releases(spec.package, spec.scheme)
    known = f"releases {' and '.join(others)} do" if others else "nor does any release that is known"
    raise refusal(spec, version, "unknown", [f"no class of it reads this format, {known}"])


def made(spec: LayerSpec, adapter: Adapter) -> Any:
    """Return the package's layer with empty weights, when the process is set up; it raises what it likes."""
    return _layer(spec, _config(spec, adapter))


def _config(spec: LayerSpec, adapter: Adapter) -> Any:
    if adapter.config is None:
        return None
    version = process_setup.installed(spec.package) or ""
    if adapter.borrows(version) and process_setup.installed("vllm") is None:
        raise ValueError(
            f"{spec.package} {version} takes its {adapter.name} from vllm, which is not installed"
        )
    found = compat.load(adapter.config, package=spec.package)
    config = found.from_config(dict(adapter.settings(spec.scheme, spec.prefix)))
    dtypes = config.get_supported_act_dtypes()
    if spec.dtype not in dtypes:
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        raise ValueError(f"{adapter.config} takes activations in {names} only (get_supported_act_dtypes)")
    least, major_minor = config.get_min_capability(), torch.cuda.get_device_capability(spec.device)
    if major_minor[0] * 10 + major_minor[1] < least:
        raise ValueError(f"{adapter.config} needs compute capability {least / 10} (get_min_capability)")
    return config


def _layer(spec: LayerSpec, config: Any) -> Any:
    process_setup.needed(spec.package, "before the layers")
    kind = process_setup.needed(spec.package, f"{spec.parallel or 'whole'} layer")
    return kind(
        spec.in_features,
        spec.out_features,
        bias=spec.bias,
        params_dtype=spec.dtype,
        quant_config=config,
        prefix=spec.prefix,
    )


def said(error: Exception) -> list[str]:
    """Return the message of a package's error, and the line of sglang or vllm that raised it.

    Some releases of sglang run classes of vllm, so the line may be in either.
    """
    first = (str(error).strip().splitlines() or [""])[0]
    told = [f"{type(error).__name__}: {first}" if first else type(error).__name__]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        parts = Path(frame.filename).parts
        package = next((each for each in get_args(Package) if each in parts), None)
        if package is not None:
            where = "/".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
            told.append(f"raised at {where}:{frame.lineno} in {frame.name}")
            break
    return told
