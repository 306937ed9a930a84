"""Open the index file read-only, convert between numbers and texts, and decode branches."""

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
"""Up to this many rows, a scan by SQLite is faster than another bisection step."""


class Tables:
    """Reads the tables of an index file.

    Args:
        path: the index file; by default the shipped one.

    Raises:
        IntegrityError: the file does not exist, or is not an index of this version.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 -- pathlib takes too long
            raise IntegrityError(f'{path}: the index is missing; run "compat index build"')
        address = _read_only_address(os.path.abspath(path))  # noqa: PTH100
        # The thread that drops the last reference to the index closes it.
        self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(f"{path}: {error}; reinstall sglang-vllm-compat") from None
        if version != SCHEMA_VERSION:
            raise IntegrityError(f"{path}: index format {version}, expected {SCHEMA_VERSION}; rebuild it")
        self._database.execute(f"PRAGMA mmap_size = {1 << 28}")  # pages are mapped instead of copied
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
        """Close the file, if it was opened."""
        database = getattr(self, "_database", None)
        if database is not None:
            database.close()

    def number(self, table: str, text: str) -> int | None:
        """Return the number of a module or name; None if the index does not contain it."""
        known = self._numbers[table]
        if text not in known:
            known[text] = self._find_number(table, text)
        return known[text]

    def signature(self, number: int | None) -> str | None:
        """Return the signature with a number; None for None."""
        return None if number is None else self._text("signatures", number)

    def _name(self, table: str, number: int) -> str:
        """Return the text of a module or name by its number."""
        known = self._names[table]
        if number not in known:
            ((name,),) = self.rows(f"SELECT name FROM {table} WHERE id = ?", number)  # noqa: S608 -- constants
            self._learn(table, number, name)
        return known[number]

    def _learn(self, table: str, number: int, name: str) -> None:
        """Cache the number and the text of a module or name."""
        self._names[table][number] = name
        self._numbers[table][name] = number

    def _row(self, *columns: Any) -> Row:
        status, kind, target_module, target_name, guard, truth, signature, refusal = columns
        return Row(
            STATUSES[status],
            None if kind is None else KINDS[kind],
            self._target(target_module, target_name),
            None if guard is None else self._text("guards", guard),
            None if truth is None else self._text("guards", truth),
            None if signature is None else self._text("signatures", signature),
            None if refusal is None else self._text("refusals", refusal),
        )

    def _target(self, module: int | None, name: int | None) -> str | None:
        if module is None:
            return None
        return location(self._name("modules", module), "" if name is None else self._name("names", name))

    def _branch(self, *columns: Any) -> Branch:
        status, kind, target_module, target_name, guard, truth, signature, refusal = columns
        return Branch(
            STATUSES[status],
            None if kind is None else KINDS[kind],
            self._target(target_module, target_name),
            ALWAYS if guard is None else self._guard(guard),
            None if truth is None else self._guard(truth),
            signature,
            None if refusal is None else self._text("refusals", refusal),
        )

    def _read_guard(self, number: int) -> Guard:
        import json  # most names have no guard

        return guards.from_json(json.loads(self._text("guards", number)))

    def _find_number(self, table: str, text: str) -> int | None:
        low, high = 1, self.rows(f"SELECT max(id) FROM {table}")[0][0] or 0  # noqa: S608 -- constants
        while high - low > _FEW:  # numbers follow the order of the names: no SQL index is needed
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
            raise IntegrityError(f"index: {error}; reinstall sglang-vllm-compat") from None


def _read_only_address(path: str) -> str:
    """Return the URI by which SQLite opens a file read-only, given its absolute path on any system."""
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    if os.sep != "/":  # C:\data becomes /C:/data
        escaped = f"/{escaped.replace(os.sep, '/')}"
    return f"file://{escaped}?mode=ro&immutable=1"
