"""Modules of the scanned tree, and the frames in which the interpreter binds names."""

import ast
import os
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

from compat.scan.project.module_names import module_name
from compat.scan.syntax.attribute_assignments import Store, stores
from compat.scan.syntax.bound_names import BlockBinders, bound_names, declared_global, names_maybe_unbound
from compat.scan.syntax.positions import within

_ELUSIVE = frozenset({"globals", "vars", "exec", "setattr"})


class Module:
    """A parsed module of the scanned tree, with the names that its statements bind."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree
        self.name = module_name(path)
        self.block_binders = BlockBinders()
        self._binders: dict[str, list[ast.stmt]] | None = None

    def binders(self, name: str) -> list[ast.stmt]:
        """Return the top-level statements that bind a name, in source order."""
        if self._binders is None:
            self._binders = {}
            for statement in self.tree.body:
                for bound in bound_names(statement):
                    statements = self._binders.setdefault(bound, [])
                    if not statements or statements[-1] is not statement:
                        statements.append(statement)
        return self._binders.get(name, [])

    @cached_property
    def rebound(self) -> frozenset[str]:
        """The top-level names that functions rebind with `global`."""
        return frozenset(declared_global(self.tree.body, inner=True))

    @cached_property
    def maybe_unbound(self) -> frozenset[str]:
        """The names that the top level may leave unbound."""
        return names_maybe_unbound(self.tree.body) - {"*"}

    @cached_property
    def stars(self) -> list[ast.ImportFrom]:
        """The `from … import *` statements of the top level, except those in blocks."""
        return [each for each in self.binders("*") if isinstance(each, ast.ImportFrom)]

    @cached_property
    def stores(self) -> dict[str, list[Store]]:
        """The statements that assign to attributes, by the attribute's name."""
        return stores(self.tree)

    @cached_property
    def attribute_targets(self) -> frozenset[tuple[str, str]]:
        """The pairs `(base, name)` of the top-level assignments to `base.name`, except those in blocks."""
        return frozenset(
            (target.value.id, target.attr)
            for statement in self.tree.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)
        )

    @cached_property
    def elusive(self) -> bool:
        """Whether the module may bind or delete names dynamically."""
        return any(
            (isinstance(node, ast.Name) and node.id in _ELUSIVE)
            or (isinstance(node, ast.Attribute) and node.attr == "modules")
            or isinstance(node, ast.Global)
            for node in within(self.tree)
        ) or bool(self.binders("__getattr__") or len(self.binders("*")) > len(self.stars))


class Frame:
    """The names of a function call, or of a module, during interpretation."""

    __slots__ = ("alike", "depth", "module", "names", "outer")

    def __init__(self, module: Module, outer: "Frame | None" = None, depth: int = 0) -> None:
        self.module = module
        self.outer = outer
        self.names: dict[str, Any] = {}
        self.depth = depth
        """The depth of nested calls, which limits recursion."""
        self.alike = -1
        """For a module: the releases in which these names have these values; see `Memory`."""

    def copy(self) -> "Frame":
        """Return an independent frame with the same names."""
        other = Frame(self.module, self.outer, self.depth)
        other.names = dict(self.names)
        other.alike = self.alike
        return other


class Tree:
    """The modules that files can import from the scanned tree.

    Args:
        load: returns the syntax tree of a file, or None if it cannot be parsed.
    """

    def __init__(self, load: Callable[[str], ast.Module | None]) -> None:
        self._load = load
        self.module = lru_cache(maxsize=None)(self._module)
        self.find = lru_cache(maxsize=50_000)(self._find)

    def imported(self, path: str, dotted: str) -> Module | None:
        """Return the module that a file imports under a name, or None if the tree does not have it."""
        found = self.find(path.rpartition("/")[0], dotted) if dotted else None
        return self.module(found) if found else None

    def has_submodule(self, module: Module, name: str) -> bool:
        """Return whether a package has a submodule with this name."""
        folder, file = os.path.split(module.path)
        return file == "__init__.py" and any(
            os.path.exists(os.path.join(folder, f"{name}{end}"))  # noqa: PTH110, PTH118 -- called for many names
            for end in ("", ".py")
        )

    def _module(self, path: str) -> Module | None:
        tree = self._load(path)
        return None if tree is None else Module(path, tree)

    def _find(self, folder: str, dotted: str) -> str | None:
        """Return the file of a module that a file in a folder imports, or None if it is not in the tree."""
        tail = dotted.replace(".", "/")
        while True:
            for place in (folder, f"{folder}/src" if folder else "src"):
                base = f"{place}/{tail}" if place else tail
                for path in (f"{base}/__init__.py", f"{base}.py"):
                    if os.path.exists(path):  # noqa: PTH110 -- called for many files
                        return path
            parent = os.path.dirname(folder)  # noqa: PTH120
            if folder.endswith(".."):
                return None  # above it is not the current folder, which is the parent of a plain name
            if parent == folder or os.path.exists(f"{folder}/.git"):  # noqa: PTH110
                return None
            folder = parent
