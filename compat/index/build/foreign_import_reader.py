"""Read what modules import from other distributions, and keep the result of every distinct file on disk."""

import hashlib
import pickle
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path

from compat._util.cache_database import cache_database
from compat.index.build.parse_pool import CHUNK, Key, code_digest
from compat.index.extract import foreign_imports as extractor
from compat.index.extract.foreign_imports import ForeignImport, foreign_imports
from compat.model.releases import IMPORT_NAMES

_TABLE = "modules (key TEXT PRIMARY KEY, found BLOB)"


class ForeignImportReader:
    """Reads the imports from outside of the indexed packages.

    Args:
        executor: parses files; None for this process.
        folder: the cache folder.
    """

    def __init__(self, executor: Executor | None, folder: Path) -> None:
        self._executor = executor
        own = hashlib.sha256(Path(str(extractor.__file__)).read_bytes()).hexdigest()
        self._path = folder / f"demands-{code_digest()[:8]}{own[:8]}.sqlite"

    def known(self, keys: Iterable[Key]) -> dict[Key, tuple[ForeignImport, ...]]:
        """Return the imports of those modules that the cache has."""
        wanted = list(keys)
        if not wanted:
            return {}
        query = "SELECT found FROM modules WHERE key = ?"
        with cache_database(self._path, _TABLE) as database:
            rows = {key: database.execute(query, (":".join(key),)).fetchone() for key in wanted}
        return {key: _unpacked(row[0]) for key, row in rows.items() if row is not None}

    def read(self, wanted: Mapping[Key, tuple[bytes, bool]]) -> dict[Key, tuple[ForeignImport, ...]]:
        """Return the imports of the wanted modules; each value is the source and whether it is a package."""
        found = self.known(wanted)
        new = [key for key in wanted if key not in found]
        jobs = [(wanted[key][0], key[0], wanted[key][1]) for key in new]
        results = self._executor.map(_read, jobs, chunksize=CHUNK) if self._executor else map(_read, jobs)
        fresh = dict(zip(new, results, strict=True))
        if fresh:
            with cache_database(self._path, _TABLE) as database:
                database.executemany(
                    "INSERT OR IGNORE INTO modules VALUES (?, ?)",
                    ((":".join(key), packed) for key, packed in fresh.items()),
                )
        return found | {key: _unpacked(packed) for key, packed in fresh.items()}


def _read(job: tuple[bytes, str, bool]) -> bytes:
    source, module, is_package = job
    found = foreign_imports(source, module, is_package=is_package)
    tops = set(IMPORT_NAMES.values())
    kept = [tuple(each) for each in found if each.target.partition(":")[0].partition(".")[0] not in tops]
    return zlib.compress(pickle.dumps(kept), 1)


def _unpacked(found: bytes) -> tuple[ForeignImport, ...]:
    return tuple(ForeignImport(*each) for each in pickle.loads(zlib.decompress(found)))  # noqa: S301 -- written by this code
