"""The tables of the index file: opened read-only, texts and branches decoded."""

import _sqlite3 as sqlite3  # the package around it loads datetime, for adapters of no use here
import json
import os
import weakref
from functools import lru_cache
from typing import Any

from compat.errors import IntegrityError
from compat.index.format import SCHEMA_VERSION, SHIPPED, unpacked
from compat.index.records import Branch, Row
from compat.model import guards
from compat.model.guards import ALWAYS, Guard
from compat.model.symbols import KINDS, STATUSES, location

_FEW = 128
"""Names that are gone through by SQLite sooner than halved again."""


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
        weakref.finalize(self, self._database.close)
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(f"{path}: {error}; install this package again") from None
        if version != SCHEMA_VERSION:
            raise IntegrityError(f"{path}: index format {version}, expected {SCHEMA_VERSION}; build it again")
        self._database.execute(f"PRAGMA mmap_size = {1 << 28}")  # no page is read and copied
        self.packages: dict[str, int] = {}
        self.owners: dict[str, list[str]] = {}
        for number, name, imports in self._rows("SELECT id, name, imports FROM packages ORDER BY name"):
            self.packages[name] = number
            for top in json.loads(imports):
                self.owners.setdefault(top, []).append(name)
        self._sizes: dict[str, int] = {
            table: self._rows(f"SELECT max(id) FROM {table}")[0][0] or 0  # noqa: S608 -- constants
            for table in ("modules", "names")
        }
        self.number = lru_cache(maxsize=200_000)(self._find_number)
        self._name = lru_cache(maxsize=200_000)(self._read_name)
        self._text = lru_cache(maxsize=200_000)(self._read_text)
        self._guard = lru_cache(maxsize=None)(self._read_guard)

    def _row(self, *columns: Any) -> Row:
        status, kind, target_module, target_name, guard, truth, signature = columns
        target = None
        if target_module is not None:
            name = "" if target_name is None else self._text("names", "name", target_name)
            target = location(self._text("modules", "name", target_module), name)
        return Row(
            STATUSES[status],
            None if kind is None else KINDS[kind],
            target,
            None if guard is None else self._text("guards", "text", guard),
            None if truth is None else self._text("guards", "text", truth),
            None if signature is None else self._text("signatures", "text", signature),
        )

    def _branch(self, *columns: Any) -> Branch:
        row = self._row(*columns)
        return Branch(
            row.status,
            row.kind,
            row.target,
            ALWAYS if row.guard is None else self._guard(row.guard),
            None if row.truth is None else self._guard(row.truth),
            row.signature,
        )

    def _read_guard(self, text: str) -> Guard:
        return guards.from_json(json.loads(text))

    def _find_number(self, table: str, text: str) -> int | None:
        """Return the number of a module or name; None when the index has none of that text."""
        low, high = 1, self._sizes[table]
        while high - low > _FEW:  # names are numbered in their order, which saves an index
            middle = (low + high) // 2
            if self._name(table, middle) < text:
                low = middle + 1
            else:
                high = middle
        query = f"SELECT id FROM {table} WHERE id BETWEEN ? AND ? AND name = ?"  # noqa: S608 -- constants
        return next((number for (number,) in self._rows(query, low, high, text)), None)

    def _read_name(self, table: str, number: int) -> str:
        ((name,),) = self._rows(f"SELECT name FROM {table} WHERE id = ?", number)  # noqa: S608 -- constants
        return str(name)

    def _read_text(self, table: str, column: str, number: int) -> str:
        ((text,),) = self._rows(f"SELECT {column} FROM {table} WHERE id = ?", number)  # noqa: S608 -- constants
        return unpacked(text)

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(f"index: {error}; install this package again") from None
