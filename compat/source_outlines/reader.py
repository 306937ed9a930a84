"""Read the outlines: the distinct contents of each file with their releases, and the messages."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from compat.errors import IntegrityError
from compat.source_outlines.format import SCHEMA_VERSION, SHIPPED, decompressed, decompressed_lines
from compat.source_outlines.records import Definition, Message, Outline, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Codes:
    """The line codes of a group of files, decompressed when they are first asked for."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    @cached_property
    def all(self) -> bytes:
        """The codes of all contents of the group, one after another."""
        return decompressed(self._packed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One distinct content of a file."""

    releases: int
    """The releases that have it, one bit each."""
    text: str
    """The definitions, encoded."""
    codes: Codes
    """The line codes of all files of the group."""
    start: int
    """Where those of this content begin."""
    stop: int
    """And where they end."""

    @property
    def lines(self) -> bytes:
        """The code of each line."""
        return self.codes.all[self.start : self.stop]

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """The definitions in the order of the source."""
        return _decoded(self.text)


class KnownMessage(NamedTuple):
    """A text that a package raises or logs as an error."""

    package: str
    path: str
    template: str
    kind: str
    guard: str
    ranges: str
    """The releases that have it, encoded."""

    @property
    def releases(self) -> int:
        """The releases that have it, one bit each."""
        return _bits(self.ranges)


class SourceOutlines:
    """Reads the data file of the outlines, each part when it is first asked for.

    Args:
        path: the data file; by default the shipped one.

    Raises:
        IntegrityError: the file does not exist, or is not of this version.
    """

    def __init__(self, path: str | Path = SHIPPED) -> None:
        if not Path(path).is_file():
            raise IntegrityError(f'{path}: the outlines are missing; run "compat index build"')
        self._address = f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1"
        self._connect()
        (version,) = self._rows("PRAGMA user_version")[0]
        if version != SCHEMA_VERSION:
            raise IntegrityError(f"{path}: format {version}, expected {SCHEMA_VERSION}; rebuild it")
        self.contents = lru_cache(maxsize=256)(self._read_contents)
        self._group = lru_cache(maxsize=16)(self._read_group)
        self._groups = lru_cache(maxsize=None)(self._read_groups)
        self.versions = lru_cache(maxsize=None)(self._read_versions)
        self.paths = lru_cache(maxsize=None)(self._read_paths)

    def _connect(self) -> None:
        self._process = os.getpid()
        self._database = sqlite3.connect(self._address, uri=True, check_same_thread=False)

    def __del__(self) -> None:
        """Close the file, if it was opened."""
        database = getattr(self, "_database", None)
        if database is not None:
            database.close()

    @cached_property
    def packages(self) -> tuple[str, ...]:
        """The packages whose outlines the file has."""
        return tuple(name for (name,) in self._rows("SELECT name FROM packages ORDER BY name"))

    def _read_versions(self, package: str) -> tuple[str, ...]:
        """Return the releases of a package, oldest first."""
        query = "SELECT version FROM releases WHERE package = ? ORDER BY release_index"
        return tuple(version for (version,) in self._rows(query, package))

    def _read_groups(self, package: str) -> dict[str, tuple[int, int]]:
        """Map the paths of a package to their group and their place in it."""
        (first,) = self._rows("SELECT min(id) FROM groups WHERE package = ?", package)[0]
        ((packed,),) = self._rows("SELECT paths FROM packages WHERE name = ?", package)
        groups = decompressed(packed).decode().split("\n\n") if first is not None else []
        return {
            path: (first + number, at)
            for number, paths in enumerate(groups)
            for at, path in enumerate(paths.split("\n"))
        }

    def _read_paths(self, package: str, name: str) -> tuple[str, ...]:
        """Return the paths of a package that end with `name`, a file name or the end of a path."""
        end = f"/{name}"
        return tuple(path for path in self._groups(package) if path == name or path.endswith(end))

    def has(self, package: str, path: str) -> bool:
        """Return whether any release of a package has a file."""
        return path in self._groups(package)

    def below(self, package: str, folder: str) -> tuple[str, ...]:
        """Return the paths of a package below a folder, whose name ends with a slash; of all if empty."""
        return tuple(path for path in self._groups(package) if path.startswith(folder))

    def _read_contents(self, package: str, path: str) -> tuple[Content, ...]:
        """Return the distinct contents of a file, oldest first; none for an unknown file."""
        group, at = self._groups(package).get(path, (0, 0))
        return self._group(group)[at] if group else ()

    def _read_group(self, number: int) -> tuple[tuple[Content, ...], ...]:
        """Return the contents of each file of a group, in the order of their paths."""
        query = "SELECT ranges, definitions, lines FROM groups WHERE id = ?"
        ranges, definitions, lines = self._rows(query, number)[0]
        texts = iter(decompressed(definitions).decode().split("\0"))
        codes = Codes(lines)
        found, start = [], 0
        for line in decompressed(ranges).decode().split("\n"):
            contents = []
            for part in line.split(";"):
                length, _, releases = part.partition(":")
                stop = start + int(length)
                contents.append(
                    Content(releases=_bits(releases), text=next(texts), codes=codes, start=start, stop=stop)
                )
                start = stop
            found.append(tuple(contents))
        return tuple(found)

    def messages(self, package: str) -> Iterator[KnownMessage]:
        """Yield the texts that a package raises or logs as errors, ordered by path; they are many."""
        ((packed,),) = self._rows("SELECT messages FROM packages WHERE name = ?", package)
        path = ""
        for raw in decompressed_lines(packed):
            line = raw.decode()
            if line[:1] == "@":
                path = line[1:]
            else:
                yield KnownMessage(package, path, *line.split("\t"))

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        if self._process != os.getpid():  # a connection must not be used on both sides of a fork
            self._connect()
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(f"outlines: {error}; reinstall sglang-vllm-compat") from None


@lru_cache(maxsize=256)
def _decoded(text: str) -> tuple[Definition, ...]:
    return decode(text)


def _bits(ranges: str) -> int:
    """Return ranges such as `3-5,9-9` as a number with one bit for each release."""
    found = 0
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        found |= (1 << int(last) + 1) - (1 << int(first))
    return found


def outlines_by_release(outlines: SourceOutlines, package: str) -> list[dict[str, Outline]]:
    """Return, for each release of a package, the outlines of its files by path, to write them again."""
    releases: list[dict[str, Outline]] = [{} for _ in outlines.versions(package)]
    messages: dict[str, list[KnownMessage]] = {}
    for message in outlines.messages(package):
        messages.setdefault(message.path, []).append(message)
    for path in outlines.below(package, ""):
        for content in outlines.contents(package, path):
            for at in indexes(content.releases):
                texts = tuple(
                    Message(0, each.kind, each.template, each.guard)
                    for each in messages.get(path, ())
                    if each.releases >> at & 1
                )
                releases[at][path] = Outline(content.definitions, content.lines, texts)
    return releases


def indexes(bits: int) -> Sequence[int]:
    """Return the releases whose bits are set, oldest first."""
    return [at for at in range(bits.bit_length()) if bits >> at & 1]
