"""The names of the distributions that the index covers, in a module that imports quickly."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # importing it would take longer than most answers
    from packaging.utils import NormalizedName

SGLANG = cast("NormalizedName", "sglang")
VLLM = cast("NormalizedName", "vllm")
KERNELS = (cast("NormalizedName", "sglang-kernel"), cast("NormalizedName", "sgl-kernel"))
"""The distributions that provide `sgl_kernel`: the current name, then the former one."""

PACKAGES = (SGLANG, VLLM, *KERNELS)
"""Every distribution that the index covers."""

IMPORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"sglang": "sglang", "vllm": "vllm", "sglang-kernel": "sgl_kernel", "sgl-kernel": "sgl_kernel"}
)
"""Distribution name to its top-level import name; vendored libraries in the wheels are not covered."""
