"""Write the file of companions: one SQLite file with the same bytes for the same content."""

import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from compat._util.atomic_write import replacing
from compat.companions.broken_pairs import BrokenPairs
from compat.companions.demands import Demand
from compat.companions.extract.read_releases import CompanionRelease
from compat.companions.extract.shared_modules import SharedModules
from compat.companions.format import FORMS, SCHEMA_VERSION, SHARED, STATES, TABLES, TOGETHER
from compat.index.format import packed
from compat.model.releases import VLLM

_APPLICATION_ID = 0x73766363
T = TypeVar("T")


class CompanionsContent(NamedTuple):
    """All that the file of companions contains."""

    versions: Mapping[str, Sequence[str]]
    """The indexed versions of the demanding packages, oldest first."""
    demands: Sequence[Demand]
    """What these packages take."""
    read: Mapping[str, Sequence[CompanionRelease]]
    """The releases of the distributions that were read, oldest first."""
    unread: Mapping[str, CompanionRelease]
    """The newest releases of other known distributions, of which nothing is demanded."""
    broken_pairs: Sequence[BrokenPairs] = ()
    shared: Sequence[SharedModules] = ()
    folders: Mapping[str, Sequence[str]] = MappingProxyType({})
    """The folders below site-packages that others add to the import path, by distribution."""


def write_companions(target: Path, content: CompanionsContent) -> None:
    """Write the file of companions, replacing `target`."""
    with replacing(target) as part, closing(sqlite3.connect(part)) as database, database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.executescript(TABLES)
        _Writer(database).write(content)
    _compact(target)


def _compact(target: Path) -> None:
    with closing(sqlite3.connect(target)) as database:
        database.execute("VACUUM")


class _Writer:
    """Fills the tables of one file, in an order that the content alone decides."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._texts: dict[str, int] = {}
        self._need_sets: dict[str, int] = {}
        self._lists: dict[str, int] = {}

    def write(self, content: CompanionsContent) -> None:
        versions, demands, read, unread, broken_pairs, shared, folders = content
        insert = self._database.executemany
        insert(
            "INSERT INTO versions VALUES (?, ?)", ((name, " ".join(each)) for name, each in versions.items())
        )
        insert("INSERT INTO demands VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(self._demand, demands))
        vllm = list(versions.get(VLLM, ()))
        insert(
            "INSERT INTO broken_pairs VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    *(each.sglang, vllm.index(each.first), vllm.index(each.last)),
                    *(self._text(each.module), self._text(each.target), each.modules),
                )
                for each in broken_pairs
            ),
        )
        self._shared(shared)
        numbers = {name: at for at, name in enumerate(sorted({*read, *unread}), 1)}
        insert(
            "INSERT INTO distributions VALUES (?, ?, ?)",
            ((number, name, name in read) for name, number in numbers.items()),
        )
        insert(
            "INSERT INTO added_folders VALUES (?, ?)",
            ((number, folder) for name, number in numbers.items() for folder in folders.get(name, ())),
        )
        for name, number in numbers.items():
            self._distribution(number, read[name] if name in read else [unread[name]])
        insert("INSERT INTO texts VALUES (?, ?)", ((number, text) for text, number in self._texts.items()))
        insert(
            "INSERT INTO need_sets VALUES (?, ?)",
            enumerate(map(packed, _joined(list(self._need_sets), TOGETHER))),
        )
        insert(
            "INSERT INTO requirement_lists VALUES (?, ?)",
            enumerate(map(packed, _joined(list(self._lists), TOGETHER))),
        )

    def _demand(self, each: Demand) -> tuple[object, ...]:
        guard = None if each.guard is None else self._text(each.guard)
        where = each.package, self._text(each.target), self._text(each.module)
        return (*where, FORMS.index(each.form), guard, each.line, each.first, each.last)

    def _shared(self, shared: Sequence[SharedModules]) -> None:
        numbers = {
            name: at for at, name in enumerate(sorted({name for each in shared for name in each.digests}))
        }
        insert = self._database.executemany
        insert("INSERT INTO shared_modules VALUES (?, ?)", ((at, name) for name, at in numbers.items()))
        insert(
            "INSERT INTO shared_releases VALUES (?, ?, ?, ?)",
            (
                (
                    *(each.distribution, each.version),
                    b"".join(
                        struct.pack(SHARED, numbers[name], each.digests[name])
                        for name in sorted(each.digests)
                    ),
                    each.whole,
                )
                for each in shared
            ),
        )

    def _distribution(self, number: int, releases: Sequence[CompanionRelease]) -> None:
        insert = self._database.executemany
        insert(
            "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(number, at, each.version, each.uploaded, each.yanked, each.requires_python),
                    self._lists.setdefault(json.dumps(each.requires_dist), len(self._lists)),
                )
                for at, each in enumerate(releases)
            ),
        )

        def ranged(values: Iterable[T | None]) -> Iterator[tuple[T, int, int]]:
            return _ranges(list(values))

        insert(
            "INSERT INTO imports VALUES (?, ?, ?, ?)",
            (
                (top, number, first, last)
                for top in sorted({top for each in releases for top in each.imports})
                for _, first, last in ranged(top in each.imports or None for each in releases)
            ),
        )
        insert(
            "INSERT INTO states VALUES (?, ?, ?, ?, ?, ?)",
            (
                (number, self._text(target), first, last, *value)
                for target in sorted({target for each in releases for target in each.supply.states})
                for value, first, last in ranged(self._state(each, target) for each in releases)
            ),
        )
        insert(
            "INSERT INTO checks VALUES (?, ?, ?, ?, ?)",
            (
                (number, first, *check, last)
                for check in sorted({check for each in releases for check in each.checks})
                for _, first, last in ranged(check in each.checks or None for each in releases)
            ),
        )

    def _state(self, release: CompanionRelease, target: str) -> tuple[int, int | None] | None:
        """Return the state of a target and the number of its needs; None if it was not asked for."""
        state = release.supply.states.get(target)
        if state is None:
            return None
        needs = release.supply.needs.get(target)
        if not needs:
            return STATES.index(state), None
        text = json.dumps([list(need) for need in needs], separators=(",", ":"))
        return STATES.index(state), self._need_sets.setdefault(text, len(self._need_sets))

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts) + 1)


def _joined(texts: Sequence[str], count: int) -> Iterator[str]:
    """Yield the texts as lines, `count` of them together."""
    return ("\n".join(texts[at : at + count]) for at in range(0, len(texts), count))


def _ranges(values: Sequence[T | None]) -> Iterator[tuple[T, int, int]]:
    """Yield each value that is not None with the first and last position of its consecutive occurrences."""
    at = 0
    for value, equal in groupby(values):
        count = len(list(equal))
        if value is not None:
            yield value, at, at + count - 1
        at += count
