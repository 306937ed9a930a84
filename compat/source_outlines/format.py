"""The data file of the outlines: its path, its tables, and how texts are compressed."""

import lzma
from os.path import abspath, dirname, join

NAME = "sources.sqlite"
SHIPPED = join(dirname(dirname(abspath(__file__))), "data", NAME)  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The path of the data file in this package, which "compat index build" writes beside the index."""
SCHEMA_VERSION = 1
TABLES = """
CREATE TABLE releases (
    package TEXT NOT NULL, release_index INTEGER NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (package, release_index)) WITHOUT ROWID;
CREATE TABLE files (
    package TEXT NOT NULL, path TEXT NOT NULL, ranges TEXT NOT NULL, definitions BLOB NOT NULL,
    lines BLOB NOT NULL, PRIMARY KEY (package, path));
CREATE TABLE messages (package TEXT PRIMARY KEY, texts BLOB NOT NULL) WITHOUT ROWID;
"""
"""A file has one entry for each distinct content: `ranges` is `first-last,…` in the order of the contents,
and contents are separated by NUL in `definitions` and by their lengths, with `ranges`, in `lines`."""
_FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 23},)


def compressed(data: bytes) -> bytes:
    """Return data as the file stores it."""
    return lzma.compress(data, format=lzma.FORMAT_RAW, filters=list(_FILTERS))


def decompressed(data: bytes) -> bytes:
    """Return the data that `compressed` encoded."""
    return lzma.decompress(data, format=lzma.FORMAT_RAW, filters=list(_FILTERS))
