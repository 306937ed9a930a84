"""Open the SQLite files of caches, whose errors are those of a disk: full, read-only or damaged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from compat.errors import DiskError


@contextmanager
def cache_database(path: Path, table: str) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a cache, which is created if it does not exist; the block is one transaction.

    Args:
        path: the file.
        table: name and columns of its table, as in `CREATE TABLE`.

    Raises:
        DiskError: the file cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=60)) as database, database:
            database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
            yield database
    except sqlite3.OperationalError as error:
        raise DiskError(f"cannot use the cache {path}: {error}; free disk space and run it again") from error
    except sqlite3.DatabaseError as error:
        raise DiskError(f"the cache {path} is damaged ({error}); delete it and run it again") from error
