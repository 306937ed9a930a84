"""The names of environment variables of the packages, and the programs whose options are known."""

import re
from typing import NamedTuple

from compat.model.package_names import SGLANG, VLLM

VARIABLE = re.compile(r"(?:VLLM|SGLANG|SGL)_[A-Z0-9][A-Z0-9_]*")
"""The name of an environment variable of one of the packages."""
PREFIXES = {"VLLM_": VLLM, "SGLANG_": SGLANG, "SGL_": SGLANG}
"""The prefixes of such names, and the package whose variables have it."""
OPTION = re.compile(r"--[A-Za-z][\w-]*")

SERVER = "server"
BENCH = "bench"
DIFFUSION = "diffusion"
GROUPS: dict[tuple[str, str], tuple[str, ...]] = {
    (VLLM, SERVER): ("vllm/engine/arg_utils.py", "vllm/entrypoints/"),
    (VLLM, BENCH): ("vllm/benchmarks/",),
    (SGLANG, SERVER): (
        "sglang/launch_server.py",
        "sglang/srt/server_args.py",
        "sglang/srt/arg_groups/",
        "sglang/srt/entrypoints/",
        "sglang/srt/server.py",
        "sglang/cli/",
    ),
    (SGLANG, BENCH): ("sglang/bench_", "sglang/benchmark/", "sglang/profiler.py", "sglang/test/"),
    (SGLANG, DIFFUSION): ("sglang/multimodal_gen/runtime/", "sglang/multimodal_gen/configs/"),
}
"""Package and name of each group of options, and how the paths of the files begin that define them."""


class Program(NamedTuple):
    """A program of one of the packages."""

    package: str
    name: str
    """How people call it, such as `vllm serve`."""
    groups: tuple[str, ...]
    """The groups whose options it may have."""


_SUBCOMMANDS: dict[tuple[str, str], tuple[str, ...]] = {
    (VLLM, "serve"): (SERVER,),
    (VLLM, "run-batch"): (SERVER,),
    (VLLM, "bench"): (SERVER, BENCH),
    (SGLANG, "serve"): (SERVER, DIFFUSION),
    (SGLANG, "generate"): (SERVER, DIFFUSION),
}
_MODULES: dict[str, tuple[str, ...]] = {
    "vllm.entrypoints.openai.api_server": (SERVER,),
    "vllm.entrypoints.api_server": (SERVER,),
    "vllm.entrypoints.openai.run_batch": (SERVER,),
    "sglang.launch_server": (SERVER,),
    "sglang.bench_serving": (SERVER, BENCH),
    "sglang.bench_one_batch": (SERVER, BENCH),
    "sglang.bench_one_batch_server": (SERVER, BENCH),
    "sglang.bench_offline_throughput": (SERVER, BENCH),
    "sglang.bench_latency": (SERVER, BENCH),
}


def subcommand(package: str, word: str) -> Program | None:
    """Return the program `vllm WORD` or `sglang WORD`, or None if its options are not known."""
    groups = _SUBCOMMANDS.get((package, word))
    return Program(package, f"{package} {word}", groups) if groups else None


def module_program(module: str) -> Program | None:
    """Return the program `python -m MODULE`, or None if its options are not known."""
    groups = _MODULES.get(module)
    return Program(module.partition(".")[0], f"python -m {module}", groups) if groups else None
