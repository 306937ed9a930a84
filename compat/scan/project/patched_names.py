"""Find the names that the scanned tree itself adds to the packages: by monkey patches, or by its own copy."""

import ast
import contextlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from compat.index.reader import Index
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.project.module_names import absolute
from compat.scan.project.own_copies import OwnCopies
from compat.scan.sources.discovery import Files
from compat.scan.syntax.positions import dotted, within


class PatchedNames:
    """Finds assignments to names of the packages' modules.

    Args:
        index: the index of releases.
        tree: the modules of the scanned tree.
        store: reads files.
        files: all files of the scan.
    """

    def __init__(self, index: Index, tree: Tree, store: Files, files: Sequence[str]) -> None:
        self._index = index
        self._tree = tree
        self._store = store
        self._files = files
        self._known: dict[tuple[str, str], bool] = {}
        self._assignments = lru_cache(maxsize=None)(_assignments)
        self.own_copies = OwnCopies(tree, files)

    def adds(self, package: str, module: str, name: str) -> bool:
        """Return whether no release of a package has `module:name` and a file of the tree assigns it.

        A name that some release had does not count: a file that replaces it usually reads it first.
        """
        key = (module, name)
        if key not in self._known:
            self._known[key] = name not in self._index.names_ever(module, package) and any(
                self._assignments(file).assigns(module, name) for file in self._mentioning(module, name)
            )
        return self._known[key]

    @cached_property
    def _contents(self) -> list[tuple[str, bytes]]:
        """The Python files that name a package, with their bytes."""
        found = []
        for path in self._files:
            with contextlib.suppress(OSError):
                if path.endswith(".py") and self._store.names_package(path):
                    found.append((path, self._store.read(path)))
        return found

    def _mentioning(self, module: str, name: str) -> Iterator[Module]:
        """Yield the files whose bytes may contain an assignment to that attribute of the module."""
        called = module.rpartition(".")[2].encode()
        quoted = (f'"{name}"'.encode(), f"'{name}'".encode())
        assigned = re.compile(rb"\." + name.encode() + rb"[ \t]*[:=,)\]]")
        for path, data in self._contents:
            if name.encode() not in data or called not in data:
                continue
            named = b"setattr" in data and any(text in data for text in quoted)
            file = self._tree.module(path) if named or assigned.search(data) else None
            if file is not None:
                yield file


class _Assignments(NamedTuple):
    """What a file assigns to attributes, by statements or by `setattr`."""

    aliases: dict[str, str]
    """The names that imports bind anywhere in the file, with the dotted path of each."""
    stores: dict[str, list[ast.expr]]
    """Attributes, with the objects that they are assigned to."""
    any_name: list[ast.expr]
    """The objects of which `setattr` assigns attributes whose names are computed: `for name in …`."""
    texts: frozenset[object]
    """The constants of the file, if there are such objects: one of them may be the name."""

    def assigns(self, module: str, name: str) -> bool:
        """Return whether the file assigns `module.name`."""
        bases = [*self.stores.get(name, ()), *(self.any_name if name in self.texts else ())]
        return any(self._path(base) == module for base in bases)

    def _path(self, base: ast.expr) -> str | None:
        first, *rest = dotted(base) or ("",)
        return ".".join((self.aliases[first], *rest)) if first in self.aliases else None


def _assignments(file: Module) -> _Assignments:
    stores: dict[str, list[ast.expr]] = {}
    any_name: list[ast.expr] = []
    for node in within(file.tree):
        match node:
            case ast.Attribute(attr=name, value=base, ctx=ast.Store()):
                stores.setdefault(name, []).append(base)
            case ast.Call(func=ast.Name(id="setattr"), args=[base, ast.Constant(value=str() as name), _]):
                stores.setdefault(name, []).append(base)
            case ast.Call(func=ast.Name(id="setattr"), args=[base, _, _]):
                any_name.append(base)
    constants = (each.value for each in within(file.tree) if isinstance(each, ast.Constant))
    return _Assignments(dict(_aliases(file)), stores, any_name, frozenset(constants if any_name else ()))


def _aliases(file: Module) -> Iterator[tuple[str, str]]:
    """Yield the names that imports bind anywhere in a file, with the dotted path of each."""
    for node in within(file.tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    yield alias.asname or top, alias.name if alias.asname else top
            case ast.ImportFrom(names=names):
                origin = absolute(node, file.name)
                yield from ((alias.asname or alias.name, f"{origin}.{alias.name}") for alias in names)
