"""Find the names that a module of the tree binds only in some releases, and why not in the others."""

import ast
import os
from collections.abc import Mapping
from typing import NamedTuple

from compat.index.query.answers import MISSING
from compat.scan.check.reference_checker import Issue, ReferenceChecker
from compat.scan.check.replacements import broken_ranges
from compat.scan.findings import BrokenRange
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.project.module_names import absolute
from compat.scan.releases.index_lookup import LookupOutcome, ranges
from compat.scan.syntax.positions import NodePosition, within
from compat.scan.syntax.references import Reference

_DEEPEST = 5
"""Greatest length of a chain of `from … import *` that is followed."""


class UnboundName(NamedTuple):
    """A name that a module leaves unbound in some releases."""

    module: Module
    name: str
    package: str
    mask: int
    """The set of releases, in the form that `compat.scan.releases.index_lookup` describes."""


class UnboundNames:
    """Finds the names that the top level of modules leaves unbound.

    Args:
        tree: the modules of the scanned tree.
        checkers: the reference checkers, by package.
        broken: file and package to the set of releases in which the file itself cannot be imported.
    """

    def __init__(
        self, tree: Tree, checkers: Mapping[str, ReferenceChecker], broken: Mapping[tuple[str, str], int]
    ) -> None:
        self._tree = tree
        self._checkers = checkers
        self._broken = broken

    def names(self, module: Module, depth: int = 0) -> set[str]:
        """Return the names that a module may leave unbound in any release, judged by its syntax."""
        names = set(module.maybe_unbound)
        for star in module.stars if depth < _DEEPEST else ():
            inner = self._tree.imported(module.path, absolute(star, module.name))
            if inner is not None:
                names |= {
                    name
                    for name in self.names(inner, depth + 1)
                    if name[0] != "_" and not module.binders(name)
                }
        return names

    def of(self, module: Module, name: str) -> list[UnboundName]:
        """Return, per package, the releases in which a module can be imported but does not bind a name."""
        found = []
        for package, checker in self._checkers.items():
            mask = checker.unbound(module, name) & ~self._broken.get((module.path, package), 0)
            if mask:
                found.append(UnboundName(module, name, package, mask))
        return found

    def broken_ranges(self, unbound: UnboundName, mask: int) -> tuple[BrokenRange, ...]:
        """Return the release ranges in which a name is unbound, each with its cause."""
        module, binder = self._binder(unbound.module, unbound.name)
        lookup = self._checkers[unbound.package].lookup
        line = getattr(binder, "lineno", 1)
        where = f"{os.path.basename(module.path)}:{line}"  # noqa: PTH119 -- pathlib costs more
        found: list[tuple[int, BrokenRange]] = []
        missing = 0
        if isinstance(binder, ast.ImportFrom):
            origin = absolute(binder, module.name)
            name = next((each.name for each in binder.names if _binds(each) == unbound.name), "")
            if origin.partition(".")[0] in lookup.index.owners and name:
                outcomes = lookup.imported(origin, name)
                missing = sum(bits for bits, outcome in outcomes if outcome.failing) & mask
                if missing:
                    issue = _issue(binder, unbound.package, (origin, name), missing)
                    found += [
                        (
                            lookup.release_set.versions.index(release_range.first),
                            _because(release_range, where),
                        )
                        for release_range in broken_ranges(lookup, issue)
                    ]
        for first, last in ranges(mask & ~missing):
            versions = lookup.release_set.versions
            reason = f"{where} binds it only in other releases"
            found.append((first, BrokenRange(versions[first], versions[last], "unknown", reason, None)))
        return tuple(release_range for _, release_range in sorted(found, key=lambda each: each[0]))

    def _binder(self, module: Module, name: str) -> tuple[Module, ast.AST]:
        """Return the statement that binds a name, and the module that contains it."""
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


def _because(release_range: BrokenRange, where: str) -> BrokenRange:
    """Return a range for the importing file: its successor belongs into the file that binds the name."""
    new = f", which is now {release_range.successor.statement}" if release_range.successor else ""
    return release_range._replace(
        reason=f"{where} leaves it unbound: {release_range.reason}{new}", successor=None
    )


def _issue(binder: ast.ImportFrom, package: str, wanted: tuple[str, str], mask: int) -> Issue:
    module, name = wanted
    position = NodePosition(None, binder, "body", [binder], 0)
    reference = Reference("from", (), (*module.split("."), name), binder, position, module)
    return Issue(reference, package, "CPT001", mask, LookupOutcome("name", module, name, MISSING))
