"""Names of any release that are written nearly like one that no release has."""

import difflib
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from compat.index.format import SHIPPED

MOST = 3
"""Names that are told."""
_APART = 3
"""Letters by which the length may differ."""
_ALIKE = 0.8
"""Of the letters, the share that must be the same and in order."""
_LONGEST = 200
"""Letters of a name that may be one: comparing takes the square of them."""


@lru_cache(maxsize=200)
def near(name: str, path: str = SHIPPED) -> tuple[str, ...]:
    """Return names of the index that may have been meant, the nearest first; none when it has the name."""
    if len(name) > _LONGEST:
        return ()
    names = _names(path)
    if name in names:
        return ()
    folded = name.casefold()
    same = sorted(known for known in names if known.casefold() == folded)
    return tuple(same[:MOST] or _alike(name, folded, names))


@lru_cache(maxsize=1)
def _names(path: str) -> frozenset[str]:
    uri = f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        return frozenset(name for (name,) in database.execute("SELECT name FROM names"))


def hint(name: str, path: str | os.PathLike[str] = SHIPPED) -> str:
    """Return in words what a name that no release has may be meant to be; empty when nothing is near it."""
    names = near(name, os.fspath(path))
    return f"near it {'are' if names[1:] else 'is'} {', '.join(names)}" if names else ""


def _alike(name: str, folded: str, names: Iterable[str]) -> list[str]:
    """Return those that have nearly the same letters; most are out after a look at length and beginning."""
    likely = sorted(
        known
        for known in names
        if abs(len(known) - len(name)) <= _APART and known[:1].casefold() == folded[:1]
    )
    return difflib.get_close_matches(name, likely, MOST, _ALIKE)
