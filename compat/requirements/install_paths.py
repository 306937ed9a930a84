"""Where an installer puts the files of a wheel, and which modules they provide."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_DATA = re.compile(r"[^/]+\.data/(?:purelib|platlib)/")
_OTHER_DATA = re.compile(r"[^/]+\.(?:data|dist-info)/")
_EXTENSION = re.compile(r"(?P<name>[^/.]+)(?:\.cpython-[^/.]+|\.abi3)?\.so")
_LIBRARY = re.compile(r"\.so(?:\.[\d.]+)?$")

NOT_PACKAGES = frozenset({"__pycache__", "bin", "doc", "docs", "etc", "include", "lib", "lib64", "share"})
"""Folders beside the packages of a wheel that are no packages, unless they hold an `__init__.py`."""


def installed_path(path: str) -> str | None:
    """Return the path below site-packages at which `path` of a wheel is installed.

    The result is None for a file that is installed elsewhere, and for one in `*.dist-info`, which no program
    imports.
    """
    inside = _DATA.sub("", path, count=1) if _DATA.match(path) else path
    return None if _OTHER_DATA.match(inside) else inside


def extension_module(path: str) -> str | None:
    """Return the module name of an extension module, without its package, or None for any other file."""
    found = _EXTENSION.fullmatch(path.rpartition("/")[2])
    return found["name"] if found and found["name"].isidentifier() else None


def added_roots(pth: str) -> tuple[str, ...]:
    """Return the folders below site-packages that a `.pth` file of this text adds to the import path."""
    lines = (line.strip() for line in pth.splitlines())
    folders = (line for line in lines if line and not line.startswith(("#", "import ", "import\t", "/")))
    return tuple(folder.rstrip("/") for folder in folders)


def importable(paths: Iterable[str], roots: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the top-level modules and packages that a wheel with these `paths` provides, sorted.

    A namespace package such as `nvidia`, which many wheels share, is listed by its top-level name alone.

    Args:
        paths: the paths inside the wheel.
        roots: folders below site-packages that the wheel adds to the import path.
    """
    names = set()
    packages = set()
    placed = list(filter(None, map(installed_path, paths)))
    below = [path[len(root) + 1 :] for root in roots for path in placed if path.startswith(f"{root}/")]
    for path in (*placed, *below):
        parts = PurePosixPath(path).parts
        top = parts[0]
        if len(parts) == 1:
            module = top.removesuffix(".py") if top.endswith(".py") else extension_module(top)
            names.add(module or "")
        elif path.endswith(".py") or _LIBRARY.search(path):
            names.add(top)
            if parts[1:] == ("__init__.py",):
                packages.add(top)
    return tuple(
        sorted(name for name in names if name.isidentifier() and name not in NOT_PACKAGES - packages)
    )
