"""Check the calls and the subclasses of one file against all selected releases."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from compat.errors import IntegrityError
from compat.index.reader import Index
from compat.scan.calls.call_checker import CallChecker, RangedIssue
from compat.scan.calls.callees import Callees
from compat.scan.calls.tree_classes import TreeClasses
from compat.scan.check.reference_checker import ReferenceChecker
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.sources.source_file import Source
from compat.scan.syntax.aliases import Aliases
from compat.source_outlines.reader import SourceOutlines


class FileCalls:
    """Checks files; without the data file of the outlines, it finds nothing.

    Args:
        index: the index of releases.
        tree: the modules of the scanned tree.
        checkers: what knows the selected releases, by package.
    """

    def __init__(self, index: Index, tree: Tree, checkers: Mapping[str, ReferenceChecker]) -> None:
        self._index = index
        self._tree = tree
        self._checkers = checkers

    def issues(self, source: Source, module: Module, aliases: Aliases) -> Iterator[RangedIssue]:
        """Yield the calls and subclasses of a file that do not fit some of the releases."""
        for each in self._calls:
            yield from each.issues(source, module, aliases)

    @cached_property
    def _calls(self) -> list[CallChecker]:
        try:
            outlines = SourceOutlines()
        except IntegrityError:
            return []
        classes = TreeClasses(self._tree)
        return [
            CallChecker(Callees(self._index, outlines, package), checker, classes)
            for package, checker in self._checkers.items()
            if package in outlines.packages
        ]
