"""Collect the outlines of releases, and write them; equal contents give equal bytes."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from compat._util import atomic_write
from compat.model.release_ranges import ranges_of
from compat.source_outlines.format import SCHEMA_VERSION, TABLES, compressed
from compat.source_outlines.records import Definition, Message, Outline, encode

GROUP = 1 << 18
"""The size in bytes from which a group of files is complete: larger ones take longer to read."""
_INSERT = "INSERT INTO groups (package, ranges, definitions, lines) VALUES (?, ?, ?, ?)"


@dataclass(slots=True)
class _Content:
    """One distinct content of a file."""

    definitions: tuple[Definition, ...]
    lines: bytes
    ranges: list[list[int]]
    """The first and the last release of each range that has it."""


@dataclass(slots=True)
class PackageOutlines:
    """The outlines of one package, collected release by release."""

    package: str
    versions: list[str] = field(default_factory=list)
    files: dict[str, list[_Content]] = field(default_factory=dict)
    messages: dict[tuple[str, str, str, str], list[int]] = field(default_factory=dict)
    """Path, template, kind and guard of each message to the releases that have it."""

    def add(self, version: str, outlines: Mapping[str, Outline]) -> None:
        """Add the next release: its outlines by path below site-packages."""
        at = len(self.versions)
        self.versions.append(version)
        for path, outline in outlines.items():
            contents = self.files.setdefault(path, [])
            # The content of the release before is the likeliest.
            same = next(
                (
                    each
                    for each in reversed(contents)
                    if each.lines == outline.lines and each.definitions == outline.definitions
                ),
                None,
            )
            if same is None:
                contents.append(_Content(outline.definitions, outline.lines, [[at, at]]))
            elif same.ranges[-1][1] == at - 1:
                same.ranges[-1][1] = at
            else:
                same.ranges.append([at, at])
            for key in dict.fromkeys(_key(path, message) for message in outline.messages):
                self.messages.setdefault(key, []).append(at)


def write_outlines(target: Path, packages: Iterable[PackageOutlines]) -> None:
    """Write the data file.

    Raises:
        DiskError: the file cannot be written.
    """
    with atomic_write.replacing(target) as part, closing(sqlite3.connect(part)) as database:
        database.execute("PRAGMA page_size = 4096")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.executescript(TABLES)
        for each in packages:
            _write(database, each)
        database.commit()
        database.execute("VACUUM")


def _write(database: sqlite3.Connection, package: PackageOutlines) -> None:
    rows = ((package.package, at, version) for at, version in enumerate(package.versions))
    database.executemany("INSERT INTO releases VALUES (?, ?, ?)", rows)
    paths: list[str] = []
    group = _Group()
    for path, contents in sorted(package.files.items()):
        group.add(path, contents)
        if group.size > GROUP:
            paths.append("\n".join(group.paths))
            database.execute(_INSERT, (package.package, *group.packed()))
            group = _Group()
    if group.paths:
        paths.append("\n".join(group.paths))
        database.execute(_INSERT, (package.package, *group.packed()))
    texts = ("\n\n".join(paths), "\n".join(_messages(package)))
    database.execute(
        "INSERT INTO packages VALUES (?, ?, ?)",
        (package.package, *(compressed(text.encode()) for text in texts)),
    )


class _Group:
    """Files that are compressed together."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.size = 0
        self._ranges: list[str] = []
        self._definitions: list[str] = []
        self._lines: list[bytes] = []

    def add(self, path: str, contents: Sequence[_Content]) -> None:
        """Add a file with its distinct contents."""
        self.paths.append(path)
        self._ranges.append(
            ";".join(
                f"{len(each.lines)}:" + ",".join(f"{first}-{last}" for first, last in each.ranges)
                for each in contents
            )
        )
        self._definitions += [encode(each.definitions) for each in contents]
        self._lines += [each.lines for each in contents]
        self.size += sum(len(text) for text in self._definitions[-len(contents) :])
        self.size += sum(len(each.lines) for each in contents)

    def packed(self) -> tuple[bytes, bytes, bytes]:
        """Return ranges, definitions and line codes as the file stores them."""
        ranges, definitions = "\n".join(self._ranges), "\0".join(self._definitions)
        return (
            compressed(ranges.encode()),
            compressed(definitions.encode()),
            compressed(b"".join(self._lines)),
        )


def _messages(package: PackageOutlines) -> Iterator[str]:
    """Yield the lines of the messages: `@path`, then each text of that file with its releases."""
    before = ""
    for (path, template, kind, guard), releases in sorted(package.messages.items()):
        if path != before:
            yield f"@{path}"
            before = path
        ranges = ",".join(f"{first}-{last}" for first, last in ranges_of(releases))
        yield f"{template}\t{kind}\t{guard}\t{ranges}"


def _key(path: str, message: Message) -> tuple[str, str, str, str]:
    template, guard = (" ".join(text.split()) for text in (message.template, message.guard))
    return path, template.removeprefix("@"), message.kind, guard
