"""Check the calls and the subclasses of one file against all selected releases."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache

from compat.callables.parameters import Arguments
from compat.scan.calls.call_checker import CallChecker
from compat.scan.calls.override_checker import OverrideChecker
from compat.scan.calls.ranged_issue import RangedIssue
from compat.scan.check.reference_checker import ReferenceChecker
from compat.scan.check.scanned_tree import ScannedFile, ScannedTree

CALLS = "CPT005"
OVERRIDES = "CPT006"


class FileCalls:
    """Checks files; without the data file of the outlines, it finds nothing.

    Args:
        scanned: the files of the scan.
        checkers: what knows the selected releases, by package.
        rules: the rules to check: CPT005, CPT006, both or none.
    """

    def __init__(
        self, scanned: ScannedTree, checkers: Mapping[str, ReferenceChecker], *, rules: Iterable[str]
    ) -> None:
        self._scanned = scanned
        self._checkers = checkers
        self._rules = frozenset(rules)
        self.fits = lru_cache(maxsize=None)(self._fits)

    def issues(self, file: ScannedFile) -> Iterator[RangedIssue]:
        """Yield the calls and subclasses of a file that do not fit some of the releases."""
        if not self._packages or not file.imports_packages:
            return
        for calls, overrides in self._packages:
            if CALLS in self._rules:
                yield from calls.issues(file.source, file.module, file.call_sites)
            if OVERRIDES in self._rules:
                yield from overrides.issues(file.module, file.subclasses, file.call_sites)

    def _fits(self, path: str, positional: int) -> bool:
        """Return whether a call with some positional arguments fits all releases, as far as that is known."""
        arguments = Arguments(positional=positional, keywords=())
        return all(calls.fits(path, arguments) for calls, _ in self._packages)

    @cached_property
    def _packages(self) -> list[tuple[CallChecker, OverrideChecker]]:
        """What checks each package that the outlines have; empty if neither rule is wanted."""
        if not self._rules & {CALLS, OVERRIDES}:
            return []
        scanned, found = self._scanned, []
        for package, checker in self._checkers.items():
            callees = scanned.callees(package, checker.lookup.release_set.release_indexes)
            if callees is not None:
                calls = CallChecker(callees, checker, scanned.classes, scanned.patched_callees)
                overrides = OverrideChecker(callees, checker, scanned.classes, scanned.store, scanned.files)
                found.append((calls, overrides))
        return found
