"""From what is wrong to why, and to what to write instead, run of releases by run."""

from collections.abc import Iterator
from typing import NamedTuple

from compat.diagnoses import Cause
from compat.index.alone import stretches
from compat.index.reader import Index
from compat.resolve.search import Found, find_location
from compat.scan.findings import Run, Successor
from compat.scan.judge import Trouble
from compat.scan.lookup import Lookup

_CERTAIN = 0.5
"""Confidence below which a successor is not told."""


def runs(lookup: Lookup, trouble: Trouble) -> tuple[Run, ...]:
    """Return the runs of releases in which a reference is in trouble, each with its cause and replacement."""
    if trouble.rule == "CPT004":
        return ()
    return tuple(_Case(lookup, trouble, *wanted(lookup, trouble)).runs())


def wanted(lookup: Lookup, trouble: Trouble) -> tuple[str, str]:
    """Return module and name of what a reference asks for, as it was in a release that had it."""
    reference = trouble.reference
    index, package = lookup.index, lookup.span.package
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


class _Case(NamedTuple):
    """What a reference asks for, and the releases that do not have it."""

    lookup: Lookup
    trouble: Trouble
    module: str
    name: str

    def runs(self) -> Iterator[Run]:
        """Yield the runs: releases that follow one another and have the same answer are one."""
        opened: tuple[int, Run] | None = None
        for place, found in self._found():
            run = self._run(place, found)
            if opened and opened[0] == place - 1 and _key(opened[1]) == _key(run):
                run = opened[1]._replace(last=run.last)
            elif opened:
                yield opened[1]
            opened = (place, run)
        if opened:
            yield opened[1]

    def _found(self) -> Iterator[tuple[int, Found | None]]:
        lookup, package = self.lookup, self.lookup.span.package
        places = [place for place in range(len(lookup.span.positions)) if self.trouble.mask >> place & 1]
        if package not in lookup.index.owners.get(self.module.partition(".")[0], ()):
            yield from ((place, None) for place in places)  # kernels: their history is another package's
            return
        worlds = [lookup.world(place) for place in places]
        for at, found in stretches(
            lookup.index,
            package,
            worlds,
            lambda world: find_location(world, package, self.module, self.name),
        ):
            yield places[at], found

    def _run(self, place: int, found: Found | None) -> Run:
        version = self.lookup.span.versions[place]
        successor = self._successor(place, found)
        told = found.place.answer.reason if found and found.place else None
        what = f"{self.module}:{self.name}" if self.name else self.module
        reason = told or self.trouble.outcome.answer.reason or f"{what} is not there"
        return Run(version, version, self._cause(place, successor), reason, successor)

    def _successor(self, place: int, found: Found | None) -> Successor | None:
        new = found.replacement if found else None
        if new is None or new.confidence < _CERTAIN:
            return None
        same = self._same_call(place, new.module, new.name)
        return Successor(new.module, new.name, new.confidence, new.evidence, same)

    def _same_call(self, place: int, module: str, name: str) -> bool:
        """Return whether what takes the place is called as the nearest release calls what was asked for."""
        index, span = self.lookup.index, self.lookup.span
        now = self.lookup.world(place).answer(module, name).signature
        here = span.positions[place]
        count = len(index.versions(span.package))
        for at in sorted(range(count), key=lambda at: (abs(at - here), at)):
            branches = index.branches(self.module, self.name, span.package, at)
            if branches:
                return now is None or branches[-1].signature in (None, now)
        return True

    def _cause(self, place: int, successor: Successor | None) -> Cause:
        if self.trouble.rule == "CPT002":
            return "placeholder"
        if self.trouble.rule == "CPT003":
            return "package_missing"
        if successor is None:
            return self._gone(place)
        if not self.name:
            return "module_moved"
        return "symbol_moved" if successor.name == self.name else "symbol_renamed"

    def _gone(self, place: int) -> Cause:
        """Return whether what has no successor was there before, or has never been."""
        index, package = self.lookup.index, self.lookup.span.package
        for at in range(self.lookup.span.positions[place]):
            if self.name and index.branches(self.module, self.name, package, at):
                return "symbol_removed"
            if not self.name and index.module(self.module, package, at):
                return "module_removed"
        return "not_yet_added"


def _key(run: Run) -> tuple[object, ...]:
    new = run.replacement
    return run.cause, run.reason if new is None else (new.module, new.name, new.same_call)


def _is_module(index: Index, package: str, module: str) -> bool:
    if package not in index.owners.get(module.partition(".")[0], ()):
        return False
    return any(index.module(module, package, at) for at in range(len(index.versions(package))))
