"""Names and what they are bound to, function in function up to the module."""

import ast
import os
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

from compat.scan.project.module_names import module_name
from compat.scan.syntax.attribute_assignments import Store, stores
from compat.scan.syntax.bound_names import bound_names, declared_global, maybe_unbound
from compat.scan.syntax.positions import within

_ELUSIVE = frozenset({"globals", "vars", "exec", "setattr"})


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

    @cached_property
    def rebound(self) -> frozenset[str]:
        """The names of its top level that functions bind again."""
        return frozenset(declared_global(self.tree.body, inner=True))

    @cached_property
    def lacking(self) -> frozenset[str]:
        """The names that its top level may leave unbound."""
        return maybe_unbound(self.tree.body) - {"*"}

    @cached_property
    def stars(self) -> list[ast.ImportFrom]:
        """The `from … import *` of its top level, those in blocks left aside."""
        return [each for each in self.binders("*") if isinstance(each, ast.ImportFrom)]

    @cached_property
    def stores(self) -> dict[str, list[Store]]:
        """The statements that assign to attributes, by the attribute's name."""
        return stores(self.tree)

    @cached_property
    def given(self) -> frozenset[tuple[str, str]]:
        """What its top level assigns as `base.name`, blocks left aside."""
        return frozenset(
            (target.value.id, target.attr)
            for statement in self.tree.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)
        )

    @cached_property
    def elusive(self) -> bool:
        """Whether names may come and go in ways that its statements do not show."""
        return any(
            (isinstance(node, ast.Name) and node.id in _ELUSIVE)
            or (isinstance(node, ast.Attribute) and node.attr == "modules")
            or isinstance(node, ast.Global)
            for node in within(self.tree)
        ) or bool(self.binders("__getattr__") or len(self.binders("*")) > len(self.stars))


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


class Tree:
    """The modules that a file can import from the tree it lies in.

    Args:
        load: parses a file, or returns None when that cannot be done.
    """

    def __init__(self, load: Callable[[str], ast.Module | None]) -> None:
        self._load = load
        self.module = lru_cache(maxsize=None)(self._module)
        self.find = lru_cache(maxsize=50_000)(self._find)

    def imported(self, path: str, dotted: str) -> Module | None:
        """Return the module that a file imports under a name, or None when it is not in this tree."""
        found = self.find(path.rpartition("/")[0], dotted) if dotted else None
        return self.module(found) if found else None

    def has_submodule(self, module: Module, name: str) -> bool:
        """Return whether a name can be imported from a package as one of its modules."""
        folder, file = os.path.split(module.path)
        return file == "__init__.py" and any(
            os.path.exists(os.path.join(folder, f"{name}{end}"))  # noqa: PTH110, PTH118 -- as below
            for end in ("", ".py")
        )

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
