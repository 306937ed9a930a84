"""The data file of the outlines: its path, its tables, and how texts are compressed."""

import lzma
from collections.abc import Iterator
from os.path import abspath, dirname, join

NAME = "sources.sqlite"
SHIPPED = join(dirname(dirname(abspath(__file__))), "data", NAME)  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The path of the data file in this package, which "compat index build" writes beside the index."""
SCHEMA_VERSION = 1
TABLES = """
CREATE TABLE packages (name TEXT PRIMARY KEY, paths BLOB NOT NULL, messages BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE releases (
    package TEXT NOT NULL, release_index INTEGER NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (package, release_index)) WITHOUT ROWID;
CREATE TABLE groups (
    id INTEGER PRIMARY KEY, package TEXT NOT NULL, ranges BLOB NOT NULL, definitions BLOB NOT NULL,
    lines BLOB NOT NULL);
"""
"""Files are stored in groups, which compress better than single files: `paths` has one line a file, in order,
and an empty line between groups. In a group, `ranges` has a line for each file: for each distinct content
its number of lines and the releases that have it. `definitions` has the contents of all files, separated
by NUL, and `lines` their line codes in the same order."""
_CHUNK = 1 << 16
_FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20},)


def compressed(data: bytes) -> bytes:
    """Return data as the file stores it."""
    return lzma.compress(data, format=lzma.FORMAT_RAW, filters=list(_FILTERS))


def decompressed_lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines of the data that `compressed` encoded, without holding all of it."""
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=list(_FILTERS))
    rest, chunk = b"", decoder.decompress(data, max_length=_CHUNK)
    while chunk:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        chunk = b"" if decoder.eof or decoder.needs_input else decoder.decompress(b"", max_length=_CHUNK)
    if rest:
        yield rest


def decompressed(data: bytes) -> bytes:
    """Return the data that `compressed` encoded."""
    return lzma.decompress(data, format=lzma.FORMAT_RAW, filters=list(_FILTERS))
