"""What follows from the rows of each release by itself, found once when the index is built.

Whether a module can be imported depends on all that it needs, which takes a walk through much of the release:
too slow to be done for every answer.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from compat.index.build.parse_pool import COUNT, processes
from compat.index.build.requirement_tables import fill_requirements
from compat.index.query.name_resolution import Answer, Facts, NameResolver
from compat.index.query.single_release import pinned
from compat.index.reader import Index
from compat.model.release_ranges import ranges_of

SMALL = 8
"""Shares up to which it is not worth it to start them."""


class Task(NamedTuple):
    """Releases of a package that one process concludes about."""

    path: str
    package: str
    release_indexes: range


class Conclusions(NamedTuple):
    """What was found in some releases of a package; the last of each entry is the index of its release."""

    problems: list[tuple[str, str, int]]
    """Modules that cannot be imported, and why."""
    pair_dependent: list[tuple[str, str, int]]
    """Modules with names that they import, where that depends on packages which the release does not pin."""


def conclude(path: Path) -> None:
    """Fill the tables of what a written index implies; the same rows give the same conclusions."""
    index = Index(path)
    tasks = [
        Task(str(path), package, releases)
        for package in sorted(index.packages)
        for releases in _shares(len(index.versions(package)))
    ]
    if len(tasks) <= SMALL:
        found = list(map(_conclusions, tasks))
    else:
        with processes() as pool:
            found = list(pool.map(_conclusions, tasks))
    problems, pair_dependent, companions = [], [], []
    for package, number in index.packages.items():
        mine = [each for task, each in zip(tasks, found, strict=True) if task.package == package]
        problems += [
            (number, index.number("modules", module), first, last, reason)
            for module, reason, first, last in _ranges(row for each in mine for row in each.problems)
        ]
        pair_dependent += [
            (number, index.number("modules", module), index.number("names", name), first, last)
            for module, name, first, last in _ranges(row for each in mine for row in each.pair_dependent)
        ]
        for release_index in range(len(index.versions(package))):
            pins = pinned(index, package, release_index)
            companion = next(((index.packages[name], at) for name, at in pins.items()), (None, None))
            companions.append((number, release_index, *companion))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = OFF")  # a failure drops the whole file
        database.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", problems)
        database.executemany("INSERT INTO pair_dependent VALUES (?, ?, ?, ?, ?)", pair_dependent)
        database.executemany("INSERT INTO companions VALUES (?, ?, ?, ?)", companions)
        fill_requirements(database, index)


def _shares(count: int) -> list[range]:
    """Return the release indexes in shares of some size: neighbours have most of their rows in common."""
    size = max(1, -(-count // (2 * COUNT)))
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _conclusions(task: Task) -> Conclusions:
    index, package = _open(task.path), task.package
    found = Conclusions([], [])
    for release_index in task.release_indexes:
        facts = Facts(release_indexes={package: release_index, **pinned(index, package, release_index)})
        alone = NameResolver(index, facts)
        tracing = _TracingResolver(alone)
        for module in index.modules(package, release_index):
            reason = alone.problem(module)
            if reason:
                found.problems.append((module, reason, release_index))
            names = tracing.names_that_depend(module)
            found.pair_dependent.extend((module, name, release_index) for name in names)
    return found


class _TracingResolver(NameResolver):
    """Finds the imports that depend on packages which are indexed and not among the releases.

    Whether other modules can be imported is taken as it is without those packages: `NameResolver` looks at
    each of them by itself.
    """

    def __init__(self, alone: NameResolver) -> None:
        super().__init__(alone.index, alone.environment)
        self._alone = alone
        self._asked = False
        """Whether what is being found depends on them."""
        self._asking: dict[object, bool] = {}
        """The same of what has been found and is remembered."""

    def names_that_depend(self, module: str) -> Iterator[str]:
        """Yield the names that a module imports where that does; empty for imports that bind nothing."""
        package = self.owner(module)
        assert package is not None  # noqa: S101 -- it has the module
        imports = self.index.imports(module, package, self.environment.release_indexes[package])
        for name, branches in groupby(imports, key=lambda each: each[0]):
            self._asked = False
            for _, branch in branches:
                self._need(module, branch)
            if self._asked:
                yield name

    def owner(self, module: str) -> str | None:
        package = super().owner(module)
        self._asked |= package is None and module.partition(".")[0] in self.index.owners
        return package

    def problem(self, module: str) -> str | None:
        return self._alone.problem(module)

    def present(self, target: str) -> bool | None:
        if target in self._present:
            # In a circle it is not known yet what the target depends on.
            self._asked |= self._asking.get(target, True)
            return self._present[target]
        before, self._asked = self._asked, False
        found = super().present(target)
        self._asking[target] = self._asked
        self._asked |= before
        return found

    def _answer(self, module: str, name: str, seen: frozenset[tuple[str, str]]) -> Answer:
        key = module, name
        if key in self._answers:
            self._asked |= self._asking[key]
            return super()._answer(module, name, seen)
        before, self._asked = self._asked, False
        found = super()._answer(module, name, seen)
        if key in self._answers:
            self._asking[key] = self._asked
        self._asked |= before
        return found


def _ranges(found: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, str, int, int]]:
    """Yield the same entries, in order, with the first and last release of each range of releases."""
    for (module, what), same in groupby(sorted(found), key=lambda each: each[:2]):
        for releases in ranges_of(release_index for *_, release_index in same):
            yield module, what, *releases


@lru_cache(maxsize=1)
def _open(path: str) -> Index:
    return Index(Path(path))
