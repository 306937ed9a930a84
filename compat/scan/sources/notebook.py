"""Read the code of a Jupyter notebook as one module, with the syntax of IPython blanked out."""

import re
from typing import NamedTuple

from compat.scan.sources.discovery import Unreadable
from compat.scan.sources.parse import tree_of

_MAGIC = re.compile(r"\s*(?:%|!|\?|.*\?\s*$)")
_ASSIGNED = re.compile(r"(\s*[\w., ]+=\s*)[%!].*")
"""`files = !ls` binds the name to an unknown value."""


class CellLine(NamedTuple):
    """The cell and the line in it from which a line of a notebook's code comes."""

    number: int
    """The number of the cell, from 1, all kinds of cells counted."""
    line: int
    """The number of the line in its cell, from 1."""


def code_of(data: bytes) -> tuple[bytes, tuple[CellLine, ...]]:
    """Return the source of the code cells, and the origin of each of its lines.

    Raises:
        Unreadable: the file is not a notebook.
    """
    import json  # few files are notebooks

    try:
        document = json.loads(data)
        cells = document["cells"]
        sources = [
            (number, "".join(cell["source"]))
            for number, cell in enumerate(cells, start=1)
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable("not a Jupyter notebook (nbformat 4)") from None
    lines: list[str] = []
    origins: list[CellLine] = []
    for number, source in sources:
        written = _python(source.split("\n"))
        if not _parses(written):
            written = [""] * len(written)
        lines += written
        origins += [CellLine(number, line) for line in range(1, len(written) + 1)]
    return "\n".join(lines).encode("utf-8", "surrogatepass"), tuple(origins)


def _parses(lines: list[str]) -> bool:
    """Return whether a cell is valid Python; other cells are blanked out."""
    try:
        tree_of("\n".join(lines).encode("utf-8", "surrogatepass"))
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def _python(lines: list[str]) -> list[str]:
    """Return the lines of a cell, with each magic replaced by `pass` or by an assignment of None."""
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not re.match(r"%%(?:time|timeit|capture|prun)\b", first):
        return [""] * len(lines)  # another language
    written = []
    for line in lines:
        assigned = _ASSIGNED.fullmatch(line)
        if assigned:
            written.append(f"{assigned[1]}None")
        elif _MAGIC.match(line) and not line.lstrip().startswith(("#", '"', "'")):
            written.append(f"{line[: len(line) - len(line.lstrip())]}pass")
        else:
            written.append(line)
    return written
