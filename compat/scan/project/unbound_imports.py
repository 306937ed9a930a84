"""Who takes from modules of the tree what these bind in other releases only.

`if new: from vllm.utils import X` in `mine/compat.py` works everywhere; `from mine.compat import X` does not.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.prefilter.imported_names import known_as
from compat.scan.prefilter.mentions import lines_of
from compat.scan.project.module_names import absolute
from compat.scan.project.unbound_names import Lack
from compat.scan.sources.source_file import Source
from compat.scan.syntax.aliases import Aliases
from compat.scan.syntax.positions import Lines, Place, dotted, expressions, headers, statements
from compat.scan.syntax.references import Reference

Named = Mapping[str, Sequence[Lack]]
"""What one module lacks, by name."""


class Taken(NamedTuple):
    """A place that takes a name which is not there in some releases."""

    reference: Reference
    lack: Lack
    kind: str
    """The exception that Python raises."""


def taken(source: Source, file: Module, module: Module, names: Named, tree: Tree) -> list[Taken]:
    """Return the places of a file that take names from a module.

    Args:
        source: the file.
        file: the same as a module.
        module: what is taken from.
        names: what that lacks in some releases.
        tree: the modules of the scanned tree.
    """
    return _Taking(source, file, module, names, tree).found()


class _Taking(NamedTuple):
    source: Source
    file: Module
    module: Module
    names: Named
    tree: Tree

    def found(self) -> list[Taken]:
        _, stem = known_as(self.module.path)
        words = b"|".join(re.escape(word.encode()) for word in (stem, *self.names))
        lines = Lines(
            lines_of(
                self.source.data,
                [match.start() for match in re.finditer(rb"\b(?:" + words + rb")\b", self.source.data)],
            )
        )
        aliases, stars = Aliases(self.source.tree), Aliases(self.source.tree)
        found: list[Taken] = []
        for place in statements(self.source.tree, lines):
            if isinstance(place.statement, ast.ImportFrom):
                found += self._from(place, place.statement, aliases, stars)
            elif isinstance(place.statement, ast.Import):
                self._import(place, place.statement, aliases)
        if not aliases.names and not stars.names:
            return found
        for place in statements(self.source.tree, lines):
            if isinstance(place.statement, ast.Import | ast.ImportFrom):
                continue
            for header in headers(place.statement, annotations=False):
                for node, tests in expressions(header):
                    found += self._used(node, place.within(tests), aliases, stars)
        return found

    def _leads(self, dotted_name: str) -> bool:
        return self.tree.imported(self.file.path, dotted_name) is self.module

    def _from(
        self, place: Place, statement: ast.ImportFrom, aliases: Aliases, stars: Aliases
    ) -> Iterator[Taken]:
        origin = absolute(statement, self.file.name)
        if not origin:
            return
        here = self._leads(origin)
        for alias in statement.names:
            if here and alias.name == "*":
                for name in self.names:
                    stars.add(place, name, f"{origin}.{name}")
            elif here and alias.name in self.names:
                yield from self._taken(alias, place, origin, alias.name, "ImportError")
            elif self._leads(f"{origin}.{alias.name}"):
                aliases.add(place, alias.asname or alias.name, f"{origin}.{alias.name}")

    def _import(self, place: Place, statement: ast.Import, aliases: Aliases) -> None:
        for alias in statement.names:
            if self._leads(alias.name):
                top = alias.name.partition(".")[0]
                aliases.add(place, alias.asname or top, alias.name if alias.asname else top)

    def _used(self, node: ast.AST, place: Place, aliases: Aliases, stars: Aliases) -> Iterator[Taken]:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in self.names:
                for path in stars.paths(name, place)[:1]:
                    if not self.file.binders(name):
                        yield from self._taken(node, place, path.rpartition(".")[0], name, "NameError")
            case ast.Attribute():
                parts = dotted(node)
                for base in aliases.paths(parts[0], place)[:1] if parts else ():
                    yield from self._attribute(node, place, [*base.split("."), *parts[1:]])

    def _attribute(self, node: ast.Attribute, place: Place, parts: list[str]) -> Iterator[Taken]:
        for cut in range(1, len(parts)):
            name = parts[cut]
            stored = cut + 1 == len(parts) and not isinstance(node.ctx, ast.Load)
            if name in self.names and not stored and self._leads(".".join(parts[:cut])):
                yield from self._taken(node, place, ".".join(parts[:cut]), name, "AttributeError")
                return

    def _taken(self, node: ast.AST, place: Place, module: str, name: str, kind: str) -> Iterator[Taken]:
        reference = Reference("reexport", (), (*module.split("."), name), node, place, module)
        for lack in self.names[name]:
            yield Taken(reference, lack, kind)
