"""Find imports of names that another module of the scanned tree binds only in some releases.

`if new: from vllm.utils import X` in `mine/compat.py` works everywhere; `from mine.compat import X` does not.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.prefilter.imported_names import package_and_stem
from compat.scan.prefilter.mentions import line_numbers
from compat.scan.project.module_names import absolute
from compat.scan.project.unbound_names import UnboundName
from compat.scan.sources.source_file import Source
from compat.scan.syntax.aliases import Aliases
from compat.scan.syntax.positions import LineNumbers, NodePosition, dotted, expressions, headers, statements
from compat.scan.syntax.references import Reference

UnboundByName = Mapping[str, Sequence[UnboundName]]
"""The unbound names of one module, by name."""


class UnboundImport(NamedTuple):
    """A use of a name that is unbound in some releases."""

    reference: Reference
    unbound: UnboundName
    kind: str
    """The name of the exception that Python raises."""


def unbound_imports(
    source: Source, file: Module, module: Module, names: UnboundByName, tree: Tree
) -> list[UnboundImport]:
    """Return the uses of unbound names of a module in a file.

    Args:
        source: the file.
        file: the same file as a module.
        module: the module with unbound names.
        names: its unbound names.
        tree: the modules of the scanned tree.
    """
    return _Finder(source, file, module, names, tree).found()


class _Finder(NamedTuple):
    source: Source
    file: Module
    module: Module
    names: UnboundByName
    tree: Tree

    def found(self) -> list[UnboundImport]:
        _, stem = package_and_stem(self.module.path)
        words = b"|".join(re.escape(word.encode()) for word in (stem, *self.names))
        lines = LineNumbers(
            line_numbers(
                self.source.data,
                [match.start() for match in re.finditer(rb"\b(?:" + words + rb")\b", self.source.data)],
            )
        )
        aliases, stars = Aliases(self.source.tree), Aliases(self.source.tree)
        found: list[UnboundImport] = []
        for position in statements(self.source.tree, lines):
            if isinstance(position.statement, ast.ImportFrom):
                found += self._from(position, position.statement, aliases, stars)
            elif isinstance(position.statement, ast.Import):
                self._import(position, position.statement, aliases)
        if not aliases.names and not stars.names:
            return found
        for position in statements(self.source.tree, lines):
            if isinstance(position.statement, ast.Import | ast.ImportFrom):
                continue
            for header in headers(position.statement, annotations=False):
                for node, tests in expressions(header):
                    found += self._used(node, position.within(tests), aliases, stars)
        return found

    def _leads(self, dotted_name: str) -> bool:
        return self.tree.imported(self.file.path, dotted_name) is self.module

    def _from(
        self, position: NodePosition, statement: ast.ImportFrom, aliases: Aliases, stars: Aliases
    ) -> Iterator[UnboundImport]:
        origin = absolute(statement, self.file.name)
        if not origin:
            return
        here = self._leads(origin)
        for alias in statement.names:
            if here and alias.name == "*":
                for name in self.names:
                    stars.add(position, name, f"{origin}.{name}")
            elif here and alias.name in self.names:
                yield from self._unbound_import(alias, position, origin, alias.name, "ImportError")
            elif self._leads(f"{origin}.{alias.name}"):
                aliases.add(position, alias.asname or alias.name, f"{origin}.{alias.name}")

    def _import(self, position: NodePosition, statement: ast.Import, aliases: Aliases) -> None:
        for alias in statement.names:
            if self._leads(alias.name):
                top = alias.name.partition(".")[0]
                aliases.add(position, alias.asname or top, alias.name if alias.asname else top)

    def _used(
        self, node: ast.AST, position: NodePosition, aliases: Aliases, stars: Aliases
    ) -> Iterator[UnboundImport]:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in self.names:
                for path in stars.paths(name, position)[:1]:
                    if not self.file.binders(name):
                        yield from self._unbound_import(
                            node, position, path.rpartition(".")[0], name, "NameError"
                        )
            case ast.Attribute():
                parts = dotted(node)
                for base in aliases.paths(parts[0], position)[:1] if parts else ():
                    yield from self._attribute(node, position, [*base.split("."), *parts[1:]])

    def _attribute(
        self, node: ast.Attribute, position: NodePosition, parts: list[str]
    ) -> Iterator[UnboundImport]:
        for cut in range(1, len(parts)):
            name = parts[cut]
            stored = cut + 1 == len(parts) and not isinstance(node.ctx, ast.Load)
            if name in self.names and not stored and self._leads(".".join(parts[:cut])):
                yield from self._unbound_import(node, position, ".".join(parts[:cut]), name, "AttributeError")
                return

    def _unbound_import(
        self, node: ast.AST, position: NodePosition, module: str, name: str, kind: str
    ) -> Iterator[UnboundImport]:
        reference = Reference("reexport", (), (*module.split("."), name), node, position, module)
        for unbound in self.names[name]:
            yield UnboundImport(reference, unbound, kind)
