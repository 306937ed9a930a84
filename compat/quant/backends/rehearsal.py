"""A rehearsal without a GPU: set a package up and build a layer of every scheme on a stand-in for the device.

`python -m compat.quant.backends.rehearsal PACKAGE RESULTS` writes one JSON object per layer, a line each, to
the file RESULTS, and a last one that marks the end. Nothing is computed: it shows whether a release still has
the functions that this project calls, and accepts the arguments.

Tensors stay on the CPU even on a machine with a GPU, so that the results are the same on every machine; the
tests of the level `gpu` use the GPU. The compiled parts of the packages need a loadable `libcuda.so.1`, of
which `compat.probe.driver_stub` builds a stub.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode

from compat.errors import CompatError
from compat.probe import probe
from compat.quant.backends import package_layer, process_setup
from compat.quant.backends.adapters import Adapter, candidates
from compat.quant.backends.package_layer import LayerSpec
from compat.quant.backends.required_symbols import Package
from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

State = Literal["built", "refused", "broken"]
"""`refused`: the release says that it does not run the scheme. `broken`: any other failure."""

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
    Gptq(group_size=-1),
    Awq(),
    Awq(zero_point=False),
    BlockInt8(),
    W8A8Int8(),
)
CAPABILITY = (9, 0)
"""The compute capability of the stand-in: Hopper, for which every supported release has kernels."""
SHAPE = (768, 1024)
"""`[N, K]`, multiples of every group and block size."""

REFUSALS = (ValueError, NotImplementedError)
"""What a package raises for a layer that it does not run; in the set-up these errors mean `broken`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The result of building one layer."""

    package: Package
    scheme: str
    way: str
    dtype: str
    state: State
    method: str
    """`module:class` of the method that would run; empty when no layer was built."""
    says: str
    """The error and where it was raised; empty when the layer was built."""


class _OnCpu(TorchFunctionMode):
    """Create tensors on the CPU when a package requests the GPU."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Return the result of `func`, with every CUDA device among its arguments replaced by the CPU."""
        named = {name: _cpu(value) if name == "device" else value for name, value in (kwargs or {}).items()}
        name = getattr(func, "__name__", "")
        if name == "cuda":
            return args[0]
        if name == "to":
            args = tuple(map(_cpu, args))
        return func(*args, **named)


def _cpu(value: Any) -> Any:
    if isinstance(value, torch.device) and value.type == package_layer.GPU:
        return torch.device("cpu")
    if isinstance(value, str) and value.partition(":")[0] == package_layer.GPU:
        return "cpu"
    return value


@dataclass(frozen=True, slots=True)
class _Properties:
    """The attributes of `torch.cuda.get_device_properties` that the packages read."""

    name: str = "stand-in"
    major: int = CAPABILITY[0]
    minor: int = CAPABILITY[1]
    multi_processor_count: int = 132
    total_memory: int = 2**37
    warp_size: int = 32


@contextmanager
def stand_in() -> Iterator[None]:
    """Make torch, and vllm when installed, report one GPU in a `with` block; tensors stay on the CPU."""
    answers: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda *_: None,
        "get_device_capability": lambda *_, **__: CAPABILITY,
        "get_device_properties": lambda *_, **__: _Properties(),
        "get_device_name": lambda *_, **__: _Properties().name,
    }
    with mock.patch.multiple(torch.cuda, **cast("Any", answers)), _OnCpu():
        if process_setup.installed("vllm") is not None:
            _stand_in_of_vllm()
        yield


def _stand_in_of_vllm() -> None:
    """Make vllm use the platform that it uses with a GPU but without NVML."""
    platform = process_setup.load_symbol("vllm", "platform without NVML")
    vars(sys.modules["vllm.platforms"])["_current_platform"] = platform()


def rehearse(package: Package) -> Iterator[Rehearsed]:
    """Yield the result of building each scheme that the installed release supports, in both dtypes."""
    version = process_setup.installed(package) or ""
    for scheme in SCHEMES:
        for way in candidates(package, version, scheme):
            for dtype in (torch.bfloat16, torch.float16):
                yield _one(package, scheme, way, dtype)


def _one(package: Package, scheme: Scheme, way: Adapter, dtype: torch.dtype) -> Rehearsed:
    spec = LayerSpec(
        package=package,
        scheme=scheme,
        out_features=SHAPE[0],
        in_features=SHAPE[1],
        bias=True,
        dtype=dtype,
        device=torch.device("cpu"),
        prefix="model.layers.0.x",
        parallel=None,
        quantization=way.name,
    )
    state: State = "built"
    method, said, ready = "", [], False
    try:
        with process_setup.building(package, dtype, spec.device):
            ready = True
            layer = package_layer.new_layer(spec, way)
        kind = type(layer.quant_method)
        method = f"{kind.__module__}:{kind.__qualname__}"
        if kind.__name__ not in way.methods:
            state, said = "broken", [f"{way.config} gave {kind.__name__}, not {' or '.join(way.methods)}"]
    except Exception as error:  # noqa: BLE001 -- the package may raise anything; its message is the result
        refused = ready and isinstance(error, REFUSALS) and not isinstance(error, CompatError)
        state, said = ("refused" if refused else "broken"), package_layer.describe(error)
    return Rehearsed(
        package=package,
        scheme=scheme.label,
        way=way.name,
        dtype=str(dtype).removeprefix("torch."),
        state=state,
        method=method,
        says="; ".join(said),
    )


def main(package: str, results: str, room: str = "") -> None:
    """Rehearse one package in this process, and write the results to a file.

    Args:
        package: sglang or vllm.
        results: the file.
        room: the number of bytes that this process may add to its standard output; empty for no limit.
    """
    probe.die_with_parent()
    if room:
        probe.limit_output(int(room))
    Path(results).write_bytes(b"")
    records = probe.Records(results)
    with stand_in():
        for each in rehearse(cast("Package", package)):
            records.write("layer", **asdict(each))
            said = f": {each.says}" if each.says else ""
            print(f"{each.scheme} by {each.way} in {each.dtype}: {each.state}{said}", flush=True)
    records.write("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
