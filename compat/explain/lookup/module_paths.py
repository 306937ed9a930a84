"""Map the paths in frames to modules, top-level names and distributions."""

import re
import sys
from collections.abc import Mapping
from types import MappingProxyType

from packaging.utils import canonicalize_name

from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES

SITE = re.compile(r".*/(?:site|dist)-packages/")
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "PIL": "pillow",
        "aiter": "amd-aiter",
        "attr": "attrs",
        "cuda": "cuda-python",
        "cutlass": "nvidia-cutlass-dsl",
        "cv2": "opencv-python-headless",
        "dateutil": "python-dateutil",
        "deep_gemm": "sgl-deep-gemm",
        "dotenv": "python-dotenv",
        "flash_attn": "flash-attn",
        "flash_attn_2_cuda": "flash-attn",
        "flashinfer": "flashinfer-python",
        "google": "protobuf",
        "jwt": "pyjwt",
        "mooncake": "mooncake-transfer-engine",
        "multipart": "python-multipart",
        "pkg_resources": "setuptools",
        "prometheus_fastapi_instrumentator": "prometheus-fastapi-instrumentator",
        "pynvml": "nvidia-ml-py",
        "quack": "quack-kernels",
        "sklearn": "scikit-learn",
        "tvm_ffi": "apache-tvm-ffi",
        "yaml": "pyyaml",
        "zmq": "pyzmq",
    }
)
"""Import name to distribution, where the two differ, for the requirements of sglang and vllm."""


def below_site(path: str) -> str | None:
    """Return the part of a path below site-packages, or None if it lies elsewhere."""
    found = SITE.match(path.replace("\\", "/"))
    return path.replace("\\", "/")[found.end() :] if found else None


def top_of(path: str) -> str | None:
    """Return the top-level import name of an installed file, or None if it is not in site-packages."""
    below = below_site(path)
    if not below:
        return None
    return re.split(r"[/.]", below, maxsplit=1)[0] or None


def distribution_of(top: str) -> str:
    """Return the distribution that most likely provides a top-level import name."""
    return canonicalize_name(
        IMPORT_NAMES.get(top, ALIASES.get(top, top)) if top != "sgl_kernel" else "sgl-kernel"
    )


def is_standard(top: str) -> bool:
    """Return whether a top-level name belongs to the standard library."""
    return top in sys.stdlib_module_names


def indexed_module(path: str, index: Index) -> str | None:
    """Return the indexed module of a file, whether installed or in a source tree, or None."""
    below = below_site(path)
    parts = (path if below is None else below).replace("\\", "/").split("/")
    if not parts[-1].endswith(".py"):
        return None
    parts[-1] = parts[-1].removesuffix(".py")
    if parts[-1] == "__init__":
        parts.pop()
    starts = [0] if below is not None else [at for at, part in enumerate(parts) if part in index.owners]
    for start in starts:
        module = ".".join(parts[start:])
        if module.partition(".")[0] in index.owners and index.number("modules", module) is not None:
            return module
    return None
