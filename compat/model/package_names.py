"""The distributions that the index covers: names alone, for modules whose start must take no time."""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
else:  # loading it takes longer than most answers
    NormalizedName = str

SGLANG = NormalizedName("sglang")
VLLM = NormalizedName("vllm")
KERNELS = (NormalizedName("sglang-kernel"), NormalizedName("sgl-kernel"))
"""The distributions that provide `sgl_kernel`, newest name first."""

PACKAGES = (SGLANG, VLLM, *KERNELS)
"""Every distribution that the index covers."""

IMPORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"sglang": "sglang", "vllm": "vllm", "sglang-kernel": "sgl_kernel", "sgl-kernel": "sgl_kernel"}
)
"""The top-level import name of each; what else their wheels carry (vendored libraries) is not theirs."""
