"""Find the definitions that each release removes and adds, and the successors of the removed ones."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from compat._util.cache_database import cache_database
from compat.index import records
from compat.index.build.parse_pool import code_digest
from compat.index.history import features, similarity, successors
from compat.index.history.features import read_features
from compat.index.history.similarity import Definition
from compat.index.history.successors import ImportChanges
from compat.index.records import Names, Row, Successor
from compat.model.symbols import split_location

WAITING = 4
"""The maximum number of queued steps; each holds a few MB of changed sources."""

Modules = Mapping[str, Names]
"""Maps each module of a release to its names."""
Sources = Callable[[], Mapping[str, bytes]]
"""Returns the files of a release, path to content, on demand."""
Changed = list[tuple[str, list[str], bytes]]
"""Removed or added definitions: module, names, source of the module."""


class Step(NamedTuple):
    """What changes from one release to the next."""

    gone: Changed
    come: Changed
    imports: ImportChanges


@dataclass(slots=True, kw_only=True)
class SuccessorFinder:
    """Compares each added release with the one before, and keeps only these two in memory."""

    executor: Executor | None = None
    """Runs the comparisons; None for this process."""
    folder: Path | None = None
    """The cache folder; None for no cache. A change of the code or of the sources invalidates the cache."""
    known: Mapping[tuple[str, str], Sequence[Successor]] = field(default_factory=dict)
    """The known successors of each step from one version to the next."""
    _found: list[Successor] = field(default_factory=list)
    _pending: deque[tuple[int, Future[list[Successor]] | list[Successor], str]] = field(default_factory=deque)
    _before: tuple[str, Modules, Sources] | None = None
    _release_index: int = -1

    def add(self, version: str, modules: Modules, sources: Sources) -> None:
        """Add the next release in order; its sources are read only if definitions were removed and added."""
        before, self._before = self._before, (version, modules, sources)
        self._release_index += 1
        if before is None:
            return
        known = self.known.get((before[0], version))
        if known is not None:
            self._pending.append((self._release_index - 1, list(known), ""))
        else:
            gone, come = vanished(before[1], modules), appeared(before[1], modules)
            if gone and come:
                imports = import_changes(before[1], modules, gone, come)
                old, new = _with_sources(gone, before[2]()), _with_sources(come, sources())
                self._submit(Step(old, new, imports))
        while len(self._pending) > WAITING:
            self._settle()

    def close(self) -> tuple[Successor, ...]:
        """Return all successors, ordered by the old definition."""
        while self._pending:
            self._settle()
        return tuple(sorted(self._found, key=lambda each: (each.old_module, each.old_name, each.last)))

    def _submit(self, step: Step) -> None:
        last, key = self._release_index - 1, ""
        if self.folder is not None:
            key = _key(step)
            remembered = self._remembered(key)
            if remembered is not None:
                self._pending.append((last, remembered, ""))
                return
        found = self.executor.submit(find, step) if self.executor else find(step)
        self._pending.append((last, found, key))

    def _settle(self) -> None:
        last, pending, key = self._pending.popleft()
        found = pending if isinstance(pending, list) else pending.result()
        if key:
            self._remember(key, found)
        self._found.extend(each._replace(last=last) for each in found)

    def _remembered(self, key: str) -> list[Successor] | None:
        assert self.folder is not None  # noqa: S101 -- asked by the caller
        with cache_database(_path(self.folder), _TABLE) as database:
            row = database.execute("SELECT found FROM steps WHERE key = ?", (key,)).fetchone()
        return None if row is None else [Successor(*each) for each in json.loads(row[0])]

    def _remember(self, key: str, found: Sequence[Successor]) -> None:
        assert self.folder is not None  # noqa: S101 -- asked by the caller
        with cache_database(_path(self.folder), _TABLE) as database:
            database.execute("INSERT OR IGNORE INTO steps VALUES (?, ?)", (key, json.dumps(found)))


_TABLE = "steps (key TEXT PRIMARY KEY, found TEXT)"


def _path(folder: Path) -> Path:
    """Return the path of the cache, which depends on the code that finds successors."""
    return folder / f"successors-{_digest()[:16]}.sqlite"


def by_step(versions: Sequence[str], found: Iterable[Successor]) -> dict[tuple[str, str], list[Successor]]:
    """Return the known successors of each step between two consecutive versions."""
    steps: dict[tuple[str, str], list[Successor]] = {
        (versions[at], versions[at + 1]): [] for at in range(len(versions) - 1)
    }
    for each in found:
        steps[versions[each.last], versions[each.last + 1]].append(each)
    return steps


def vanished(before: Modules, after: Modules) -> dict[str, list[str]]:
    """Return the names, by module, that one release defines and the next release does not bind."""
    return _only(before, after, lambda now, name: name in now)


def appeared(before: Modules, after: Modules) -> dict[str, list[str]]:
    """Return the names, by module, that one release defines and the release before did not define."""
    return _only(after, before, lambda then, name: defines(then.get(name, ())))


def defines(branches: Sequence[Row]) -> bool:
    """Return whether at least one branch defines a class or function."""
    return any(row.status == "defined" and row.kind in ("class", "function") for row in branches)


def find(step: Step) -> list[Successor]:
    """Return the successors of one step; their release index is left at 0."""
    gone, kept = _definitions(step.gone)
    come, _ = _definitions(step.come)
    return list(successors.successors(0, gone, come, kept, step.imports))


def import_changes(
    before: Modules, after: Modules, gone: Mapping[str, list[str]], come: Mapping[str, list[str]]
) -> ImportChanges:
    """Return which modules stop importing each removed name, and which start importing each added one."""
    removed = {name for names in gone.values() for name in names}
    added = {name for names in come.values() for name in names}
    changes = ImportChanges({}, {})
    for module, names in sorted(after.items()):
        if module not in before or before[module] is names:
            continue
        then, now = _imported(before[module]), _imported(names)
        for name in sorted((then - now) & removed):
            changes.stopped.setdefault(name, []).append(module)
        for name in sorted((now - then) & added):
            changes.started.setdefault(name, []).append(module)
    return changes


def _imported(names: Names) -> set[str]:
    """Return the names that a module imports from others, as they are called there."""
    targets = (row.target for rows in names.values() for row in rows if row.status == "reexported")
    return {split_location(target)[1] for target in targets if target}


def _only(modules: Modules, others: Modules, has: Callable[[Names, str], bool]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module, names in modules.items():
        other = others.get(module, {})
        if other is names:
            continue  # the same object, as for most modules of most releases
        mine = [name for name, rows in names.items() if defines(rows) and not has(other, name)]
        if mine:
            found[module] = mine
    return found


def _with_sources(
    names: Mapping[str, list[str]], sources: Mapping[str, bytes]
) -> list[tuple[str, list[str], bytes]]:
    found = []
    for module in sorted(names):
        path = module.replace(".", "/")
        source = sources.get(f"{path}/__init__.py") or sources.get(f"{path}.py") or b""
        found.append((module, sorted(names[module]), source))
    return found


def _definitions(
    modules: Iterable[tuple[str, list[str], bytes]],
) -> tuple[list[Definition], list[Definition]]:
    """Return the definitions with the listed names, and the other definitions of the same modules."""
    named: list[Definition] = []
    others: list[Definition] = []
    for module, names, source in modules:
        for name, each in read_features(source).items():
            (named if name in names else others).append(Definition(module, name, each))
    return named, others


def _key(step: Step) -> str:
    digest = hashlib.sha256()
    for module, names, source in _parts(step):
        digest.update(f"{module}:{','.join(names)}:{len(source)}:".encode() + source)
    digest.update(repr(step.imports).encode())
    return digest.hexdigest()


def _parts(step: Step) -> Iterator[tuple[str, list[str], bytes]]:
    yield from step.gone
    yield "", [], b""
    yield from step.come


@lru_cache(maxsize=1)
def _digest() -> str:
    """Return the digest of the code that finds successors."""
    digest = hashlib.sha256(code_digest().encode())
    for module in (features, similarity, successors, records):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
