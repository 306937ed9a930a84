"""Set up, once per process, what sglang or vllm requires before one of its layers can be built.

sglang requires global server arguments and process groups; vllm requires process groups and a current
configuration whose model has a dtype. Whatever a program has set up already is used unchanged.
"""

import atexit
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache, wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ParamSpec

import torch

import compat
from compat.quant.backends.required_symbols import Package, location

_Arguments = ParamSpec("_Arguments")
_process = ExitStack()
"""Context managers that stay open until the process ends."""

TINY = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "num_hidden_layers": 1,
    "vocab_size": 128,
    "max_position_embeddings": 128,
}
"""A config.json for vllm's ModelConfig, of which the layers only read the dtype."""


def installed(package: Package) -> str | None:
    """Return the installed release of a package, read from its metadata; None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@contextmanager
def building(package: Package, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Set up the package, and create tensors on `device` with default dtype `dtype` in a `with` block.

    Raises:
        SymbolUnavailable: the installed release lacks a symbol that the set-up requires.
    """
    before = torch.get_default_dtype()
    _ready(package, device.type)
    if package == "vllm":
        _vllm_config().model_config.dtype = dtype  # read by the methods when they are created
    torch.set_default_dtype(dtype)
    try:
        with device:
            yield
    finally:
        torch.set_default_dtype(before)


def rank_and_size(package: Package) -> tuple[int, int]:
    """Return this process's tensor-parallel rank, and the number of ranks."""
    return load_symbol(package, "rank")(), load_symbol(package, "world size")()


def load_symbol(package: Package, role: str) -> Any:
    """Return the object with a role in the installed release; None when that release needs none.

    Raises:
        SymbolUnavailable: the object does not exist, or is a stub.
    """
    where = location(package, installed(package) or "", role)
    return None if where is None else compat.load(where, package=package)


def once(setup: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Return a function that calls `setup` once per arguments; later calls raise the same error again.

    A package whose set-up failed half-way refuses a second attempt with an error that hides the first one.
    """
    failed: dict[tuple[Any, ...], Exception | None] = {}

    @wraps(setup)
    def only(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        key = (*args, *kwargs.items())
        if key not in failed:
            failed[key] = None
            try:
                setup(*args, **kwargs)
            except Exception as error:
                failed[key] = error
                raise
        before = failed[key]
        if before is not None:
            raise before

    return only


@once
def _ready(package: Package, device_type: str) -> None:
    if package == "sglang":
        _sglang_arguments()
    else:
        _vllm_config()
    _groups(package, device_type)


def _sglang_arguments() -> None:
    current = load_symbol("sglang", "current server arguments")
    if current is None:
        return
    with suppress(ValueError):  # raised when no arguments are set
        current()
        return
    # sglang itself uses the model path "dummy" for arguments without a model.
    arguments = load_symbol("sglang", "server arguments")(model_path="dummy", tp_size=_ranks())
    if getattr(arguments, "cuda_graph_config", ...) is None:  # unset without a model, but fp8 reads it
        arguments.cuda_graph_config = load_symbol("sglang", "graph configuration")()
    load_symbol("sglang", "set server arguments")(arguments)


@lru_cache(maxsize=1)
def _vllm_config() -> Any:
    """Return vllm's current configuration; when there is none, create one for the life of the process."""
    current = load_symbol("vllm", "current configuration")
    with suppress(AssertionError):
        found = current()
        if found.model_config is not None:
            return found
    folder = Path(_process.enter_context(tempfile.TemporaryDirectory(prefix="compat-")))
    (folder / "config.json").write_text(json.dumps(TINY), encoding="utf-8")
    model = load_symbol("vllm", "model configuration")
    config = load_symbol("vllm", "configuration")(
        model_config=model(model=str(folder), skip_tokenizer_init=True, dtype="bfloat16", enforce_eager=True)
    )
    _process.enter_context(load_symbol("vllm", "set configuration")(config))
    return config


def _ranks() -> int:
    """Return the number of ranks that a launcher such as torchrun set in the environment; 1 by default."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _groups(package: Package, device_type: str) -> None:
    """Create process groups for the ranks that a launcher such as torchrun set; by default for one rank."""
    if load_symbol(package, "groups exist")():
        return
    size, rank = _ranks(), int(os.environ.get("RANK", "0"))
    if not torch.distributed.is_initialized():  # otherwise the program created the groups, and destroys them
        atexit.register(destroy_groups)
    init_method = "env://"
    if "MASTER_ADDR" not in os.environ:
        init_method = f"file://{_process.enter_context(tempfile.TemporaryDirectory(prefix='compat-'))}/ranks"
    load_symbol(package, "create world group")(
        world_size=size,
        rank=rank,
        distributed_init_method=init_method,
        local_rank=int(os.environ.get("LOCAL_RANK", rank)),
        backend="nccl" if device_type == "cuda" else "gloo",
    )
    with_size = load_symbol(package, "create groups with size")
    if with_size is None:
        load_symbol(package, "create groups")()
    else:
        with_size(tensor_model_parallel_size=size)


def destroy_groups() -> None:
    """Destroy the process groups, without which the process may never exit.

    With NCCL groups of sglang or vllm alive, `Py_FinalizeEx` did not return on H200s and kept one core busy
    until the process was killed (Python 3.12.3, torch 2.11.0). torch's own group alone does not cause that.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
