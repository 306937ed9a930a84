"""Compute what follows from the rows of each release alone, once, when the index is built.

Whether a module can be imported depends on all modules that it needs, and following them through a release is
too slow for a query.
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
from compat.index.query.answers import Answer, Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import pinned
from compat.index.reader import Index
from compat.model.release_ranges import ranges_of

SMALL = 8
"""Up to this many tasks, starting processes takes longer than it saves."""


class Task(NamedTuple):
    """The releases of a package that one process handles."""

    path: str
    package: str
    release_indexes: range


class Conclusions(NamedTuple):
    """The results for some releases of a package; each entry ends with the index of its release."""

    problems: list[tuple[str, str, int]]
    """The modules that cannot be imported, with the reason."""
    pair_dependent: list[tuple[str, str, int]]
    """Modules with the imported names that depend on packages which the release does not pin."""


def conclude(path: Path) -> None:
    """Fill the tables of an index that are computed from its rows."""
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
        database.execute("PRAGMA journal_mode = OFF")  # after a failure the whole file is deleted
        database.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", problems)
        database.executemany("INSERT INTO pair_dependent VALUES (?, ?, ?, ?, ?)", pair_dependent)
        database.executemany("INSERT INTO companions VALUES (?, ?, ?, ?)", companions)
        fill_requirements(database, index)


def _shares(count: int) -> list[range]:
    """Return the release indexes in consecutive shares, since neighbours have most rows in common."""
    size = max(1, -(-count // (2 * COUNT)))
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _conclusions(task: Task) -> Conclusions:
    return conclusions(_open(task.path), task.package, task.release_indexes)


def conclusions(index: Index, package: str, release_indexes: Iterable[int]) -> Conclusions:
    """Return what follows from the rows of some releases of a package."""
    found = Conclusions([], [])
    for release_index in release_indexes:
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
    """Finds the imports that depend on indexed packages without a release in the environment.

    Whether other modules can be imported is decided without those packages: `NameResolver` looks at
    each of them separately.
    """

    def __init__(self, alone: NameResolver) -> None:
        super().__init__(alone.index, alone.environment)
        self._alone = alone
        self._asked = False
        """Whether the current answer depends on such packages."""
        self._asking: dict[object, bool] = {}
        """The same for each cached answer."""

    def names_that_depend(self, module: str) -> Iterator[str]:
        """Yield the imported names that depend on such packages; empty for an import that binds none."""
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
            # In a circle, the dependencies of the target are not known yet.
            self._asked |= self._asking.get(target, True)
            return self._present[target]
        before, self._asked = self._asked, False
        found = super().present(target)
        self._asking[target] = self._asked
        self._asked |= before
        return found

    def _answer(self, module: str, name: str) -> Answer:
        key = module, name
        if key in self._answers:
            self._asked |= self._asking[key]
            return super()._answer(module, name)
        before, self._asked = self._asked, False
        found = super()._answer(module, name)
        if key in self._answers:
            self._asking[key] = self._asked
        self._asked |= before
        return found


def _ranges(found: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, str, int, int]]:
    """Yield the entries in order, with the first and last index of each release range."""
    for (module, what), same in groupby(sorted(found), key=lambda each: each[:2]):
        for releases in ranges_of(release_index for *_, release_index in same):
            yield module, what, *releases


@lru_cache(maxsize=1)
def _open(path: str) -> Index:
    return Index(Path(path))
