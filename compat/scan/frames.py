"""Names and what they are bound to, function in function up to the module."""

import ast
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from compat.scan.modules import module_name
from compat.scan.places import TryNode

_COMPOUND = (ast.If, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, *TryNode)


class Module:
    """A module of the scanned tree, parsed; which of its statements bind which name."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree
        self.name = module_name(path)
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


class Frame:
    """The names of a function that is being run, or of a module."""

    __slots__ = ("depth", "module", "names", "outer")

    def __init__(self, module: Module, outer: "Frame | None" = None, depth: int = 0) -> None:
        self.module = module
        self.outer = outer
        self.names: dict[str, Any] = {}
        self.depth = depth
        """Of calls: a function that calls itself ends somewhere."""

    def copy(self) -> "Frame":
        """Return a frame with the same names, to be changed by itself."""
        other = Frame(self.module, self.outer, self.depth)
        other.names = dict(self.names)
        return other


def bound_names(statement: ast.stmt) -> list[str]:  # noqa: C901, PLR0912 -- one case for each form
    """Return the names that a statement binds at its own level, the blocks in it included."""
    found: list[str] = []
    match statement:
        case ast.Import(names=names):
            found = [alias.asname or alias.name.partition(".")[0] for alias in names]
        case ast.ImportFrom(names=names):
            found = [alias.asname or alias.name for alias in names]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            found = [name]
        case ast.Assign(targets=targets):
            found = [name for target in targets for name in target_names(target)]
        case ast.AnnAssign(target=target, value=value) if value is not None:
            found = target_names(target)
        case ast.AugAssign(target=target):
            found = target_names(target)
        case _ if isinstance(statement, _COMPOUND):
            for field in ("body", "orelse", "finalbody"):
                for inner in getattr(statement, field, ()):
                    found += bound_names(inner)
            for handler in getattr(statement, "handlers", ()):
                for inner in handler.body:
                    found += bound_names(inner)
            if isinstance(statement, ast.For | ast.AsyncFor):
                found += target_names(statement.target)
            for item in getattr(statement, "items", ()):
                if item.optional_vars is not None:
                    found += target_names(item.optional_vars)
    return found


def target_names(target: ast.expr) -> list[str]:
    """Return the names that an assignment to `target` binds."""
    if isinstance(target, ast.Name):
        return [target.id]
    return [
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


class Tree:
    """The modules that a file can import from the tree it lies in.

    Args:
        load: parses a file, or returns None when that cannot be done.
    """

    def __init__(self, load: Callable[[str], ast.Module | None]) -> None:
        self._load = load
        self.module = lru_cache(maxsize=None)(self._module)
        self.find = lru_cache(maxsize=50_000)(self._find)

    def _module(self, path: str) -> Module | None:
        tree = self._load(path)
        return None if tree is None else Module(path, tree)

    def _find(self, folder: str, dotted: str) -> str | None:
        """Return the file of a module as imported from a folder, or None when it is not in this tree."""
        tail = dotted.replace(".", "/")
        while True:
            for place in (folder, f"{folder}/src" if folder else "src"):
                base = f"{place}/{tail}" if place else tail
                for path in (f"{base}/__init__.py", f"{base}.py"):
                    if os.path.exists(path):  # noqa: PTH110 -- called for many files
                        return path
            parent = os.path.dirname(folder)  # noqa: PTH120
            if parent == folder or os.path.exists(f"{folder}/.git"):  # noqa: PTH110
                return None
            folder = parent
