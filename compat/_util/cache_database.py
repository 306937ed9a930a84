"""Open the SQLite files of caches, and say in one line why a cache is unusable: full, read-only, a file."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from compat.errors import DiskError

_ELSEWHERE = "set COMPAT_CACHE_DIR to a folder that can be written"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def in_a_home(folder: Path) -> Path:
    """Return the cache folder that the system names for this user.

    Raises:
        DiskError: it begins with `~`, because the user has no home folder, as in some containers.
    """
    if folder.parts[:1] == ("~",):
        raise DiskError(f"this user has no home folder for the cache; {_ELSEWHERE}")
    return folder


@contextmanager
def cache_database(path: Path, table: str) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a cache, which is created if it does not exist; the block is one transaction.

    Args:
        path: the file.
        table: name and columns of its table, as in `CREATE TABLE`.

    Raises:
        DiskError: the file cannot be read or written.
    """
    with cache_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=60)) as database, database:
            database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
            yield database


@contextmanager
def cache_errors(path: Path) -> Iterator[None]:
    """Replace the errors of a cache in a block by one that says what to do; those of other files pass.

    Args:
        path: the cache: a file or a folder.

    Raises:
        DiskError: the cache cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        where = Path(error.filename or path)
        if not (where.is_relative_to(path) or path.is_relative_to(where)):
            raise
        advice = "free disk space and run it again" if error.errno in _FULL else _ELSEWHERE
        raise DiskError(f"cannot use the cache {where}: {error.strerror}; {advice}") from error
    except sqlite3.OperationalError as error:
        closed = str(error).startswith(("unable to open", "attempt to write a readonly"))
        advice = _ELSEWHERE if closed else "free disk space and run it again"
        raise DiskError(f"cannot use the cache {path}: {error}; {advice}") from error
    except sqlite3.DatabaseError as error:
        raise DiskError(f"the cache {path} is damaged ({error}); delete it and run it again") from error
