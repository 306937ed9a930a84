"""The index on disk: one SQLite file, the same bytes for the same content.

Rows are intervals: a binding that stays the same from release to release is one row with its first and last
release, given as positions in the package's ordered list of releases.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.errors import DiskError
from compat.index import format as file_format
from compat.index.format import packed
from compat.index.records import Row, Succession
from compat.model.symbols import KINDS, STATUSES, split_location

SHIPPED = Path(file_format.SHIPPED)
"""The index that comes with this package."""

SCHEMA_VERSION = file_format.SCHEMA_VERSION
_APPLICATION_ID = 0x73766370  # "svcp", shown by `file`

_TABLES = """
CREATE TABLE packages (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, imports TEXT NOT NULL);
CREATE TABLE releases (
    package INTEGER NOT NULL, position INTEGER NOT NULL, version TEXT NOT NULL, wheel TEXT NOT NULL,
    sha256 TEXT NOT NULL, uploaded TEXT, requires_python TEXT, requires_dist NOT NULL, torch TEXT,
    PRIMARY KEY (package, position), UNIQUE (package, version)) WITHOUT ROWID;
CREATE TABLE modules (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE guards (id INTEGER PRIMARY KEY, text NOT NULL);
CREATE TABLE signatures (id INTEGER PRIMARY KEY, text NOT NULL);
CREATE TABLE spans (
    module INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    form TEXT NOT NULL, open INTEGER NOT NULL, PRIMARY KEY (module, package, first)) WITHOUT ROWID;
CREATE TABLE bindings (
    module INTEGER NOT NULL, package INTEGER NOT NULL, name INTEGER NOT NULL, first INTEGER NOT NULL,
    branch INTEGER NOT NULL, last INTEGER NOT NULL, status INTEGER NOT NULL, kind INTEGER,
    target_module INTEGER, target_name INTEGER, guard INTEGER, truth INTEGER, signature INTEGER,
    PRIMARY KEY (module, package, name, first, branch)) WITHOUT ROWID;
CREATE TABLE binders (
    name INTEGER NOT NULL, module INTEGER NOT NULL, PRIMARY KEY (name, module)) WITHOUT ROWID;
CREATE TABLE evidence (id INTEGER PRIMARY KEY, text NOT NULL);
CREATE TABLE successions (
    name INTEGER NOT NULL, package INTEGER NOT NULL, module INTEGER NOT NULL, last INTEGER NOT NULL,
    to_module INTEGER NOT NULL, to_name INTEGER NOT NULL, percent INTEGER NOT NULL, evidence INTEGER NOT NULL,
    PRIMARY KEY (name, package, module, last)) WITHOUT ROWID;
CREATE INDEX successions_by_target ON successions (to_name);
CREATE TABLE companions (
    package INTEGER NOT NULL, position INTEGER NOT NULL, companion INTEGER, companion_position INTEGER,
    PRIMARY KEY (package, position)) WITHOUT ROWID;
CREATE TABLE problems (
    module INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (module, package, first)) WITHOUT ROWID;
CREATE TABLE answers (
    name INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    status INTEGER NOT NULL, kind INTEGER, statement INTEGER NOT NULL, remarks INTEGER NOT NULL,
    PRIMARY KEY (name, package, first)) WITHOUT ROWID;
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE common (name INTEGER PRIMARY KEY);
"""
"""Modules, names, guards and signatures are numbered from 1 in the order of their texts: a number is found by
bisection, and these tables need no index. Columns without a type hold what `packed` makes. `status` and
`kind` are places in `STATUSES` and `KINDS`; a target without a name is a module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """One indexed release: where its wheel came from by name and digest, and its metadata."""

    version: str
    wheel: str
    sha256: str
    uploaded: str | None
    """ISO date and time, UTC."""
    requires_python: str | None
    requires_dist: tuple[str, ...]

    @property
    def torch(self) -> str | None:
        """The version of torch that it pins: without an extra, else the highest of any extra, else None."""
        from packaging.requirements import Requirement  # readers of the index need not load it
        from packaging.version import Version

        requirements = [Requirement(line) for line in self.requires_dist]
        torch = [requirement for requirement in requirements if requirement.name == "torch"]
        plain = [each for each in torch if each.marker is None or "extra" not in str(each.marker)]
        for asked in (plain, torch):
            pins = {pin.version for each in asked for pin in each.specifier if pin.operator == "=="}
            if pins:
                return max(pins, key=Version)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRange:
    """A module over an interval of releases."""

    module: str
    first: int
    last: int
    form: str
    """`package`, `module` or `extension` (compiled: its names cannot be read)."""
    open: bool
    """Whether it may bind names that no reading can list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRange:
    """A name of a module over an interval of releases, with all its branches in source order."""

    module: str
    name: str
    first: int
    last: int
    branches: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContent:
    """All that the index holds of one package."""

    package: str
    imports: tuple[str, ...]
    """The top-level import names it provides."""
    releases: tuple[ReleaseRow, ...]
    module_ranges: tuple[ModuleRange, ...]
    names: tuple[NameRange, ...]
    successions: tuple[Succession, ...] = ()
    """What became of definitions that vanished."""


def write_index(
    target: Path, contents: Iterable[PackageContent], finish: Callable[[Path], None] | None = None
) -> None:
    """Replace `target` by an index of `contents`; the same contents give the same bytes.

    Args:
        target: the file.
        contents: its rows, package by package.
        finish: adds what can be computed from the rows; what it leaves out is computed for every answer.

    Raises:
        DiskError: the disk of `target` is full or refuses.
    """
    from compat._util.atomic_write import replacing

    ordered = sorted(contents, key=lambda content: content.package)
    with _disk_errors(target), replacing(target) as part:
        with closing(sqlite3.connect(part)) as database:
            database.execute("PRAGMA journal_mode = OFF")  # a failure drops the whole file
            database.execute("PRAGMA page_size = 4096")
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            database.executescript(_TABLES)
            _fill(database, ordered)
            database.commit()
        if finish is not None:
            finish(part)
        with closing(sqlite3.connect(part)) as database:
            database.execute("VACUUM")
        _forget_library_version(part)


def data_digest(path: Path = SHIPPED) -> str:
    """Return the SHA-256 of the index file, in hexadecimal."""
    import hashlib

    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DiskError(f"{target}: {error}; free some space there, or choose another --output") from error


def _fill(database: sqlite3.Connection, contents: list[PackageContent]) -> None:
    rows = [row for content in contents for entry in content.names for row in entry.branches]
    targets = {split_location(row.target) for row in rows if row.target}
    imports = {content.package: json.dumps(content.imports) for content in contents}
    packages = _intern(database, "packages", imports, "name", imports)
    modules = _intern(
        database,
        "modules",
        {entry.module for content in contents for entry in content.module_ranges}
        | {module for module, _ in targets},
        "name",
    )
    names = _intern(
        database,
        "names",
        {entry.name for content in contents for entry in content.names}
        | {name for _, name in targets if name},
        "name",
    )
    texts = {text for row in rows for text in (row.guard, row.truth) if text is not None}
    known_guards = _intern(database, "guards", texts, "text")
    signatures = _intern(database, "signatures", {row.signature for row in rows if row.signature}, "text")
    for content in contents:
        package = packages[content.package]
        database.executemany(
            "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_release(package, release_index, row) for release_index, row in enumerate(content.releases)),
        )
        database.executemany(
            "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?)",
            sorted(
                (modules[entry.module], package, entry.first, entry.last, entry.form, int(entry.open))
                for entry in content.module_ranges
            ),
        )
        bindings = [
            (modules[entry.module], package, names[entry.name], entry.first, branch, entry.last, row)
            for entry in content.names
            for branch, row in enumerate(entry.branches)
        ]
        bindings.sort(key=lambda binding: binding[:5])
        database.executemany(
            "INSERT INTO bindings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *place,
                    STATUSES.index(row.status),
                    None if row.kind is None else KINDS.index(row.kind),
                    *_target(row.target, modules, names),
                    known_guards.get(row.guard or ""),
                    known_guards.get(row.truth or ""),
                    signatures.get(row.signature or ""),
                )
                for *place, row in bindings
            ),
        )
    database.execute("INSERT INTO binders SELECT DISTINCT name, module FROM bindings ORDER BY name, module")
    _fill_successions(database, contents, packages, modules, names)


def _fill_successions(
    database: sqlite3.Connection,
    contents: list[PackageContent],
    packages: Mapping[str, int],
    modules: Mapping[str, int],
    names: Mapping[str, int],
) -> None:
    found = [(packages[content.package], each) for content in contents for each in content.successions]
    evidence = _intern(database, "evidence", {each.evidence for _, each in found}, "text")
    database.executemany(
        "INSERT INTO successions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        sorted(
            (
                *(names[each.name], package, modules[each.module], each.last),
                *(modules[each.to_module], names[each.to_name]),
                *(round(each.confidence * 100), evidence[each.evidence]),
            )
            for package, each in found
        ),
    )


def _release(package: int, release_index: int, row: ReleaseRow) -> tuple[Any, ...]:
    texts = (row.version, row.wheel, row.sha256, row.uploaded, row.requires_python)
    return (package, release_index, *texts, packed(json.dumps(row.requires_dist)), row.torch)


def _target(
    target: str | None, modules: Mapping[str, int], names: Mapping[str, int]
) -> tuple[int | None, int | None]:
    if target is None:
        return None, None
    module, name = split_location(target)
    return modules[module], names[name] if name else None


def _intern(
    database: sqlite3.Connection,
    table: str,
    texts: Iterable[str],
    column: str,
    more: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Fill a table of distinct texts, numbered from 1 in sorted order, and return the numbers."""
    numbers = {text: number for number, text in enumerate(sorted(texts), start=1)}
    kept = packed if column == "text" else str
    rows: list[tuple[Any, ...]] = [
        (number, kept(text), *(() if more is None else (more[text],))) for text, number in numbers.items()
    ]
    columns = f"id, {column}" if more is None else f"id, {column}, imports"
    marks = ", ".join("?" * (2 if more is None else 3))
    database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 -- constants
    return numbers


def _forget_library_version(path: Path) -> None:
    """Blank the header fields that tell which SQLite wrote the file and how often: they are no content.

    Offsets from the file format: 24 and 92 change counters, which must agree; 96 the library's version.
    """
    with path.open("r+b") as file:
        for offset in (24, 92, 96):
            file.seek(offset)
            file.write((1).to_bytes(4, "big"))
