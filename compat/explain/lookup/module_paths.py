"""Map the paths in frames to modules, top-level names and distributions."""

import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from packaging.utils import canonicalize_name

from compat.companions.reader import Companions
from compat.errors import IntegrityError
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES

SITE = re.compile(r".*/(?:site|dist)-packages/")
_ELIDED = re.compile(r"\.\.\./(\w{1,60})/")
"""The start of a path of which people write dots instead of the folders above a package."""
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "aiter": "amd-aiter",
        "cuda": "cuda-python",
        "cutlass": "nvidia-cutlass-dsl",
        "cv2": "opencv-python-headless",
        "flash_attn": "flash-attn",
        "flash_attn_2_cuda": "flash-attn",
        "google": "protobuf",
        "mooncake": "mooncake-transfer-engine",
        "pkg_resources": "setuptools",
    }
)
"""Import name to distribution, where the two differ and the records of wheels name none or several."""


def below_site(path: str) -> str | None:
    """Return the part of a path below site-packages, or None if it lies elsewhere."""
    found = SITE.match(path.replace("\\", "/"))
    return path.replace("\\", "/")[found.end() :] if found else None


def top_of(path: str) -> str | None:
    """Return the top-level import name of an installed file, or None if it is not in site-packages."""
    below = below_site(path)
    if not below:
        elided = _ELIDED.match(path)
        return elided[1] if elided else None
    return re.split(r"[/.]", below, maxsplit=1)[0] or None


def carriers(module: str) -> tuple[str, ...]:
    """Return the distributions whose wheels carry the top-level package of a module, sorted."""
    companions = shipped_companions()
    return companions.carriers(module) if companions is not None else ()


@lru_cache(maxsize=1)
def shipped_companions() -> Companions | None:
    """Return the index of companions, or None if this installation lacks it."""
    try:
        return Companions()
    except IntegrityError:
        return None


def distribution_of(top: str) -> str:
    """Return the distribution that most likely provides a top-level import name."""
    if top == "sgl_kernel":
        return "sgl-kernel"
    usual, carried = IMPORT_NAMES.get(top, ALIASES.get(top)), carriers(top)
    return canonicalize_name(usual or (carried[0] if len(carried) == 1 else top))


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
    whole = parts[-1] == "__init__"
    if whole:
        parts.pop()
    starts = [0] if below is not None else [at for at, part in enumerate(parts) if part in index.owners]
    for start in starts:
        module = ".".join(parts[start:])
        if not whole and "." not in module:
            continue  # a file `vllm.py` of another project: the packages are folders
        if module.partition(".")[0] in index.owners and index.number("modules", module) is not None:
            return module
    return None
