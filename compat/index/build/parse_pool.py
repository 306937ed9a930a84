"""Read modules in several processes, and cache the rows of each distinct module."""

import gc
import hashlib
import os
import pickle
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from compat._util.cache_database import cache_database
from compat.index import extract, records
from compat.index.extract.module_rows import ModuleRows, read_rows
from compat.model import guards
from compat.source_outlines import extract as outline_extract
from compat.source_outlines import records as outline_records

COUNT = 2
"""The number of processes. They only compute, so more processes than cores do not help."""


def processes() -> ProcessPoolExecutor:
    """Return a pool of processes from a fork server, which is safe for callers with threads.

    The garbage collector is off: millions of rows have no cycles, and the search takes a fifth of the time.
    """
    return ProcessPoolExecutor(COUNT, mp_context=get_context("forkserver"), initializer=begin_worker)


def begin_worker() -> None:
    """Prepare a process of the pool, which ends with the build even if that is killed."""
    Thread(target=_end_with_build, daemon=True).start()
    gc.disable()


def _end_with_build() -> None:
    build = parent_process()  # not the fork server, which is the parent of this process
    if build is not None:
        build.join()
        os._exit(1)


_TABLE = "modules (key TEXT PRIMARY KEY, rows BLOB)"

Key = tuple[str, str]
"""The name of a module and the SHA-256 of its source: equal keys have equal rows."""

CHUNK = 16
"""The number of modules per task: enough to outweigh the transfer to a process."""


def key_of(module: str, source: bytes) -> Key:
    """Return the cache key of a module."""
    return module, hashlib.sha256(source).hexdigest()


class ModuleReader:
    """Reads modules, and caches the rows of the last call in memory and all rows on disk.

    The cache on disk depends on the code: another version of the visitor has another cache.

    Args:
        executor: reads the modules; None for this process.
        folder: the cache folder; None for no cache on disk.
    """

    def __init__(self, executor: Executor | None = None, folder: Path | None = None) -> None:
        self._executor = executor
        self._rows: dict[Key, ModuleRows] = {}
        self._path = None if folder is None else folder / f"modules-{code_digest()[:16]}.sqlite"

    def read(self, wanted: Mapping[Key, tuple[bytes, bool]]) -> dict[Key, ModuleRows]:
        """Return the rows of the wanted modules; each value is the source and whether it is a package."""
        found = {key: self._rows[key] for key in wanted if key in self._rows}
        found.update(self.known(key for key in wanted if key not in found))
        new = [key for key in wanted if key not in found]
        jobs = [(wanted[key][0], key[0], wanted[key][1]) for key in new]
        results = self._executor.map(_read, jobs, chunksize=CHUNK) if self._executor else map(_read, jobs)
        packed = dict(zip(new, results, strict=True))
        found.update((key, _unpacked(rows)) for key, rows in packed.items())
        self._remember(packed)
        self._rows = found  # releases come in order: a module that this one lacks rarely returns
        return found

    def known(self, keys: Iterable[Key]) -> dict[Key, ModuleRows]:
        """Return the rows of those modules that the cache on disk has."""
        if self._path is None:
            return {}
        found: dict[Key, ModuleRows] = {}
        with cache_database(self._path, _TABLE) as database:
            for key in keys:
                row = database.execute("SELECT rows FROM modules WHERE key = ?", (":".join(key),)).fetchone()
                if row is not None:
                    found[key] = _unpacked(row[0])
        return found

    def _remember(self, packed: Mapping[Key, bytes]) -> None:
        if self._path is None or not packed:
            return
        with cache_database(self._path, _TABLE) as database:
            database.executemany(
                "INSERT OR IGNORE INTO modules VALUES (?, ?)",
                ((":".join(key), rows) for key, rows in packed.items()),
            )


def code_digest() -> str:
    """Return the digest of the code that converts source into rows."""
    digest = hashlib.sha256()
    for file in sorted(Path(extract.__path__[0]).glob("*.py")):
        digest.update(file.read_bytes())
    for module in (guards, records, outline_extract, outline_records):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _read(job: tuple[bytes, str, bool]) -> bytes:
    source, module, is_package = job
    return zlib.compress(pickle.dumps(read_rows(source, module, is_package=is_package)), 1)


def _unpacked(rows: bytes) -> ModuleRows:
    content = pickle.loads(zlib.decompress(rows))  # noqa: S301 -- written by this code into the user's own cache
    assert isinstance(content, ModuleRows)  # noqa: S101 -- for the type checker: pickle knows no types
    return content
