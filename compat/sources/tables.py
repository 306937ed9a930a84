"""Read and extend the index files of sources, which have more tables than an index of releases."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from compat._util.atomic_write import replacing


def opened(file: Path) -> "closing[sqlite3.Connection]":
    """Return a block with a connection that reads a file."""
    return closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True))


def has_table(file: Path, name: str) -> bool:
    """Return whether a file has a table."""
    with opened(file) as database:
        return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchall())


@contextmanager
def extending(file: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a copy of a file, which replaces the file when the block ends without an error.

    Raises:
        DiskError: the file cannot be written.
    """
    with replacing(file) as part:
        shutil.copyfile(file, part)
        with closing(sqlite3.connect(part)) as database, database:
            yield database
