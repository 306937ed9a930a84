"""The index on disk: one SQLite file, the same bytes for the same content.

Rows are intervals: a binding that stays the same from release to release is one row with its first and last
release, given as positions in the package's ordered list of releases.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat import guards
from compat.files import replacing
from compat.guards import ALWAYS
from compat.index.facts import Binding

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "index.sqlite"
"""The index that comes with this package; written by `python -m compat.index build`."""

SCHEMA_VERSION = 1
TRUE = 0
"""The number of the guard that always holds; it has no row, and NULL stands for no guard at all."""
_APPLICATION_ID = 0x73766370  # "svcp", shown by `file`

_TABLES = """
CREATE TABLE packages (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, imports TEXT NOT NULL);
CREATE TABLE releases (
    package INTEGER NOT NULL, position INTEGER NOT NULL, version TEXT NOT NULL, wheel TEXT NOT NULL,
    sha256 TEXT NOT NULL, uploaded TEXT, requires_python TEXT, requires_dist TEXT NOT NULL,
    PRIMARY KEY (package, position), UNIQUE (package, version)) WITHOUT ROWID;
CREATE TABLE modules (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE targets (id INTEGER PRIMARY KEY, location TEXT NOT NULL UNIQUE);
CREATE TABLE guards (id INTEGER PRIMARY KEY, tree TEXT NOT NULL UNIQUE);
CREATE TABLE spans (
    module INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    form TEXT NOT NULL, open INTEGER NOT NULL, PRIMARY KEY (module, package, first)) WITHOUT ROWID;
CREATE TABLE bindings (
    name INTEGER NOT NULL, module INTEGER NOT NULL, package INTEGER NOT NULL, first INTEGER NOT NULL,
    branch INTEGER NOT NULL, last INTEGER NOT NULL, status TEXT NOT NULL, kind TEXT, target INTEGER,
    guard INTEGER, truth INTEGER, PRIMARY KEY (name, module, package, first, branch)) WITHOUT ROWID;
CREATE INDEX bindings_by_module ON bindings (module, package);
"""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A module over an interval of releases."""

    module: str
    first: int
    last: int
    form: str
    """`package`, `module` or `extension` (compiled: its names cannot be read)."""
    open: bool
    """Whether it may bind names that no reading can list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSpan:
    """A name of a module over an interval of releases, with all its branches in source order."""

    module: str
    name: str
    first: int
    last: int
    branches: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContent:
    """All that the index holds of one package."""

    package: str
    imports: tuple[str, ...]
    """The top-level import names it provides."""
    releases: tuple[ReleaseRow, ...]
    spans: tuple[Span, ...]
    names: tuple[NameSpan, ...]


def write_index(target: Path, contents: Iterable[PackageContent]) -> None:
    """Replace `target` by an index of `contents`; the same contents give the same bytes."""
    ordered = sorted(contents, key=lambda content: content.package)
    with replacing(target) as part:
        with closing(sqlite3.connect(part)) as database:
            database.execute("PRAGMA page_size = 4096")
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            database.executescript(_TABLES)
            _fill(database, ordered)
            database.commit()
            database.execute("VACUUM")
        _forget_library_version(part)


def data_digest(path: Path = SHIPPED) -> str:
    """Return the SHA-256 of the index file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _fill(database: sqlite3.Connection, contents: list[PackageContent]) -> None:
    spans = [span for content in contents for span in content.spans]
    names = [span for content in contents for span in content.names]
    branches = [branch for span in names for branch in span.branches]
    trees = {
        _tree(guard) for branch in branches for guard in (branch.guard, branch.truth) if guard is not None
    }
    packages = _intern(
        database,
        "packages",
        (content.package for content in contents),
        "name, imports",
        {content.package: json.dumps(content.imports) for content in contents},
    )
    modules = _intern(
        database, "modules", [*(span.module for span in spans), *(span.module for span in names)]
    )
    words = _intern(database, "names", (span.name for span in names))
    targets = _intern(
        database, "targets", (branch.target for branch in branches if branch.target), "location"
    )
    known_guards = _intern(database, "guards", trees - {_tree(ALWAYS)}, "tree")
    for content in contents:
        package = packages[content.package]
        database.executemany(
            "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    package,
                    position,
                    row.version,
                    row.wheel,
                    row.sha256,
                    row.uploaded,
                    row.requires_python,
                    json.dumps(row.requires_dist),
                )
                for position, row in enumerate(content.releases)
            ),
        )
        database.executemany(
            "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?)",
            sorted(
                (modules[span.module], package, span.first, span.last, span.form, int(span.open))
                for span in content.spans
            ),
        )
        rows = [
            (
                (words[span.name], modules[span.module], package, span.first, number),
                (span.last, branch.status, branch.kind, targets.get(branch.target or "")),
                (known_guards.get(_tree(branch.guard)), _number(branch.truth, known_guards)),
            )
            for span in content.names
            for number, branch in enumerate(span.branches)
        ]
        rows.sort(key=lambda row: row[0])
        database.executemany(
            "INSERT INTO bindings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*key, *what, *when) for key, what, when in rows),
        )


def _number(truth: guards.Guard | None, known: Mapping[str, int]) -> int | None:
    return None if truth is None else known.get(_tree(truth), TRUE)


def _intern(
    database: sqlite3.Connection,
    table: str,
    texts: Iterable[str],
    columns: str = "name",
    more: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Fill a table of distinct texts, numbered from 1 in sorted order, and return the numbers."""
    numbers = {text: number for number, text in enumerate(sorted(set(texts)), start=1)}
    rows: list[tuple[Any, ...]] = [
        (number, text, *(() if more is None else (more[text],))) for text, number in numbers.items()
    ]
    marks = ", ".join("?" * (2 if more is None else 3))
    database.executemany(f"INSERT INTO {table} (id, {columns}) VALUES ({marks})", rows)  # noqa: S608 -- constants
    return numbers


def _tree(guard: guards.Guard) -> str:
    return json.dumps(guards.to_json(guard), separators=(",", ":"))


def _forget_library_version(path: Path) -> None:
    """Blank the header fields that tell which SQLite wrote the file and how often: they are no content.

    Offsets from the file format: 24 and 92 change counters, which must agree; 96 the library's version.
    """
    with path.open("r+b") as file:
        for offset in (24, 92, 96):
            file.seek(offset)
            file.write((1).to_bytes(4, "big"))
