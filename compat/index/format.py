"""The index file: where it is, and what whoever writes or reads it has to know of its form."""

import zlib
from os.path import abspath, dirname, join

SHIPPED = join(dirname(dirname(abspath(__file__))), "data", "index.sqlite")  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The index that comes with this package; written by `python -m compat.index build`."""

SCHEMA_VERSION = 3
_LONG = 1000
"""Characters from which a text is compressed by itself; shorter ones pack better together, in a wheel."""


def packed(text: str) -> str | bytes:
    """Return a text as it is kept: compressed when that pays."""
    small = zlib.compress(text.encode(), 9) if len(text) > _LONG else b""
    return small if small and len(small) < len(text) else text


def unpacked(kept: str | bytes) -> str:
    """Return the text that `packed` was given."""
    return zlib.decompress(kept).decode() if isinstance(kept, bytes) else kept
