"""Suggest indexed names that are similar to an unknown name."""

import difflib
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from compat.index.format import SHIPPED

MOST = 3
"""The maximum number of suggestions."""
_APART = 3
"""The maximum difference in length."""
_ALIKE = 0.8
"""The minimum share of equal letters in the same order."""
_LONGEST = 200
"""The maximum length of a name, since a comparison takes quadratic time."""


@lru_cache(maxsize=200)
def near(name: str, path: str = SHIPPED) -> tuple[str, ...]:
    """Return similar names of the index, most similar first; none if the index has the name."""
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
    """Return a text that suggests similar names for an unknown name; empty if there are none."""
    names = near(name, os.fspath(path))
    return f"{'similar names are' if names[1:] else 'a similar name is'} {', '.join(names)}" if names else ""


def _alike(name: str, folded: str, names: Iterable[str]) -> list[str]:
    """Return the names with similar spelling; most are excluded by length and first letters."""
    likely = sorted(
        known
        for known in names
        if abs(len(known) - len(name)) <= _APART and known[:1].casefold() == folded[:1]
    )
    return difflib.get_close_matches(name, likely, MOST, _ALIKE)
