"""How long lists are told."""

from collections.abc import Iterable

SHOWN = 4
"""Names that are told of a long list."""
FILES = 3
"""The same of files and of mangled symbols, which are longer."""


def listed(names: Iterable[str], shown: int = SHOWN) -> str:
    """Return the first names of a list, each once, and how many more there are."""
    unique = list(dict.fromkeys(names))
    rest = f" and {len(unique) - shown} more" if len(unique) > shown else ""
    return ", ".join(unique[:shown]) + rest


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
