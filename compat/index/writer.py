"""Write the index: one SQLite file with the same bytes for the same content.

A binding that stays the same from release to release is one row with its first and last release, given as
indexes in the package's ordered list of releases.
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
from compat.index.records import Row, Successor
from compat.model.releases import ReleaseMetadata
from compat.model.symbols import KINDS, STATUSES, split_location

SHIPPED = Path(file_format.SHIPPED)
"""The index in this package."""

SCHEMA_VERSION = file_format.SCHEMA_VERSION
_APPLICATION_ID = 0x73766370  # "svcp", shown by `file`

_TABLES = """
CREATE TABLE packages (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, imports TEXT NOT NULL);
CREATE TABLE releases (
    package INTEGER NOT NULL, release_index INTEGER NOT NULL, version TEXT NOT NULL, wheel TEXT NOT NULL,
    sha256 TEXT NOT NULL, uploaded TEXT, requires_python TEXT, requires_dist NOT NULL,
    PRIMARY KEY (package, release_index), UNIQUE (package, version)) WITHOUT ROWID;
CREATE TABLE modules (id INTEGER PRIMARY KEY, name TEXT NOT NULL, last_part TEXT NOT NULL);
CREATE INDEX modules_by_last_part ON modules (last_part);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE guards (id INTEGER PRIMARY KEY, text NOT NULL);
CREATE TABLE signatures (id INTEGER PRIMARY KEY, text NOT NULL);
CREATE TABLE refusals (id INTEGER PRIMARY KEY, text NOT NULL);
CREATE TABLE module_ranges (
    module INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    form TEXT NOT NULL, open INTEGER NOT NULL, PRIMARY KEY (module, package, first)) WITHOUT ROWID;
CREATE TABLE bindings (
    module INTEGER NOT NULL, name INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL,
    branch INTEGER NOT NULL, last INTEGER NOT NULL, status INTEGER NOT NULL, kind INTEGER,
    target_module INTEGER, target_name INTEGER, guard INTEGER, truth INTEGER, signature INTEGER,
    refusal INTEGER,
    PRIMARY KEY (module, name, package, first, branch)) WITHOUT ROWID;
CREATE TABLE binders (
    name INTEGER NOT NULL, module INTEGER NOT NULL, PRIMARY KEY (name, module)) WITHOUT ROWID;
CREATE TABLE evidence (id INTEGER PRIMARY KEY, text NOT NULL);
CREATE TABLE successors (
    old_name INTEGER NOT NULL, package INTEGER NOT NULL, old_module INTEGER NOT NULL, last INTEGER NOT NULL,
    module INTEGER NOT NULL, name INTEGER NOT NULL, percent INTEGER NOT NULL, evidence INTEGER NOT NULL,
    PRIMARY KEY (old_name, package, old_module, last)) WITHOUT ROWID;
CREATE INDEX successors_by_name ON successors (name);
CREATE TABLE companions (
    package INTEGER NOT NULL, release_index INTEGER NOT NULL, companion INTEGER, companion_index INTEGER,
    PRIMARY KEY (package, release_index)) WITHOUT ROWID;
CREATE TABLE problems (
    package INTEGER NOT NULL, module INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (package, module, first)) WITHOUT ROWID;
CREATE TABLE pair_dependent (
    package INTEGER NOT NULL, module INTEGER NOT NULL, name INTEGER NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL, PRIMARY KEY (package, module, name, first)) WITHOUT ROWID;
CREATE TABLE specifiers (id INTEGER PRIMARY KEY, text TEXT NOT NULL, pin TEXT);
CREATE TABLE requirements (
    package INTEGER NOT NULL, name TEXT NOT NULL, first INTEGER NOT NULL, pythons INTEGER NOT NULL,
    last INTEGER NOT NULL, specifier INTEGER NOT NULL, extras TEXT NOT NULL,
    PRIMARY KEY (package, name, first, pythons)) WITHOUT ROWID;
CREATE TABLE exclusive (
    sglang INTEGER NOT NULL, vllm INTEGER NOT NULL, PRIMARY KEY (sglang, vllm)) WITHOUT ROWID;
CREATE TABLE release_pythons (
    package INTEGER NOT NULL, release_index INTEGER NOT NULL, python TEXT NOT NULL,
    pythons INTEGER NOT NULL, serving INTEGER NOT NULL, PRIMARY KEY (package, release_index)) WITHOUT ROWID;
"""
"""Modules, names and texts are numbered from 1 in the order of their texts: a number is found by bisection,
and these tables need no index. `last_part` is the name that a module ends with. Columns without a
type hold what `packed` makes. `status` and `kind` are places in `STATUSES` and `KINDS`; a target without a
name is a module. `companions` and the tables below it are filled by `compat.index.build.precompute`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRange:
    """A module and the release range in which it does not change."""

    module: str
    first: int
    last: int
    form: str
    """`package`, `module` or `extension` (compiled: its names are not known)."""
    open: bool
    """Whether it may bind names that its source does not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRange:
    """A name of a module in a release range, with its branches in source order."""

    module: str
    name: str
    first: int
    last: int
    branches: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContent:
    """All rows of one package in the index."""

    package: str
    imports: tuple[str, ...]
    """The top-level import names of the package."""
    releases: tuple[ReleaseMetadata, ...]
    module_ranges: tuple[ModuleRange, ...]
    names: tuple[NameRange, ...]
    successors: tuple[Successor, ...] = ()
    """The successors of removed definitions."""


def write_index(
    target: Path, contents: Iterable[PackageContent], finish: Callable[[Path], None] | None = None
) -> None:
    """Write an index of `contents` to `target` atomically; equal contents give equal bytes.

    Args:
        target: the file to replace.
        contents: the rows of each package.
        finish: fills the tables that are computed from the rows; without it, queries compute these values.

    Raises:
        DiskError: the file cannot be written, for example because the disk is full.
    """
    from compat._util.atomic_write import replacing

    ordered = sorted(contents, key=lambda content: content.package)
    with _disk_errors(target), replacing(target) as part:
        with closing(sqlite3.connect(part)) as database:
            database.execute("PRAGMA journal_mode = OFF")  # after a failure the whole file is deleted
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
        raise DiskError(f"{target}: {error}; free disk space and run it again") from error


def _fill(database: sqlite3.Connection, contents: list[PackageContent]) -> None:
    rows = [row for content in contents for each in content.names for row in each.branches]
    targets = {split_location(row.target) for row in rows if row.target}
    packages = {content.package: number for number, content in enumerate(contents, start=1)}
    database.executemany(
        "INSERT INTO packages VALUES (?, ?, ?)",
        ((packages[content.package], content.package, " ".join(content.imports)) for content in contents),
    )
    paths = {each.module for content in contents for each in content.module_ranges}
    modules = _numbers(paths | {module for module, _ in targets})
    database.executemany(
        "INSERT INTO modules VALUES (?, ?, ?)",
        ((number, path, path.rpartition(".")[2]) for path, number in modules.items()),
    )
    bound = {each.name for content in contents for each in content.names}
    names = _numbers(bound | {name for _, name in targets if name})
    database.executemany(
        "INSERT INTO names VALUES (?, ?)", ((number, name) for name, number in names.items())
    )
    texts = {text for row in rows for text in (row.guard, row.truth) if text is not None}
    known_guards = _fill_texts(database, "guards", texts)
    signatures = _fill_texts(database, "signatures", {row.signature for row in rows if row.signature})
    refusals = _fill_texts(database, "refusals", {row.refusal for row in rows if row.refusal})
    for content in contents:
        package = packages[content.package]
        database.executemany(
            "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (_release(package, release_index, row) for release_index, row in enumerate(content.releases)),
        )
        database.executemany(
            "INSERT INTO module_ranges VALUES (?, ?, ?, ?, ?, ?)",
            sorted(
                (modules[each.module], package, each.first, each.last, each.form, int(each.open))
                for each in content.module_ranges
            ),
        )
        bindings = [
            (modules[each.module], names[each.name], package, each.first, branch, each.last, row)
            for each in content.names
            for branch, row in enumerate(each.branches)
        ]
        bindings.sort(key=lambda binding: binding[:5])
        database.executemany(
            "INSERT INTO bindings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *place,
                    STATUSES.index(row.status),
                    None if row.kind is None else KINDS.index(row.kind),
                    *_target(row.target, modules, names),
                    known_guards.get(row.guard or ""),
                    known_guards.get(row.truth or ""),
                    signatures.get(row.signature or ""),
                    refusals.get(row.refusal or ""),
                )
                for *place, row in bindings
            ),
        )
    database.execute("INSERT INTO binders SELECT DISTINCT name, module FROM bindings ORDER BY name, module")
    _fill_successors(database, contents, packages, modules, names)


def _fill_successors(
    database: sqlite3.Connection,
    contents: list[PackageContent],
    packages: Mapping[str, int],
    modules: Mapping[str, int],
    names: Mapping[str, int],
) -> None:
    found = [(packages[content.package], each) for content in contents for each in content.successors]
    evidence = _fill_texts(database, "evidence", {each.evidence for _, each in found})
    database.executemany(
        "INSERT INTO successors VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        sorted(
            (
                *(names[each.old_name], package, modules[each.old_module], each.last),
                *(modules[each.module], names[each.name]),
                *(round(each.confidence * 100), evidence[each.evidence]),
            )
            for package, each in found
        ),
    )


def _release(package: int, release_index: int, row: ReleaseMetadata) -> tuple[Any, ...]:
    texts = (row.version, row.wheel, row.sha256, row.uploaded, row.requires_python)
    return (package, release_index, *texts, packed(json.dumps(row.requires_dist)))


def _target(
    target: str | None, modules: Mapping[str, int], names: Mapping[str, int]
) -> tuple[int | None, int | None]:
    if target is None:
        return None, None
    module, name = split_location(target)
    return modules[module], names[name] if name else None


def _numbers(texts: Iterable[str]) -> dict[str, int]:
    """Return distinct texts with numbers that count from 1 in sorted order."""
    return {text: number for number, text in enumerate(sorted(texts), start=1)}


def _fill_texts(database: sqlite3.Connection, table: str, texts: Iterable[str]) -> dict[str, int]:
    """Fill a table with compressed distinct texts, and return their numbers."""
    numbers = _numbers(texts)
    database.executemany(
        f"INSERT INTO {table} VALUES (?, ?)",  # noqa: S608 -- constants
        ((number, packed(text)) for text, number in numbers.items()),
    )
    return numbers


def _forget_library_version(path: Path) -> None:
    """Clear the header fields that depend on the SQLite version and on the number of writes.

    Offsets from the file format: 24 and 92 change counters, which must agree; 96 the library's version.
    """
    with path.open("r+b") as file:
        for offset in (24, 92, 96):
            file.seek(offset)
            file.write((1).to_bytes(4, "big"))
