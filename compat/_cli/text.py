"""Format lists, counts, sizes, durations and tables for people."""

from collections.abc import Iterable, Sequence

from compat._cli.printable import printable

SHOWN = 4
"""Most names of a list that are shown."""
FILES = 3
"""Most file names or mangled symbols of a list that are shown; these are longer."""


def listed(names: Iterable[str], shown: int = SHOWN) -> str:
    """Return the first names of a list without duplicates, then how many more: `a, b and 3 more`."""
    unique = list(dict.fromkeys(names))
    rest = f" and {len(unique) - shown} more" if len(unique) > shown else ""
    return ", ".join(unique[:shown]) + rest


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(count: float) -> str:
    """Return a number of bytes as text: `9.1 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Return a duration as text: `1 min 35 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def aligned(rows: Iterable[Sequence[str]], *, words: int | None = None) -> list[str]:
    """Return the rows of a table as lines with aligned columns; all rows have the same length.

    Args:
        rows: the cells; control characters in them are escaped.
        words: the number of columns with words, which come first; the others hold numbers, aligned right.
    """
    table = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = len(widths) if words is None else words
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
