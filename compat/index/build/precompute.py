"""What follows from the rows of each release by itself, found once when the index is built.

Whether a module can be imported depends on all that it needs, which takes a walk through much of the release:
too slow to be done for every answer.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from compat.index.build.parse_pool import COUNT, processes
from compat.index.query.name_resolution import Facts, NameResolver
from compat.index.query.single_release import pinned
from compat.index.reader import Index

SMALL = 8
"""Shares up to which it is not worth it to start them."""


def conclude(path: Path) -> None:
    """Fill the tables of what a written index implies; the same rows give the same conclusions."""
    index = Index(path)
    tasks = [
        (str(path), package, release_indexes)
        for package in sorted(index.packages)
        for release_indexes in _shares(len(index.versions(package)))
    ]
    if len(tasks) <= SMALL:
        found = [row for task in tasks for row in _problems(task)]
    else:
        with processes() as pool:
            found = [row for rows in pool.map(_problems, tasks) for row in rows]
    problems = sorted(
        (index.number("modules", module) or 0, index.packages[package], first, last, reason)
        for package, module, first, last, reason in _merged(found)
    )
    companions = [
        (number, release_index, None if name is None else index.packages[name], place)
        for package, number in index.packages.items()
        for release_index in range(len(index.versions(package)))
        for name, place in pinned(index, package, release_index).items() or [(None, None)]
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = OFF")  # a failure drops the whole file
        database.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", problems)
        database.executemany("INSERT INTO companions VALUES (?, ?, ?, ?)", companions)


def _shares(count: int) -> list[range]:
    """Return the positions in shares of some size: neighbours have most of their rows in common."""
    size = max(1, -(-count // (2 * COUNT)))
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


Problem = tuple[str, str, int, str]
"""Package, module, position, reason."""


def _problems(task: tuple[str, str, range]) -> list[Problem]:
    path, package, release_indexes = task
    index = _open(path)
    found: list[Problem] = []
    for release_index in release_indexes:
        resolver = NameResolver(
            index, Facts(release_indexes={package: release_index, **pinned(index, package, release_index)})
        )
        reasons = ((module, resolver.problem(module)) for module in index.modules(package, release_index))
        found.extend((package, module, release_index, reason) for module, reason in reasons if reason)
    return found


def _merged(found: list[Problem]) -> Iterator[tuple[str, str, int, int, str]]:
    """Yield runs of releases with the same problem."""
    for (package, module, reason), same in groupby(
        sorted((package, module, reason, release_index) for package, module, release_index, reason in found),
        key=lambda row: row[:3],
    ):
        for _, run in groupby(enumerate(row[3] for row in same), key=lambda item: item[1] - item[0]):
            release_indexes = [release_index for _, release_index in run]
            yield package, module, release_indexes[0], release_indexes[-1], reason


@lru_cache(maxsize=1)
def _open(path: str) -> Index:
    return Index(Path(path))
