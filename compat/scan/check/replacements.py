"""Find, per range of releases, the cause of an issue and the successor of what is missing."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from compat.index.query.answers import Answer
from compat.index.query.single_release import ask_each
from compat.index.reader import Index
from compat.index.records import Successor
from compat.model.guards import waits_for_call
from compat.model.symbols import split_location
from compat.resolve.search import Found, find_location
from compat.scan.check.reference_checker import Issue, ReferenceChecker, Rule
from compat.scan.findings import BrokenRange
from compat.scan.releases.index_lookup import Lookup, ranges
from compat.scan.syntax.references import Reference

if TYPE_CHECKING:  # a scan needs no more of it than its names
    from compat.model.diagnosis import Cause

_REPORTED = 0.5
"""Confidence below which a successor is not reported."""


def broken_ranges(lookup: Lookup, issue: Issue) -> tuple[BrokenRange, ...]:
    """Return the ranges of releases in which a reference has an issue, with its cause and successor."""
    if issue.rule == "CPT004":
        return ()
    return _ranges(
        _IssueCause(lookup, issue.rule, issue.mask, issue.outcome.answer, *wanted(lookup, issue.reference))
    )


def lost_classes(lookup: Lookup, issue: Issue, broken: Iterable[BrokenRange]) -> int:
    """Return the releases in which an issue's successor is a function that replaces a class."""
    versions = lookup.release_set.versions
    found = 0
    for each in broken:
        if issue.rule == "CPT001" and each.successor is not None and each.successor.became_function:
            for slot in range(versions.index(each.first), versions.index(each.last) + 1):
                found |= issue.mask & 1 << slot
    return found


def class_ranges(checker: ReferenceChecker, issue: Issue) -> tuple[BrokenRange, ...]:
    """Return the ranges of releases in which what a file uses as a class is a function."""
    (module,), (name,) = issue.reference.bases, issue.reference.parts
    versions = checker.lookup.release_set.versions
    last = checker.kind_changes.last_class(module, name)
    reason = f"{name} is a class up to {last}, and a function has taken its place"
    return tuple(
        BrokenRange(versions[first], versions[end], "symbol_removed", reason, None)
        for first, end in ranges(issue.mask)
    )


def wanted(lookup: Lookup, reference: Reference) -> tuple[str, str]:
    """Return the module and the name that a reference refers to, as in a release that had them."""
    index, package = lookup.index, lookup.release_set.package
    if reference.form in ("import", "star", "import_module"):
        return reference.module, ""
    if reference.form == "from":
        path = f"{reference.module}.{reference.parts[-1]}"
        return (path, "") if _is_module(index, package, path) else (reference.module, reference.parts[-1])
    parts = [*(reference.bases[0].split(".") if reference.bases else ()), *reference.parts]
    for cut in range(len(parts), 0, -1):
        module = ".".join(parts[:cut])
        if _is_module(index, package, module):
            return module, parts[cut] if cut < len(parts) else ""
    return parts[0], ".".join(parts[1:2])


class _IssueCause(NamedTuple):
    """The module and name that references refer to, and the releases that lack it."""

    lookup: Lookup
    rule: Rule
    mask: int
    answer: Answer
    """The answer in the first of these releases."""
    module: str
    name: str

    def broken_ranges(self) -> Iterator[BrokenRange]:
        """Yield the ranges: consecutive releases with the same cause and successor form one."""
        opened: tuple[int, BrokenRange] | None = None
        for slot, found in self._found():
            release_range = self._range(slot, found)
            if opened and opened[0] == slot - 1 and _key(opened[1]) == _key(release_range):
                release_range = opened[1]._replace(last=release_range.last)
            elif opened:
                yield opened[1]
            opened = (slot, release_range)
        if opened:
            yield opened[1]

    def _found(self) -> Iterator[tuple[int, Found | None]]:
        lookup, package = self.lookup, self.lookup.release_set.package
        slots = [slot for slot in range(len(lookup.release_set.release_indexes)) if self.mask >> slot & 1]
        # Kernels have their history in another package; a module that no release has has none.
        owned = package in lookup.index.owners.get(self.module.partition(".")[0], ())
        if not owned or not (self.name or self._module_ever()):
            yield from ((slot, None) for slot in slots)
            return
        environments = [lookup.resolver(slot).environment for slot in slots]
        for same, found in ask_each(
            lookup.index,
            package,
            environments,
            lambda resolver: find_location(resolver, package, self.module, self.name),
        ):
            yield from ((slots[at], found) for at in same)

    def _range(self, slot: int, found: Found | None) -> BrokenRange:
        version = self.lookup.release_set.versions[slot]
        successor = self._successor(slot, found)
        told = found.binding.answer.reason if found and found.binding else None
        what = f"{self.module}:{self.name}" if self.name else self.module
        state = "is a stub" if self.rule == "CPT002" else "does not exist"
        answer = self.answer
        told = told or (f"bound only {answer.guard}" if waits_for_call(answer.guard) else None)
        reason = told or answer.reason or f"{what} {state}"
        return BrokenRange(version, version, self._cause(slot, successor), reason, successor)

    def _successor(self, slot: int, found: Found | None) -> Successor | None:
        new = found.successor if found else None
        if new is None or new.confidence < _REPORTED:
            return None
        if not self.name and (new.name or not self._alike(slot, new.module)):
            return None  # a module of the same name need not be the same module
        return self._at_home(slot, new)

    def _at_home(self, slot: int, new: Successor) -> Successor:
        """Return where what some module only has from another one is at home, under whatever name."""
        answer = self.lookup.resolver(slot).answer(new.module, new.name)
        origin = answer.origin if answer.status == "reexported" and new.name else None
        if origin is None or new.old_module:  # followed from release to release
            return new
        if self.lookup.release_set.package not in self.lookup.index.owners.get(origin.partition(".")[0], ()):
            return new
        module, name = split_location(origin)
        if not name:
            module, _, name = module.rpartition(".")
        if (module, name) == (new.module, new.name) or not module:
            return new
        evidence = f"{new.module} has it from there as {new.name}"
        return new._replace(module=module, name=name, evidence=evidence)

    def _alike(self, slot: int, module: str) -> bool:
        """Return whether a module has at least half of the public names that the missing module had."""
        index, package = self.lookup.index, self.lookup.release_set.package
        here = self.lookup.release_set.release_indexes[slot]
        for at in self._near(slot):
            names = {
                name for name in index.names(self.module, package, at) if not name.startswith("_") and name
            }
            if names:
                return 2 * len(names & index.names(module, package, here).keys()) >= len(names)
        return False

    def _near(self, slot: int) -> list[int]:
        """Return the release indexes of the package, the nearest first."""
        here = self.lookup.release_set.release_indexes[slot]
        count = len(self.lookup.index.versions(self.lookup.release_set.package))
        return sorted(range(count), key=lambda at: (abs(at - here), at))

    def _cause(self, slot: int, successor: Successor | None) -> "Cause":
        if self.rule == "CPT002":
            return "placeholder"
        if self.rule == "CPT003":
            return "package_missing"
        if successor is None:
            return self._gone(slot)
        if not self.name:
            return "module_moved"
        return "symbol_moved" if successor.name == self.name else "symbol_renamed"

    def _gone(self, slot: int) -> "Cause":
        """Return the cause if there is no successor: removed, not yet added, or unknown."""
        if not self._module_ever():
            return "unknown"
        here = self.lookup.release_set.release_indexes[slot]
        index, package = self.lookup.index, self.lookup.release_set.package
        there = (
            index.bound_ranges(self.module, self.name, package)
            if self.name
            else index.present_ranges(self.module, package)
        )
        if any(first < here for first, _ in there):
            return "symbol_removed" if self.name else "module_removed"
        return "not_yet_added" if any(last > here for _, last in there) else "unknown"

    def _module_ever(self) -> bool:
        """Return whether any release of any package has the module."""
        return self.lookup.index.number("modules", self.module) is not None


@lru_cache(maxsize=10_000)
def _ranges(cause: _IssueCause) -> tuple[BrokenRange, ...]:
    """Return the ranges of a cause, which many files of a tree may have."""
    return tuple(cause.broken_ranges())


def _key(release_range: BrokenRange) -> tuple[object, ...]:
    new = release_range.successor
    return release_range.cause, release_range.reason if new is None else (
        new.module,
        new.name,
        new.safety,
        new.doubt,
    )


def _is_module(index: Index, package: str, module: str) -> bool:
    owned = package in index.owners.get(module.partition(".")[0], ())
    if not owned or index.number("modules", module) is None:
        return False
    return any(index.module(module, package, at) for at in range(len(index.versions(package))))
