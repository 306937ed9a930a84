"""The names of the distributions that the index covers, in a module that imports quickly."""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
else:  # importing it would take longer than most answers
    NormalizedName = str

SGLANG = NormalizedName("sglang")
VLLM = NormalizedName("vllm")
KERNELS = (NormalizedName("sglang-kernel"), NormalizedName("sgl-kernel"))
"""The distributions that provide `sgl_kernel`: the current name, then the former one."""

PACKAGES = (SGLANG, VLLM, *KERNELS)
"""Every distribution that the index covers."""

IMPORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"sglang": "sglang", "vllm": "vllm", "sglang-kernel": "sgl_kernel", "sgl-kernel": "sgl_kernel"}
)
"""Distribution name to its top-level import name; vendored libraries in the wheels are not covered."""
