"""Answers put into the index when it is built, for `compat.resolve.fast_path`.

The usual question, `resolve NAME` about releases that stand alone, is answered before the code that searches
could be loaded. Most names need no search: they are defined here and there, without conditions. What the
search finds for the others is kept.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from compat.index.build.parse_pool import COUNT, processes
from compat.index.build.precompute import conclude
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone, stretches
from compat.index.reader import Index
from compat.index.writer import NameRange
from compat.model.symbols import KINDS, STATUSES, Status, split_location
from compat.resolve.output import Summary, summary
from compat.resolve.search import Found, find_name

COMMON = 200
"""Rows of a name from which it is no one's symbol (`logger`, `torch`): these are searched when asked for."""
SHARE = 200
"""Names handed to a process at once: enough to outweigh the hand-over."""


class Line(NamedTuple):
    """One answer over an interval of releases, as `as_text` writes it."""

    name: str
    package: str
    first: int
    last: int
    status: Status
    kind: str
    statement: str
    remarks: str


class Task(NamedTuple):
    """A name to search for in some releases of a package."""

    name: str
    package: str
    release_indexes: tuple[int, ...]


Share = tuple[str, Sequence[Task]]
"""The index file, and tasks of it for one process."""


def finish(path: Path) -> None:
    """Add to a written index all that can be computed from it; the same rows give the same additions."""
    conclude(path)
    index = Index(path)
    tasks, common = _tasks(index)
    shares = [(str(path), tasks[first : first + SHARE]) for first in range(0, len(tasks), SHARE)]
    texts: dict[str, int] = {}
    rows = [
        (
            index.number("names", line.name),
            index.packages[line.package],
            line.first,
            line.last,
            STATUSES.index(line.status),
            KINDS.index(line.kind) if line.kind in KINDS else None,
            *(texts.setdefault(text, len(texts) + 1) for text in (line.statement, line.remarks)),
        )
        for line in _searched(shares)
    ]
    left = [(index.number("names", name),) for name in common]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = OFF")  # a failure drops the whole file
        database.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.executemany("INSERT INTO texts VALUES (?, ?)", ((at, text) for text, at in texts.items()))
        database.executemany("INSERT INTO common VALUES (?)", left)


def _tasks(index: Index) -> tuple[list[Task], list[str]]:
    """Return what is to be searched now, and the names that are left to be searched when asked for."""
    tasks: list[Task] = []
    common: set[str] = set()
    for package in index.packages:
        ranges: dict[str, list[NameRange]] = defaultdict(list)
        for entry in index.name_ranges(package):
            ranges[entry.name].append(entry)
        modules = index.modules_ever(package)
        modules_named = {module.rpartition(".")[2] for module in modules}
        followed = {name for each in index.successions(package) for name in (each.name, each.to_name)}
        broken = {module for module in modules if index.ever_broken(module, package)}
        releases = range(len(index.versions(package)))
        for name, found in sorted(ranges.items()):
            if not name or len(found) > COMMON:
                common.add(name)
                continue
            bound = {at for entry in found for at in range(entry.first, entry.last + 1)}
            plain = name not in modules_named and _plain(found, bound, broken, set(index.owners))
            release_indexes = releases if not plain else [at for at in releases if at not in bound]
            if not plain or (release_indexes and name in followed):
                tasks.append(Task(name, package, tuple(release_indexes)))
    return tasks, sorted(common)


def _plain(ranges: Sequence[NameRange], bound: set[int], broken: set[str], tops: set[str]) -> bool:
    """Return whether a definition can be had wherever the name is bound, whatever else there is."""
    defined: set[int] = set()
    for entry in ranges:
        row = entry.branches[0]
        if len(entry.branches) > 1 or row.guard is not None or entry.module in broken:
            return False
        if row.status == "defined":
            defined.update(range(entry.first, entry.last + 1))
        elif row.status != "reexported" or row.target is None:
            return False
        else:
            # Another name for what is defined in this very module would count as a definition.
            module, name = split_location(row.target)
            if module.partition(".")[0] in tops and (module == entry.module or name != entry.name):
                return False
    return defined == bound


def _searched(shares: Sequence[Share]) -> Iterator[Line]:
    if len(shares) < COUNT:
        yield from (line for share in shares for line in _lines(share))
        return
    with processes() as pool:
        yield from (line for lines in pool.map(_lines, shares) for line in lines)


def _lines(share: Share) -> list[Line]:
    path, tasks = share
    index, resolvers = _opened(path)
    return [
        line
        for task in tasks
        for line in _of_task(index, [resolvers[task.package][at] for at in task.release_indexes], task)
    ]


def _of_task(index: Index, resolvers: Sequence[NameResolver], task: Task) -> Iterator[Line]:
    """Yield the answers, from release to release; where there is nothing to be told there is none."""

    def ask(resolver: NameResolver) -> Found:
        return find_name(resolver, task.package, task.name)

    opened: Line | None = None
    known: tuple[Found, Summary] | None = None
    for place, found in stretches(index, task.package, resolvers, ask):
        release_index = task.release_indexes[place]
        if known is None or known[0] is not found:
            known = (found, summary(found))
        if opened is not None and opened[4:] == known[1] and opened.last == release_index - 1:
            opened = opened._replace(last=release_index)
            continue
        if opened is not None:
            yield opened
        told = found.place is not None or found.replacement is not None
        opened = Line(task.name, task.package, release_index, release_index, *known[1]) if told else None
    if opened is not None:
        yield opened


@lru_cache(maxsize=1)
def _opened(path: str) -> tuple[Index, dict[str, list[NameResolver]]]:
    index = Index(Path(path))
    return index, {
        package: [
            NameResolver(index, alone(index, package, at)) for at in range(len(index.versions(package)))
        ]
        for package in index.packages
    }
