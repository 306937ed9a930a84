"""What a scan knows about a tree whatever the releases: its files, each parsed once, and how they connect."""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache

from compat.errors import IntegrityError
from compat.index.reader import Index
from compat.scan.calls.call_sites import CallSite, call_sites
from compat.scan.calls.callees import Callees
from compat.scan.calls.patched_callees import PatchedCallees
from compat.scan.calls.tree_classes import TreeClasses
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.prefilter.mentions import line_numbers
from compat.scan.project.callers import CallGraph
from compat.scan.project.importers import ImportGraph
from compat.scan.project.patched_names import PatchedNames
from compat.scan.settings.kinds import Kind
from compat.scan.settings.python_code import PythonSettings, python_settings
from compat.scan.settings.readers import Contents, contents
from compat.scan.sources.discovery import Files, Unreadable
from compat.scan.sources.source_file import Source, decoded, parse
from compat.scan.syntax.aliases import Aliases
from compat.scan.syntax.positions import LineNumbers, NodePosition, statements
from compat.scan.syntax.references import Reference, references
from compat.settings.releases import PackageSettings, read_packages
from compat.sources.extended_outlines import open_outlines

_CLASS = re.compile(rb"^[ \t]*class[ \t]", re.MULTILINE)


class ScannedFile:
    """A parsed file, and what the checks read in it.

    Args:
        source: the file.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.module = Module(source.path, source.tree)

    @property
    def references(self) -> Sequence[Reference]:
        """The references to the packages, in the order of the source."""
        return self._read[0]

    @property
    def imports_packages(self) -> bool:
        """Whether an import binds a name that stands for something of the packages."""
        return bool(self._read[1].names)

    @cached_property
    def call_sites(self) -> Sequence[CallSite]:
        """The calls of what the packages have, in the order of the source."""
        return list(call_sites(self.source, self._read[1]))

    @cached_property
    def _read(self) -> tuple[Sequence[Reference], Aliases]:
        """The references, and the names that they bind."""
        aliases = Aliases(self.source.tree)
        return list(references(self.source, self.module.name, aliases=aliases)), aliases

    @cached_property
    def subclasses(self) -> Mapping[ast.ClassDef, NodePosition]:
        """The classes that have a base, with their positions."""
        data = self.source.data
        lines = LineNumbers(line_numbers(data, [each.start() for each in _CLASS.finditer(data)]))
        found: dict[ast.ClassDef, NodePosition] = {}
        for position in statements(self.source.tree, lines):
            node = position.statement
            if isinstance(node, ast.ClassDef) and node.bases:
                found.setdefault(node, position)
        return found

    @cached_property
    def settings(self) -> PythonSettings:
        """The environment variables and the command lines that the code names."""
        return python_settings(self.source.tree, self.text, self.source.data)

    @cached_property
    def text(self) -> str:
        """The file as text."""
        return decoded(self.source.data)


class ScannedTree:
    """The files of a scan, and what connects them with each other and with the packages.

    Args:
        index: the index of releases.
        files: all files of the scan: a function may be called from another file.
        store: reads files.
    """

    def __init__(self, index: Index, files: Iterable[str], store: Files | None = None) -> None:
        self.index = index
        self.files = list(files)
        self.store = store or Files()
        self.modules = Tree(self._load)
        self.parsed = lru_cache(maxsize=256)(self._parse)
        self.file = lru_cache(maxsize=1)(self._file)
        """Returns a file by its path; the checks of several sets of releases ask for it one after another."""
        self.contents = lru_cache(maxsize=1)(self._contents)
        """Returns the text of a script or configuration file, and what it says about settings."""
        self.call_graph = CallGraph(self.modules, self.store.read, self.files)
        self.import_graph = ImportGraph(self.modules, self.store, self.files, self.call_graph)
        self.patched_names = PatchedNames(index, self.modules, self.store, self.files)
        self.patched_callees = PatchedCallees(self.store, self.files)
        self.classes = TreeClasses(self.modules)
        self._callees: dict[str, Callees | None] = {}

    def callees(self, package: str, releases: Sequence[int]) -> Callees | None:
        """Return what looks up the callees of a package; None if there are no outlines of it.

        Args:
            package: the package.
            releases: the first releases that are asked for, by their indexes.
        """
        if package not in self._callees:
            try:
                outlines = open_outlines(self.index)
            except IntegrityError:
                return None
            known = package in outlines.packages
            self._callees[package] = Callees(self.index, outlines, package, releases) if known else None
        return self._callees[package]

    @cached_property
    def known_settings(self) -> Sequence[PackageSettings]:
        """The variables and options of all releases."""
        known = read_packages()
        if self.index.files:
            from compat.sources.settings import put_settings  # most scans name releases only

            put_settings(known, self.index.files)
        return known

    def _contents(self, path: str, kind: Kind) -> tuple[str, Sequence[Contents]]:
        text = self.store.read(path).decode("utf-8", "replace")
        return text, list(contents(kind, text))

    def _parse(self, path: str) -> Source:
        return parse(path, self.store.read(path))

    def _file(self, path: str) -> ScannedFile:
        return ScannedFile(self.parsed(path))

    def _load(self, path: str) -> ast.Module | None:
        try:
            return self.parsed(path).tree
        except (Unreadable, OSError):
            return None
