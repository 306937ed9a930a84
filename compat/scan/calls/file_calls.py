"""Check the calls and the subclasses of one file against all selected releases."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache

from compat.callables.parameters import Arguments
from compat.errors import IntegrityError
from compat.index.reader import Index
from compat.scan.calls.call_checker import CallChecker
from compat.scan.calls.call_sites import call_sites
from compat.scan.calls.callees import Callees
from compat.scan.calls.override_checker import OverrideChecker
from compat.scan.calls.patched_callees import PatchedCallees
from compat.scan.calls.ranged_issue import RangedIssue
from compat.scan.calls.tree_classes import TreeClasses
from compat.scan.check.reference_checker import ReferenceChecker
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.sources.discovery import Files
from compat.scan.sources.source_file import Source
from compat.scan.syntax.aliases import Aliases
from compat.sources.extended_outlines import open_outlines

CALLS = "CPT005"
OVERRIDES = "CPT006"


class FileCalls:
    """Checks files; without the data file of the outlines, it finds nothing.

    Args:
        index: the index of releases.
        tree: the modules of the scanned tree.
        checkers: what knows the selected releases, by package.
        store: reads files.
        files: all files of the scan.
        rules: the rules to check: CPT005, CPT006, both or none.
    """

    def __init__(
        self,
        index: Index,
        tree: Tree,
        checkers: Mapping[str, ReferenceChecker],
        store: Files,
        files: Sequence[str],
        *,
        rules: Iterable[str],
    ) -> None:
        self._index = index
        self._tree = tree
        self._checkers = checkers
        self._store = store
        self._files = files
        self._rules = frozenset(rules)
        self.fits = lru_cache(maxsize=None)(self._fits)

    def issues(self, source: Source, module: Module, aliases: Aliases) -> Iterator[RangedIssue]:
        """Yield the calls and subclasses of a file that do not fit some of the releases."""
        if not self._packages:
            return
        sites = list(call_sites(source, aliases))
        for calls, overrides in self._packages:
            if CALLS in self._rules:
                yield from calls.issues(source, module, sites)
            if OVERRIDES in self._rules:
                yield from overrides.issues(source, module, sites)

    def _fits(self, path: str, positional: int) -> bool:
        """Return whether a call with some positional arguments fits all releases, as far as that is known."""
        arguments = Arguments(positional=positional, keywords=())
        return all(calls.fits(path, arguments) for calls, _ in self._packages)

    @cached_property
    def _packages(self) -> list[tuple[CallChecker, OverrideChecker]]:
        """What checks each package that the outlines have; empty if neither rule is wanted."""
        if not self._rules & {CALLS, OVERRIDES}:
            return []
        try:
            outlines = open_outlines(self._index)
        except IntegrityError:
            return []
        classes = TreeClasses(self._tree)
        patched = PatchedCallees(self._store, self._files)
        found = []
        for package, checker in self._checkers.items():
            if package in outlines.packages:
                callees = Callees(self._index, outlines, package, checker.lookup.release_set.release_indexes)
                overrides = OverrideChecker(callees, checker, classes, self._store, self._files)
                found.append((CallChecker(callees, checker, classes, patched), overrides))
        return found
