"""The distributions that the index covers: names alone, for modules whose start must take no time."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # loading it takes longer than most answers
    from packaging.utils import NormalizedName

SGLANG = cast("NormalizedName", "sglang")
VLLM = cast("NormalizedName", "vllm")
KERNELS = (cast("NormalizedName", "sglang-kernel"), cast("NormalizedName", "sgl-kernel"))
"""The distributions that provide `sgl_kernel`, newest name first."""

PACKAGES = (SGLANG, VLLM, *KERNELS)
"""Every distribution that the index covers."""

IMPORT_NAMES: Mapping[str, str] = MappingProxyType(
    {"sglang": "sglang", "vllm": "vllm", "sglang-kernel": "sgl_kernel", "sgl-kernel": "sgl_kernel"}
)
"""The top-level import name of each; what else their wheels carry (vendored libraries) is not theirs."""
