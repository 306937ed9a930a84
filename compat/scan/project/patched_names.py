"""Find the names that the scanned tree itself adds to the packages: by monkey patches, or by its own copy."""

import ast
import re
from collections.abc import Iterator, Sequence

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
        self.own_copies = OwnCopies(tree, files)

    def adds(self, package: str, module: str, name: str) -> bool:
        """Return whether no release of a package has `module:name` and a file of the tree assigns it.

        A name that some release had does not count: a file that replaces it usually reads it first.
        """
        key = (module, name)
        if key not in self._known:
            self._known[key] = name not in self._index.names_ever(module, package) and any(
                _assigns(file, module, name) for file in self._mentioning(module, name)
            )
        return self._known[key]

    def _mentioning(self, module: str, name: str) -> Iterator[Module]:
        """Yield the files whose bytes may contain an assignment to that attribute of the module."""
        called = module.rpartition(".")[2].encode()
        quoted = (f'"{name}"'.encode(), f"'{name}'".encode())
        assigned = re.compile(rb"\." + name.encode() + rb"[ \t]*[:=,)\]]")
        for path in self._files:
            try:
                wanted = path.endswith(".py") and self._store.names_package(path)
                data = self._store.read(path) if wanted else b""
            except OSError:
                continue
            if name.encode() not in data or called not in data:
                continue
            named = b"setattr" in data and any(text in data for text in quoted)
            file = self._tree.module(path) if named or assigned.search(data) else None
            if file is not None:
                yield file


def _assigns(file: Module, module: str, name: str) -> bool:
    """Return whether a file assigns `module.name`, directly or by `setattr`."""
    aliases = dict(_aliases(file))
    texts = any(isinstance(node, ast.Constant) and node.value == name for node in within(file.tree))
    for node in within(file.tree):
        match node:
            case ast.Attribute(attr=attribute, value=base, ctx=ast.Store()) if attribute == name:
                pass
            case ast.Call(func=ast.Name(id="setattr"), args=[base, ast.Constant(value=given), _]):
                if given != name:
                    continue
            case ast.Call(func=ast.Name(id="setattr"), args=[base, _, _]) if texts:
                pass  # one of several: `for name in …: setattr(module, name, …)`
            case _:
                continue
        first, *rest = dotted(base) or ("",)
        if first in aliases and ".".join((aliases[first], *rest)) == module:
            return True
    return False


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
