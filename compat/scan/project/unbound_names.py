"""Names that modules of the tree bind in some releases only, and why not in the others."""

import ast
import os
from collections.abc import Mapping
from typing import NamedTuple

from compat.index.query.name_resolution import MISSING
from compat.scan.check.reference_checker import Judge, Trouble
from compat.scan.check.replacements import runs
from compat.scan.findings import Run
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.project.module_names import absolute
from compat.scan.releases.index_lookup import Outcome
from compat.scan.releases.index_lookup import runs as rows_of
from compat.scan.syntax.positions import Place, within
from compat.scan.syntax.references import Reference

_DEEPEST = 5
"""`from … import *` of one another that are followed."""


class Lack(NamedTuple):
    """A name that a module leaves unbound in some releases."""

    module: Module
    name: str
    package: str
    mask: int
    """The releases, as `compat.scan.releases.index_lookup` counts them."""


class Lacks:
    """Finds what the top level of modules leaves unbound.

    Args:
        tree: the modules of the scanned tree.
        judges: of the packages, by their names.
        broken: file and package to the releases in which the file fails for a reason of its own.
    """

    def __init__(
        self, tree: Tree, judges: Mapping[str, Judge], broken: Mapping[tuple[str, str], int]
    ) -> None:
        self._tree = tree
        self._judges = judges
        self._broken = broken

    def names(self, module: Module, depth: int = 0) -> set[str]:
        """Return what a module may leave unbound, by how it is written."""
        names = set(module.lacking)
        for star in module.stars if depth < _DEEPEST else ():
            inner = self._tree.imported(module.path, absolute(star, module.name))
            if inner is not None:
                names |= {
                    name
                    for name in self.names(inner, depth + 1)
                    if name[0] != "_" and not module.binders(name)
                }
        return names

    def of(self, module: Module, name: str) -> list[Lack]:
        """Return the releases in which a module works and does not bind a name, package by package."""
        found = []
        for package, judge in self._judges.items():
            mask = judge.unbound(module, name) & ~self._broken.get((module.path, package), 0)
            if mask:
                found.append(Lack(module, name, package, mask))
        return found

    def runs(self, lack: Lack, mask: int) -> tuple[Run, ...]:
        """Return the runs of releases in which it is not there to be taken, with the cause of each."""
        module, binder = self._binder(lack.module, lack.name)
        lookup = self._judges[lack.package].lookup
        line = getattr(binder, "lineno", 1)
        where = f"{os.path.basename(module.path)}:{line}"  # noqa: PTH119 -- pathlib costs more
        found: list[tuple[int, Run]] = []
        missing = 0
        if isinstance(binder, ast.ImportFrom):
            origin = absolute(binder, module.name)
            name = next((each.name for each in binder.names if _binds(each) == lack.name), "")
            if origin.partition(".")[0] in lookup.index.owners and name:
                outcomes = lookup.imported(origin, name)
                missing = sum(bits for bits, outcome in outcomes if outcome.failing) & mask
                if missing:
                    trouble = _trouble(binder, lack.package, (origin, name), missing)
                    found += [
                        (lookup.span.versions.index(run.first), _because(run, where))
                        for run in runs(lookup, trouble)
                    ]
        for first, last in rows_of(mask & ~missing):
            versions = lookup.span.versions
            reason = f"{where} binds it in other releases only"
            found.append((first, Run(versions[first], versions[last], "unknown", reason, None)))
        return tuple(run for _, run in sorted(found, key=lambda each: each[0]))

    def _binder(self, module: Module, name: str) -> tuple[Module, ast.AST]:
        """Return the statement that binds a name, and where it stands."""
        for statement in module.binders(name):
            for node in within(statement):
                if isinstance(node, ast.Import | ast.ImportFrom) and name in map(_binds, node.names):
                    return module, node
            return module, statement
        for star in module.stars:
            inner = self._tree.imported(module.path, absolute(star, module.name))
            if inner is not None and (inner.binders(name) or inner.stars):
                return self._binder(inner, name)
        return module, module.tree


def _binds(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _because(run: Run, where: str) -> Run:
    """Return a run as told where the name is taken: what to write instead belongs where it is bound."""
    new = f", which is now {run.replacement.statement}" if run.replacement else ""
    return run._replace(reason=f"{where} leaves it unbound: {run.reason}{new}", replacement=None)


def _trouble(binder: ast.ImportFrom, package: str, wanted: tuple[str, str], mask: int) -> Trouble:
    module, name = wanted
    place = Place(None, binder, "body", [binder], 0)
    reference = Reference("from", (), (*module.split("."), name), binder, place, module)
    return Trouble(reference, package, "CPT001", mask, Outcome("name", module, name, MISSING))
