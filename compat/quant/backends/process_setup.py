"""What each package wants to be set up in a process before one of its layers can be built, done once.

sglang asks for global server arguments and its groups of ranks; vllm for a current configuration, whose model
has a dtype, and its groups. What a program has set up already is used as it is.
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
from compat.quant.backends.adapters import Package, location

_Arguments = ParamSpec("_Arguments")
_process = ExitStack()
"""What stays entered until the process ends."""

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
"""A config.json for vllm's ModelConfig: nothing of it is used but that it has a dtype."""


def installed(package: Package) -> str | None:
    """Return the installed release of a package, from metadata alone; None when there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@contextmanager
def building(package: Package, dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Have the package's process-wide state ready, and new tensors made on `device`, in `dtype` by default.

    Raises:
        SymbolUnavailable: the installed release has not what this needs.
    """
    before = torch.get_default_dtype()
    _ready(package, device.type)
    if package == "vllm":
        _vllm_config().model_config.dtype = dtype  # read by the methods while they are made
    torch.set_default_dtype(dtype)
    try:
        with device:
            yield
    finally:
        torch.set_default_dtype(before)


def place(package: Package) -> tuple[int, int]:
    """Return this process's rank among those that share each layer, and their number."""
    return needed(package, "rank")(), needed(package, "ranks")()


def needed(package: Package, role: str) -> Any:
    """Return what plays a role in the installed release; None when that release does without.

    Raises:
        SymbolUnavailable: it is not there, or only as a stub.
    """
    where = location(package, installed(package) or "", role)
    return None if where is None else compat.load(where, package=package)


def once(setup: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Return a function that sets something up once, and raises again what it raised the first time.

    A package that failed half-way refuses to be set up again, with an error that says nothing of the cause.
    """
    failed: dict[tuple[Any, ...], Exception | None] = {}

    @wraps(setup)
    def only(*given: _Arguments.args, **named: _Arguments.kwargs) -> None:
        key = (*given, *named.items())
        if key not in failed:
            failed[key] = None
            try:
                setup(*given, **named)
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
    current = needed("sglang", "current arguments")
    if current is None:
        return
    with suppress(ValueError):  # what it raises when there are none yet
        current()
        return
    # A model path of "dummy" is what sglang itself takes to mean that there is no model to look at.
    made = needed("sglang", "arguments")(model_path="dummy", tp_size=_ranks())
    if getattr(made, "cuda_graph_config", ...) is None:  # not resolved for want of a model; fp8 asks for it
        made.cuda_graph_config = needed("sglang", "graph configuration")()
    needed("sglang", "set arguments")(made)


@lru_cache(maxsize=1)
def _vllm_config() -> Any:
    """Return vllm's current configuration; when there is none, one is made and stays for this process."""
    current = needed("vllm", "current configuration")
    with suppress(AssertionError):
        found = current()
        if found.model_config is not None:
            return found
    folder = Path(_process.enter_context(tempfile.TemporaryDirectory(prefix="compat-")))
    (folder / "config.json").write_text(json.dumps(TINY), encoding="utf-8")
    model = needed("vllm", "model configuration")
    made = needed("vllm", "configuration")(
        model_config=model(model=str(folder), skip_tokenizer_init=True, dtype="bfloat16", enforce_eager=True)
    )
    _process.enter_context(needed("vllm", "set configuration")(made))
    return made


def _ranks() -> int:
    """Return how many ranks a launcher such as torchrun tells of in the environment; else one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _groups(package: Package, device_type: str) -> None:
    """Make the groups of ranks a launcher such as torchrun tells of in the environment; else of one rank."""
    if needed(package, "groups are made")():
        return
    size, rank = _ranks(), int(os.environ.get("RANK", "0"))
    if not torch.distributed.is_initialized():  # else they are the program's, which ends them when it likes
        atexit.register(leave)
    where = "env://"
    if "MASTER_ADDR" not in os.environ:
        where = f"file://{_process.enter_context(tempfile.TemporaryDirectory(prefix='compat-'))}/ranks"
    needed(package, "make the world")(
        world_size=size,
        rank=rank,
        distributed_init_method=where,
        local_rank=int(os.environ.get("LOCAL_RANK", rank)),
        backend="nccl" if device_type == "cuda" else "gloo",
    )
    of_size = needed(package, "make groups of a size")
    if of_size is None:
        needed(package, "make groups")()
    else:
        of_size(tensor_model_parallel_size=size)


def leave() -> None:
    """End the groups of ranks of this process, so that it can end.

    With NCCL's groups of sglang or vllm alive, `Py_FinalizeEx` has not returned on H200s, one core busy,
    until the process was killed (Python 3.12.3, torch 2.11.0). torch's own group alone does not do that.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
