"""Which releases the layer supports, and what it loads from them besides the classes of its methods.

Read from the sources of those releases. Nothing here imports torch or a package.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

Package = Literal["sglang", "vllm"]

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


_HOMES: tuple[tuple[Package, str, str], ...] = (
    ("sglang", "sglang.srt.distributed.parallel_state", "sglang.srt.layers.linear"),
    ("vllm", "vllm.distributed.parallel_state", "vllm.model_executor.layers.linear"),
)
"""For each package: the modules of its process groups and of its linear layers."""


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
"""Everything that is loaded from a package besides the classes in `adapters.TABLE`. A test compares both with
the shipped index, for every release in `CLAIMED`."""
