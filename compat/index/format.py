"""The format of the index file, for its reader and its writer: path, version and compression of texts."""

import zlib
from os.path import abspath, dirname, join

SHIPPED = join(dirname(dirname(abspath(__file__))), "data", "index.sqlite")  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The path of the index in this package, which "compat index build" writes."""

SCHEMA_VERSION = 4
_LONG = 1000
"""The length from which a text is compressed; shorter texts compress better together, in the wheel."""


def packed(text: str) -> str | bytes:
    """Return a text as the index stores it: compressed if that makes it shorter."""
    small = zlib.compress(text.encode(), 9) if len(text) > _LONG else b""
    return small if small and len(small) < len(text) else text


def unpacked(kept: str | bytes) -> str:
    """Return the text that `packed` encoded."""
    return zlib.decompress(kept).decode() if isinstance(kept, bytes) else kept
