"""Find what the scanned tree's own copies of the packages have: a fork of vllm with modules of its own."""

import glob
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.prefilter.mentions import TOPS
from compat.scan.project.module_names import absolute

_VENDORED = frozenset(
    {
        *("vendor", "vendors", "vendored", "_vendor", "_vendored", "third_party", "thirdparty", "3rdparty"),
        *("external", "externals", "extern", "deps", "submodules"),
    }
)
"""Names of folders for copies of other projects."""
_DEEPEST = 10
"""Greatest number of `from … import *` that are followed one after another."""


class OwnCopies:
    """Looks dotted paths up in the packages of the tree that are called like one of the packages.

    Args:
        tree: the modules of the scanned tree.
        files: all files of the scan.
    """

    def __init__(self, tree: Tree, files: Sequence[str]) -> None:
        self._tree = tree
        self._files = files
        self.has = lru_cache(maxsize=None)(self._has)

    @cached_property
    def _roots(self) -> dict[str, list[str]]:
        """For each package, the folders that contain a copy of it: in the scan, beside it or above it."""
        found: dict[str, dict[str, None]] = {top: {} for top in TOPS}
        common = _common_folder(self._files)
        for top, folders in found.items():
            beside = self._tree.find(common, top)
            for path in (*self._files, *([beside] if beside else [])):
                before, name, _ = f"/{path}".rpartition(f"/{top}/")
                folder = f"{before}/"[1:]
                if name and folder not in folders and not self._in_package(folder):
                    folders[folder] = None
        return {top: list(folders) for top, folders in found.items()}

    def _in_package(self, folder: str) -> bool:
        """Return whether a folder is a package of the tree that is not meant for copies of others."""
        inside = os.path.exists(f"{folder}__init__.py")  # noqa: PTH110 -- called for many files
        return inside and _VENDORED.isdisjoint(folder.split("/"))

    def _has(self, path: str) -> bool:
        """Return whether a copy has the module, or the name of a module, that a dotted path stands for."""
        parts = path.split(".")
        return any(self._below(root, parts, 0) for root in self._roots.get(parts[0], ()))

    def _below(self, root: str, parts: Sequence[str], depth: int) -> bool:
        for end in range(len(parts), 0, -1):
            base = root + "/".join(parts[:end])
            if end == len(parts) and os.path.isdir(base):  # noqa: PTH112
                return self._is_package(root, parts[0])
            if end > 1 and _generated(base):
                return True
            for path in (f"{base}/__init__.py", f"{base}.py", f"{base}/__init__.pyi", f"{base}.pyi"):
                if os.path.exists(path):  # noqa: PTH110
                    module = self._tree.module(path)
                    return end == len(parts) or (
                        module is not None and self._binds(root, module, parts[end], depth)
                    )
        return False

    def _is_package(self, root: str, top: str) -> bool:
        """Return whether a copy is a whole package; the files of another one have to be named exactly."""
        return any(os.path.exists(f"{root}{top}/__init__{end}") for end in (".py", ".pyi"))  # noqa: PTH110

    def _binds(self, root: str, module: Module, name: str, depth: int) -> bool:
        """Return whether a module may have a name: by a statement, by `global`, `*` or `__getattr__`."""
        if module.binders(name) or name in module.rebound or module.binders("__getattr__"):
            return True
        return depth < _DEEPEST and any(
            star.partition(".")[0] not in TOPS or self._below(root, [*star.split("."), name], depth + 1)
            for star in _stars(module)
        )


def _common_folder(files: Sequence[str]) -> str:
    """Return the innermost folder that contains all files; empty, the current folder, if none is named."""
    try:
        return os.path.commonpath([os.path.dirname(path) for path in files])  # noqa: PTH120
    except ValueError:  # no file, relative and absolute paths together, or paths of several drives
        return ""


def _generated(base: str) -> bool:
    """Return whether a module is compiled, or is made from a `.proto`, so that any name may be in it."""
    source, marker, _ = base.rpartition("_pb2")
    made = [f"{base}.pyx", *([f"{source}.proto"] if marker else [])]
    return any(map(os.path.exists, made)) or bool(glob.glob(f"{glob.escape(base)}.*.so"))  # noqa: PTH207


def _stars(module: Module) -> Iterator[str]:
    """Yield the modules of which a module takes everything."""
    for statement in module.stars:
        yield absolute(statement, module.name)
