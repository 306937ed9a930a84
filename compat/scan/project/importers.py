"""Find the importers of modules: a module that only other releases import breaks nothing in this one."""

import ast
import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from compat.scan.interpreter.reachability import Reachability
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.prefilter.conditional_imports import (
    chosen_by,
    conditionally_imported,
    reads_version,
    version_tests,
)
from compat.scan.prefilter.imported_names import package_and_stem
from compat.scan.prefilter.mentions import line_numbers, word_offsets, words
from compat.scan.project.callers import CallGraph, Searches
from compat.scan.project.module_names import absolute
from compat.scan.sources.discovery import Files
from compat.scan.syntax.positions import LineNumbers, NodePosition, expressions, headers, statements

_MOST = 6
"""A module that more files outside its folder name counts as imported."""
_FARTHEST = 50
"""A module with more direct and indirect importers counts as imported."""
_ENTRIES = ("test", "conftest", "setup", "__main__")

_AFTER = re.compile(rb"[ \t]+(?:import|as)\b|[.\"',)\s]|$")

Importer = tuple[Module, list[NodePosition]]


class ImportGraph:
    """Finds the positions that import a module.

    Args:
        tree: the modules of the scanned tree.
        store: reads files.
        files: all files of the scan.
        call_graph: finds where functions are called.
    """

    def __init__(self, tree: Tree, store: Files, files: Sequence[str], call_graph: CallGraph) -> None:
        self._tree = tree
        self._store = store
        self._files = files
        self._call_graph = call_graph
        self._conditional: frozenset[str] | None = None
        self._raising: dict[str, Module | None] = {}
        """The `__init__.py` files that may raise in some releases; None for any other file."""
        self._searches: Searches[str, Importer] = Searches()

    def may_be_imported(self, module: Module, reachability: Reachability) -> bool:
        """Return whether a release may import a module; one that nothing imports counts as a script."""
        known: bool
        known, _ = reachability.evaluation.memory.apart(lambda: self._imports(module, reachability))
        return known

    def _imports(self, module: Module, reachability: Reachability) -> bool:
        memory = reachability.evaluation.memory
        known: bool | None = memory.get(("imported", module.path))
        if known is None:
            seen = {module.path}
            known = self._begins(module, reachability, seen)
            if not known:  # its importers are not imported either
                for path in seen:
                    memory.keep(("imported", path), False)  # noqa: FBT003 -- the result
        return known

    def _begins(self, module: Module, reachability: Reachability, seen: set[str]) -> bool:
        """Return whether modules other than those already seen import a module."""
        found = not self._refused(module, reachability) and (
            len(seen) > _FARTHEST
            or not self._may_be_conditional(module.path)
            or self._any_imports(module, reachability, seen)
        )
        if found:
            reachability.evaluation.memory.keep(("imported", module.path), True)  # noqa: FBT003 -- the result
        return found

    def _any_imports(self, module: Module, reachability: Reachability, seen: set[str]) -> bool:
        imported = False
        for other, positions in self._imported(module):
            imported = True
            if other.path == module.path:
                return True
            known = reachability.evaluation.memory.get(("imported", other.path))
            if known is False or other.path in seen:
                continue
            there = reachability._replace(module=other)
            if any(self._runs(position, there) for position in positions):
                seen.add(other.path)
                if known or self._begins(other, there, seen):
                    return True
        return not imported

    def _runs(self, position: NodePosition, reachability: Reachability) -> bool:
        function = position.function
        return reachability.reached(position) and (
            function is None or self._call_graph.may_be_called(function, reachability)
        )

    def refusing_packages(self) -> Iterator[Module]:
        """Yield the packages of the tree that may refuse releases: their `__init__.py` may raise."""
        for path in self._files:
            if os.path.basename(path) == "__init__.py" and (module := self._raising_package(path)):  # noqa: PTH119
                yield module

    def refuses(self, package: Module, reachability: Reachability) -> bool:
        """Return whether a package certainly raises an exception in a release that may import it."""
        return self._refuses(package.path, reachability) and self.may_be_imported(
            package, reachability._replace(module=package)
        )

    def _refused(self, module: Module, reachability: Reachability) -> bool:
        """Return whether a package around a module certainly raises an exception in a release."""
        folder = os.path.dirname(module.path)  # noqa: PTH120 -- called for many files
        while folder and os.path.exists(init := f"{folder}/__init__.py"):  # noqa: PTH110
            if init != module.path and self._refuses(init, reachability):
                return True
            folder = os.path.dirname(folder)  # noqa: PTH120
        return False

    def _raising_package(self, path: str) -> Module | None:
        """Return the module of an `__init__.py`, if it may raise in some releases."""
        if path not in self._raising:
            data = self._data(path)
            raising = b"raise" in data and reads_version(data)
            self._raising[path] = self._tree.module(path) if raising else None
        return self._raising[path]

    def _refuses(self, path: str, reachability: Reachability) -> bool:
        init = self._raising_package(path)
        if init is None:
            return False
        end = NodePosition(None, init.tree, "body", init.tree.body, len(init.tree.body))
        refuses: bool = reachability.evaluation.memory.result(
            ("refuses", path), lambda: not reachability._replace(module=init).reached(end), pending=False
        )
        return refuses

    def _may_be_conditional(self, path: str) -> bool:
        """Return whether a file that tests the version may import a module, or its folder, conditionally."""
        if self._conditional is None:
            self._conditional = frozenset(self._conditional_names())
        folder, stem = package_and_stem(path)
        return not self._conditional.isdisjoint(
            [*path.split("/")[:-1], stem] if not folder else path.split("/")[:-1]
        )

    def _conditional_names(self) -> Iterator[str]:
        """Yield the last parts of what files import conditionally, by tests in them or in another file."""
        reading = [
            path for path in self._files if self._names_package(path) and reads_version(self._data(path))
        ]
        tests = frozenset(name for path in reading for name in version_tests(self._data(path)))
        for path in reading:
            yield from conditionally_imported(self._data(path))
        for path in set(self._files).difference(reading) if tests else ():
            yield from chosen_by(self._data(path), tests)

    def _names_package(self, path: str) -> bool:
        try:
            return path.endswith(".py") and self._store.names_package(path)
        except OSError:
            return False

    def _data(self, path: str) -> bytes:
        try:
            return self._store.read(path) if path.endswith(".py") else b""
        except OSError:
            return b""

    @cached_property
    def _using(self) -> dict[bytes, list[str]]:
        """The words that name a module of the tree, each with the Python files that contain it."""
        stems = {package_and_stem(path)[1].encode() for path in self._files}
        found = {stem: [] if words(stem) == [stem] else list(self._files) for stem in stems}
        for path in self._files:
            for stem in stems.intersection(words(self._data(path))):
                found[stem].append(path)
        return found

    def _imported(self, module: Module) -> Iterator[Importer]:
        """Yield the importers of a module; files are parsed only when needed."""
        return self._searches.of(module.path, lambda: self._search(module))

    def _search(self, module: Module) -> Iterator[Importer]:
        itself = [NodePosition(None, module.tree, "body", module.tree.body, 0)]
        _, stem = package_and_stem(module.path)
        if stem.startswith(_ENTRIES) or b"__main__" in self._data(module.path):
            yield module, itself
            return
        others = [
            path
            for path in self._using.get(stem.encode(), ())
            if path != module.path and self._names(path, module.path)
        ]
        folder = os.path.dirname(module.path)  # noqa: PTH120 -- called for many files
        package = os.path.exists(f"{folder}/__init__.py")  # noqa: PTH110
        # The other files of a package run where something outside imports it, which is what is asked about.
        if sum(not package or os.path.dirname(path) != folder for path in others) > _MOST:  # noqa: PTH120
            yield module, itself  # it counts as imported
            return
        for path in sorted(others, key=lambda other: len(self._data(other))):
            other = self._tree.module(path)
            positions = list(self._positions(other, module)) if other else []
            if other and positions:
                yield other, positions

    def _names(self, path: str, module: str) -> bool:
        """Return whether the bytes of a file may name a module in an import or in a string."""
        data = self._data(path)
        folder, stem = package_and_stem(module)
        above = module.split("/")[: -2 if folder else -1]
        parent = above[-1].encode() if above else b""
        near = path.split("/")[: len(above)] == above
        return any(_leads(data, at, stem, parent, near=near) for at in _words(data, stem))

    def _positions(self, other: Module, module: Module) -> Iterator[NodePosition]:
        data = self._data(other.path)
        lines = LineNumbers(line_numbers(data, list(_words(data, package_and_stem(module.path)[1]))))
        for position in statements(other.tree, lines):
            for dotted, here in _named(position, other):
                if self._leads(other, dotted, module):
                    yield here

    def _leads(self, other: Module, dotted: str, module: Module) -> bool:
        """Return whether importing a dotted path also imports a module."""
        parts = dotted.split(".")
        folder = other.path.rpartition("/")[0]
        return any(
            self._tree.find(folder, ".".join(parts[:end])) == module.path for end in range(len(parts), 0, -1)
        )


def _named(position: NodePosition, module: Module) -> Iterator[tuple[str, NodePosition]]:
    """Yield the dotted paths that a statement imports, and strings that have the form of a path."""
    match position.statement:
        case ast.Import(names=names):
            yield from ((alias.name, position) for alias in names)
        case ast.ImportFrom(names=names) as statement:
            origin = absolute(statement, module.name)
            if origin:
                yield from ((f"{origin}.{alias.name}", position) for alias in names)
        case statement:
            for header in headers(statement, annotations=False):
                for node, tests in expressions(header):
                    match node:
                        case ast.Constant(value=str() as text) if "." in text and len(text) < 200:
                            if all(map(str.isidentifier, text.split("."))):
                                yield text, position.within(tests)


def _words(data: bytes, stem: str) -> Iterator[int]:
    """Yield the offsets at which a module's name may be part of an import or a string."""
    for at in word_offsets(data, stem.encode()):
        if _AFTER.match(data, at + len(stem)):
            yield at


def _leads(data: bytes, at: int, stem: str, parent: bytes, *, near: bool) -> bool:
    """Return whether a word may name a module of a package, by the text around it.

    Args:
        data: the bytes of the file.
        at: the offset of the word.
        stem: the word.
        parent: the name of the package.
        near: whether the file lies in the package, so that relative imports may lead there.
    """
    before = data[data.rfind(b"\n", 0, at) + 1 : at]
    if before.endswith(b"."):
        relative = before.rstrip(b".")[-1:] in (b" ", b"\t")
        return near if relative else before.endswith(parent + b".")
    if before[-1:] in (b'"', b"'"):
        return data[at + len(stem) : at + len(stem) + 1] == b"."
    start = before.split()
    if start[:1] == [b"from"] and len(start) > 1:
        return near if start[1].endswith(b".") else start[1].endswith(parent)
    if start[:1] == [b"import"]:
        return True
    return not start and _listed(data, at)


def _listed(data: bytes, at: int) -> bool:
    """Return whether a word at the start of a line is one of the names of a multi-line import."""
    above = data[: data.rfind(b"\n", 0, at) + 1].rstrip()
    opened = data.rfind(b"(", max(0, at - 4_000), at)
    return above.endswith(b"\\") or (opened >= 0 and data[:opened].rstrip().endswith(b"import"))
