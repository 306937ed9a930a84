"""What vanished and what appeared from one release to the next, and what took whose place."""

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from compat.index import records
from compat.index.build.parse_pool import code_digest
from compat.index.history import features, similarity, successors
from compat.index.history.features import read_features
from compat.index.history.similarity import Definition
from compat.index.records import Names, Row, Successor

WAITING = 4
"""Steps that may wait for a process, each with the sources of what changed: a few MB."""

Modules = Mapping[str, Names]
"""What each module of a release binds."""
Sources = Callable[[], Mapping[str, bytes]]
"""Gives the files of a release, path to content, when they are needed."""
Step = tuple[list[tuple[str, list[str], bytes]], list[tuple[str, list[str], bytes]]]
"""What vanished and what appeared: module, names, source of the module."""


@dataclass(slots=True, kw_only=True)
class SuccessorFinder:
    """Compares each release with the one before, as they come; only the two are held."""

    executor: Executor | None = None
    """Compares in its processes; in this one when None."""
    folder: Path | None = None
    """Where to remember what was found; nowhere when None. Other code or other sources start anew."""
    known: Mapping[tuple[str, str], Sequence[Successor]] = field(default_factory=dict)
    """What is already known of the step from one version to the next."""
    _found: list[Successor] = field(default_factory=list)
    _pending: deque[tuple[int, Future[list[Successor]] | list[Successor], str]] = field(default_factory=deque)
    _before: tuple[str, Modules, Sources] | None = None
    _release_index: int = -1

    def add(self, version: str, modules: Modules, sources: Sources) -> None:
        """Add the next release in order; its sources are asked for when something vanished on either side."""
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
                self._submit((_with_sources(gone, before[2]()), _with_sources(come, sources())))
        while len(self._pending) > WAITING:
            self._settle()

    def close(self) -> tuple[Successor, ...]:
        """Return all that was found, ordered by what they took the place of."""
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
        with closing(self._connect()) as database:
            row = database.execute("SELECT found FROM steps WHERE key = ?", (key,)).fetchone()
        return None if row is None else [Successor(*each) for each in json.loads(row[0])]

    def _remember(self, key: str, found: Sequence[Successor]) -> None:
        with closing(self._connect()) as database, database:
            database.execute("INSERT OR IGNORE INTO steps VALUES (?, ?)", (key, json.dumps(found)))

    def _connect(self) -> sqlite3.Connection:
        assert self.folder is not None  # noqa: S101 -- asked by the callers
        self.folder.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.folder / f"successors-{_digest()[:16]}.sqlite", timeout=60)
        database.execute("CREATE TABLE IF NOT EXISTS steps (key TEXT PRIMARY KEY, found TEXT)")
        return database


def by_step(versions: Sequence[str], found: Iterable[Successor]) -> dict[tuple[str, str], list[Successor]]:
    """Return what is known of each step between two consecutive versions, for `SuccessorFinder.known`."""
    steps: dict[tuple[str, str], list[Successor]] = {
        (versions[at], versions[at + 1]): [] for at in range(len(versions) - 1)
    }
    for each in found:
        steps[versions[each.last], versions[each.last + 1]].append(each)
    return steps


def vanished(before: Modules, after: Modules) -> dict[str, list[str]]:
    """Return the names, by module, that one release defines and the next does not even bind there."""
    return _only(before, after, lambda now, name: name in now)


def appeared(before: Modules, after: Modules) -> dict[str, list[str]]:
    """Return the names, by module, that a release defines and the one before did not define there."""
    return _only(after, before, lambda then, name: defines(then.get(name, ())))


def defines(branches: Sequence[Row]) -> bool:
    """Return whether a name is a class or function of its own in some branch."""
    return any(row.status == "defined" and row.kind in ("class", "function") for row in branches)


def find(step: Step) -> list[Successor]:
    """Return the successors of one step; their release index is left at 0."""
    gone, kept = _definitions(step[0])
    come, _ = _definitions(step[1])
    return list(successors.successors(0, gone, come, kept))


def _only(modules: Modules, others: Modules, has: Callable[[Names, str], bool]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module, names in modules.items():
        other = others.get(module, {})
        if other is names:
            continue  # the very same reading: most modules of most releases
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
    """Return the named definitions, and the others of the same modules."""
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
    return digest.hexdigest()


def _parts(step: Step) -> Iterator[tuple[str, list[str], bytes]]:
    yield from step[0]
    yield "", [], b""
    yield from step[1]


@lru_cache(maxsize=1)
def _digest() -> str:
    """Return the digest of the code that turns two releases into successors."""
    digest = hashlib.sha256(code_digest().encode())
    for module in (features, similarity, successors, records):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
