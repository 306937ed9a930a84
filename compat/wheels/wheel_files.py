"""Read chosen files of wheels without downloading the rest, and keep each distinct file once."""

import base64
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import requests

from compat._util.cache_database import cache_errors
from compat.errors import IntegrityError
from compat.wheels.package_index import WheelFile
from compat.wheels.range_file import RemoteFile
from compat.wheels.record import read_record
from compat.wheels.source_cache import default_folder
from compat.wheels.wheel_sources import dist_info, member_content, member_ranges, member_text, opened

_TABLES = """
CREATE TABLE IF NOT EXISTS wheels (sha256 TEXT PRIMARY KEY, metadata BLOB NOT NULL, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS files (digest TEXT PRIMARY KEY, content BLOB NOT NULL);
"""


class WheelFileCache:
    """A cache of METADATA and RECORD of wheels, and of their files by content, in one SQLite file.

    Releases of one distribution share most of their files, and each is downloaded and kept once.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, or the user's cache folder when None."""
        self.path = (folder or default_folder()) / "wheel-files.sqlite"
        with cache_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as database, database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_TABLES)

    def wheel(self, sha256: str) -> tuple[str, dict[str, str]] | None:
        """Return METADATA and RECORD of a wheel; None if it was not read yet."""
        with self._connected() as database:
            row = database.execute(
                "SELECT metadata, record FROM wheels WHERE sha256 = ?", (sha256,)
            ).fetchone()
        if row is None:
            return None
        return zlib.decompress(row[0]).decode(), json.loads(zlib.decompress(row[1]))

    def keep_wheel(self, sha256: str, metadata: str, record: Mapping[str, str]) -> None:
        """Store METADATA and RECORD of a wheel."""
        packed = zlib.compress(metadata.encode()), zlib.compress(json.dumps(dict(record)).encode())
        with self._connected() as database, database:
            database.execute("INSERT OR REPLACE INTO wheels VALUES (?, ?, ?)", (sha256, *packed))

    def files(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Return the kept files among some, by digest."""
        found = {}
        with self._connected() as database:
            for digest in digests:
                row = database.execute("SELECT content FROM files WHERE digest = ?", (digest,)).fetchone()
                if row is not None:
                    found[digest] = zlib.decompress(row[0])
        return found

    def keep_files(self, files: Mapping[str, bytes]) -> None:
        """Store files by digest."""
        rows = [(digest, zlib.compress(content)) for digest, content in files.items()]
        with self._connected() as database, database:
            database.executemany("INSERT OR IGNORE INTO files VALUES (?, ?)", rows)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection; errors of the disk become a DiskError."""
        with cache_errors(self.path), closing(sqlite3.connect(self.path, timeout=120)) as database:
            yield database


class WheelFiles:
    """METADATA, RECORD and chosen files of one wheel; `with` closes its connection.

    Every file is verified against RECORD.
    """

    def __init__(self, wheel: WheelFile, session: requests.Session, cache: WheelFileCache) -> None:
        """Read METADATA and RECORD, from the cache if it has them.

        Raises:
            NetworkError: the server cannot be reached, or sends an invalid response.
            IntegrityError: the wheel is damaged.
        """
        self.wheel = wheel
        self.fetched = 0
        self._session = session
        self._cache = cache
        self._remote: RemoteFile | None = None
        known = cache.wheel(wheel.sha256)
        if known is None:
            known = self._read_head()
            cache.keep_wheel(wheel.sha256, *known)
        self.metadata, self.record = known

    def __enter__(self) -> "WheelFiles":  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *error: object) -> None:
        if self._remote is not None:
            self.fetched += self._remote.fetched
            self._remote.close()
            self._remote = None

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the content of some files of the wheel by path, in as few requests as possible.

        Raises:
            NetworkError: the server cannot be reached, or sends an invalid response.
            IntegrityError: a file differs from its digest, or RECORD does not list it.
        """
        wanted = {path: self.record[path] for path in paths if self.record.get(path)}
        kept = self._cache.files(set(wanted.values()))
        missing = [path for path, digest in wanted.items() if digest not in kept]
        if missing:
            with opened(self.wheel, self._connected()) as archive:
                members = {member.filename: member.header_offset for member in archive.infolist()}
                offsets = {members[path] for path in missing if path in members}
                self._connected().prefetch(member_ranges(archive, offsets))
                fresh = {
                    wanted[path]: member_content(self.wheel, archive, path, self.record)
                    for path in missing
                    if path in members
                }
            self._cache.keep_files(fresh)
            kept |= fresh
        return {path: kept[digest] for path, digest in wanted.items() if digest in kept}

    def _connected(self) -> RemoteFile:
        if self._remote is None:
            self._remote = RemoteFile(self.wheel, self._session)
        return self._remote

    def _read_head(self) -> tuple[str, dict[str, str]]:
        remote = self._connected()
        with opened(self.wheel, remote) as archive:
            info = dist_info(self.wheel, archive)
            members = {member.filename: member.header_offset for member in archive.infolist()}
            heads = {members[path] for path in (f"{info}/RECORD", f"{info}/METADATA") if path in members}
            remote.prefetch(member_ranges(archive, heads))
            record = read_record(self.wheel.filename, member_text(self.wheel, archive, f"{info}/RECORD"))
            metadata = member_text(self.wheel, archive, f"{info}/METADATA", record)
            listed = {path: record.get(path, "") for path in members if not path.endswith("/")}
        return metadata, listed


def hex_digest(digest: str) -> str | None:
    """Return the SHA-256 in a digest of RECORD as hexadecimal text; None for another algorithm."""
    algorithm, _, text = digest.partition("=")
    if algorithm != "sha256":
        return None
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except ValueError:
        raise IntegrityError(f"RECORD: {digest!r} is not a digest") from None
