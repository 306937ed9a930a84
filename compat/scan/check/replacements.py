"""From what is wrong to why, and to what to write instead, run of releases by run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from compat.index.query.single_release import stretches
from compat.index.reader import Index
from compat.model.symbols import split_location
from compat.resolve.search import Found, Replacement, find_location
from compat.scan.check.reference_checker import Trouble
from compat.scan.findings import Run, Successor
from compat.scan.releases.index_lookup import Lookup

if TYPE_CHECKING:  # a scan needs no more of it than its names
    from compat.model.diagnosis import Cause

_CERTAIN = 0.5
"""Confidence below which a successor is not told."""
_FOLLOWED = ("moved ", "renamed ")
"""How the evidence begins where the very definition was followed from release to release."""


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
        resolvers = [lookup.resolver(place) for place in places]
        for at, found in stretches(
            lookup.index,
            package,
            resolvers,
            lambda resolver: find_location(resolver, package, self.module, self.name),
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
        if not self.name and (new.name or not self._alike(place, new.module)):
            return None  # a module of the same name is not yet the same module
        new = self._at_home(place, new)
        before = self._signature(place)
        now = self.lookup.resolver(place).answer(new.module, new.name).signature
        followed = new.evidence.startswith(_FOLLOWED) or not self.name
        return Successor(
            new.module,
            new.name,
            new.confidence,
            new.evidence,
            same_call=before is None or now is None or before == now,
            certain=followed or (now is not None and before == now),
        )

    def _at_home(self, place: int, new: Replacement) -> Replacement:
        """Return where what some module only has from another one is at home, under whatever name."""
        answer = self.lookup.resolver(place).answer(new.module, new.name)
        origin = answer.origin if answer.status == "reexported" and new.name else None
        if origin is None or new.evidence.startswith(_FOLLOWED):
            return new
        if self.lookup.span.package not in self.lookup.index.owners.get(origin.partition(".")[0], ()):
            return new
        module, name = split_location(origin)
        if not name:
            module, _, name = module.rpartition(".")
        if (module, name) == (new.module, new.name) or not module:
            return new
        evidence = f"{new.module} has it from there as {new.name}"
        return new._replace(module=module, name=name, evidence=evidence)

    def _signature(self, place: int) -> str | None:
        """Return how the nearest release that has it calls what was asked for."""
        index, package = self.lookup.index, self.lookup.span.package
        for at in self._near(place):
            branches = index.branches(self.module, self.name, package, at)
            if branches:
                version = self.lookup.index.versions(package)[at]
                known = self.lookup.span.versions
                resolver = self.lookup.resolver(known.index(version)) if version in known else None
                return (
                    resolver.answer(self.module, self.name).signature if resolver else branches[-1].signature
                )
        return None

    def _alike(self, place: int, module: str) -> bool:
        """Return whether a module has at least half of the public names that the other one had."""
        index, package = self.lookup.index, self.lookup.span.package
        here = self.lookup.span.positions[place]
        for at in self._near(place):
            names = {
                name for name in index.names(self.module, package, at) if not name.startswith("_") and name
            }
            if names:
                return 2 * len(names & index.names(module, package, here).keys()) >= len(names)
        return False

    def _near(self, place: int) -> list[int]:
        """Return the positions of all releases, the nearest first."""
        here = self.lookup.span.positions[place]
        count = len(self.lookup.index.versions(self.lookup.span.package))
        return sorted(range(count), key=lambda at: (abs(at - here), at))

    def _cause(self, place: int, successor: Successor | None) -> "Cause":
        if self.trouble.rule == "CPT002":
            return "placeholder"
        if self.trouble.rule == "CPT003":
            return "package_missing"
        if successor is None:
            return self._gone(place)
        if not self.name:
            return "module_moved"
        return "symbol_moved" if successor.name == self.name else "symbol_renamed"

    def _gone(self, place: int) -> "Cause":
        """Return whether what has no successor was there before, is there later, or has never been."""
        here = self.lookup.span.positions[place]
        if any(map(self._there, range(here))):
            return "symbol_removed" if self.name else "module_removed"
        count = len(self.lookup.index.versions(self.lookup.span.package))
        return "not_yet_added" if any(map(self._there, range(here + 1, count))) else "unknown"

    def _there(self, at: int) -> bool:
        index, package = self.lookup.index, self.lookup.span.package
        if self.name:
            return bool(index.branches(self.module, self.name, package, at))
        return index.module(self.module, package, at) is not None


def _key(run: Run) -> tuple[object, ...]:
    new = run.replacement
    return run.cause, run.reason if new is None else (new.module, new.name, new.same_call)


def _is_module(index: Index, package: str, module: str) -> bool:
    if package not in index.owners.get(module.partition(".")[0], ()):
        return False
    return any(index.module(module, package, at) for at in range(len(index.versions(package))))
