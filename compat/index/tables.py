"""The tables of the index file: opened read-only, numbers and texts exchanged, branches decoded."""

from __future__ import annotations

import _sqlite3 as sqlite3  # the package around it loads datetime, for adapters of no use here
import os
from functools import lru_cache

from compat.errors import IntegrityError
from compat.index.format import SCHEMA_VERSION, SHIPPED, unpacked
from compat.index.records import Branch, Row
from compat.model import guards
from compat.model.guards import ALWAYS
from compat.model.symbols import KINDS, STATUSES, location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from compat.model.guards import Guard

_FEW = 128
"""Names that SQLite goes through sooner than a range is halved again."""


class Tables:
    """The index file, opened read-only.

    Args:
        path: the file; the shipped one unless told otherwise.

    Raises:
        IntegrityError: there is no such file, or it is no index of this version.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 -- pathlib takes too long
            raise IntegrityError(f"{path}: the index is missing; run `python -m compat.index build`")
        # As SQLite's page on URI filenames asks for.
        whole = os.path.abspath(path)  # noqa: PTH100
        escaped = whole.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        address = f"file://{escaped}?mode=ro&immutable=1"
        # Whichever thread lets go of the index closes it.
        self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(f"{path}: {error}; install this package again") from None
        if version != SCHEMA_VERSION:
            raise IntegrityError(f"{path}: index format {version}, expected {SCHEMA_VERSION}; build it again")
        self._database.execute(f"PRAGMA mmap_size = {1 << 28}")  # no page is read and copied
        self.packages: dict[str, int] = {}
        self.owners: dict[str, list[str]] = {}
        for number, name, imports in self.rows("SELECT id, name, imports FROM packages ORDER BY name"):
            self.packages[name] = number
            for top in imports.split():
                self.owners.setdefault(top, []).append(name)
        self._numbers: dict[str, dict[str, int | None]] = {"modules": {}, "names": {}}
        self._names: dict[str, dict[int, str]] = {"modules": {}, "names": {}}
        self._text = lru_cache(maxsize=200_000)(self._read_text)
        self._guard = lru_cache(maxsize=None)(self._read_guard)

    def __del__(self) -> None:
        """Close the file; of an index that was not opened there is none."""
        database = getattr(self, "_database", None)
        if database is not None:
            database.close()

    def number(self, table: str, text: str) -> int | None:
        """Return the number of a module or name; None when the index has none of that text."""
        known = self._numbers[table]
        if text not in known:
            known[text] = self._find_number(table, text)
        return known[text]

    def signature(self, number: int | None) -> str | None:
        """Return how a definition is called, by the number that a branch has of it."""
        return None if number is None else self._text("signatures", number)

    def _name(self, table: str, number: int) -> str:
        """Return the text of a module or name by its number."""
        known = self._names[table]
        if number not in known:
            ((name,),) = self.rows(f"SELECT name FROM {table} WHERE id = ?", number)  # noqa: S608 -- constants
            self._learn(table, number, name)
        return known[number]

    def _learn(self, table: str, number: int, name: str) -> None:
        """Remember what number and text of a module or name belong together."""
        self._names[table][number] = name
        self._numbers[table][name] = number

    def _row(self, *columns: Any) -> Row:
        status, kind, target_module, target_name, guard, truth, signature = columns
        return Row(
            STATUSES[status],
            None if kind is None else KINDS[kind],
            self._target(target_module, target_name),
            None if guard is None else self._text("guards", guard),
            None if truth is None else self._text("guards", truth),
            None if signature is None else self._text("signatures", signature),
        )

    def _target(self, module: int | None, name: int | None) -> str | None:
        if module is None:
            return None
        return location(self._name("modules", module), "" if name is None else self._name("names", name))

    def _branch(self, *columns: Any) -> Branch:
        status, kind, target_module, target_name, guard, truth, signature = columns
        return Branch(
            STATUSES[status],
            None if kind is None else KINDS[kind],
            self._target(target_module, target_name),
            ALWAYS if guard is None else self._guard(guard),
            None if truth is None else self._guard(truth),
            signature,
        )

    def _read_guard(self, number: int) -> Guard:
        import json  # most names have no guard

        return guards.from_json(json.loads(self._text("guards", number)))

    def _find_number(self, table: str, text: str) -> int | None:
        low, high = 1, self.rows(f"SELECT max(id) FROM {table}")[0][0] or 0  # noqa: S608 -- constants
        while high - low > _FEW:  # names are numbered in their order, which saves an index
            middle = (low + high) // 2
            if self._name(table, middle) < text:
                low = middle + 1
            else:
                high = middle
        query = f"SELECT id FROM {table} WHERE id BETWEEN ? AND ? AND name = ?"  # noqa: S608 -- constants
        return next((number for (number,) in self.rows(query, low, high, text)), None)

    def _read_text(self, table: str, number: int) -> str:
        ((text,),) = self.rows(f"SELECT text FROM {table} WHERE id = ?", number)  # noqa: S608 -- constants
        return unpacked(text)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(f"index: {error}; install this package again") from None
