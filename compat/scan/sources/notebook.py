"""Read the code of a Jupyter notebook as one module, with the syntax of IPython blanked out.

A cell that is Python is taken as it is. Only in other cells are magics, shell commands and requests for help
looked for, and only where a statement begins: inside brackets and strings, `%` and `!` mean something else.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from compat.scan.sources.discovery import Unreadable
from compat.scan.sources.parse import tree_of, unparsable

_TOKEN = re.compile(r"""#.*|\"{3}|'{3}|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[(\[{]|[)\]}]|\\$|\?""")
"""What decides where a statement ends: comments, strings, brackets, a backslash at the end, and `?`."""
_TIMED = re.compile(r"%(?:time|timeit|prun)[ \t]+([^\s-].*)")
"""A magic that runs the Python statement after it."""
_PYTHON = frozenset({"time", "timeit", "capture", "prun", "debug", "python", "python3", "px"})
"""Magics for a whole cell whose body is Python."""
_LANGUAGES = frozenset(
    {
        "bash",
        "sh",
        "html",
        "HTML",
        "javascript",
        "js",
        "latex",
        "markdown",
        "svg",
        "SVG",
        "perl",
        "ruby",
        "sql",
    }
)
"""Magics for a whole cell whose body is another language; a body that any other magic has may be either."""


class CellLine(NamedTuple):
    """The cell and the line in it from which a line of a notebook's code comes."""

    number: int
    """The number of the cell, from 1, all kinds of cells counted."""
    line: int
    """The number of the line in its cell, from 1."""


class UnreadCell(NamedTuple):
    """A code cell that is not valid Python, and is left out."""

    line: int
    """The line with the error, counted over the code of all cells, from 1."""
    code: str
    """The text of that line."""
    reason: str


class NotebookCode(NamedTuple):
    """The code of a notebook."""

    data: bytes
    """The source of the code cells."""
    origins: tuple[CellLine, ...]
    """The origin of each line."""
    unread: tuple[UnreadCell, ...]


def code_of(data: bytes) -> NotebookCode:
    """Return the source of the code cells, the origin of each of its lines, and the cells left out.

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
    unread: list[UnreadCell] = []
    for number, source in sources:
        cell = source.replace("\r\n", "\n").split("\n")
        written, error = _python(cell)
        if error:
            at = min(error.line, len(cell))
            unread.append(UnreadCell(len(lines) + at, cell[at - 1], str(error)))
        lines += written
        origins += [CellLine(number, line) for line in range(1, len(written) + 1)]
    return NotebookCode(_encoded(lines), tuple(origins), tuple(unread))


def _python(cell: list[str]) -> tuple[list[str], Unreadable | None]:
    """Return the lines of a cell as Python, blank if they are not, and then the error."""
    error = _error(cell)
    if error is None:
        return cell, None
    blank = [""] * len(cell)
    first = next((at for at, line in enumerate(cell) if line.strip()), 0)
    words = cell[first].split()
    magic = words[0].removeprefix("%%") if words and words[0].startswith("%%") else ""
    if magic in _LANGUAGES:
        return blank, None
    written = list(_without_magics(cell if not magic else [*blank[: first + 1], *cell[first + 1 :]]))
    error = _error(written)
    if error is None:
        return written, None
    return blank, None if magic and magic not in _PYTHON else error


def _error(lines: list[str]) -> Unreadable | None:
    """Return why lines are not valid Python; None if they are."""
    try:
        tree_of(_encoded(lines))
    except (SyntaxError, ValueError, RecursionError) as error:
        return unparsable(error)
    return None


def _encoded(lines: list[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _without_magics(cell: list[str]) -> Iterator[str]:
    """Yield the lines of a cell, with each magic replaced by `pass` or by an assignment of None."""
    open_text, depth, goes_on = "", 0, False
    in_command = False
    for line in cell:
        if in_command:
            in_command = line.endswith("\\")
            yield ""
            continue
        begins = not (open_text or depth or goes_on)
        replaced = _command(line) if begins else None
        if replaced is not None:
            in_command = line.endswith("\\")
            yield replaced
            continue
        asks, before = False, (open_text, depth)
        open_text, depth, goes_on, asks = _scanned(line, open_text, depth)
        if asks and begins:  # `vllm.LLM?` shows help; outside strings and comments, Python has no `?`
            open_text, depth = before
            goes_on = False
            yield f"{_indent(line)}pass"
        else:
            yield line


def _scanned(line: str, open_text: str, depth: int) -> tuple[str, int, bool, bool]:
    """Return the state after a line, and whether it has a question mark outside strings and comments.

    The state is the quotes of an open multi-line string, the depth of brackets, and whether the line ends in
    a backslash.
    """
    at, asks, goes_on = 0, False, False
    while at < len(line):
        if open_text:
            end = _end_of_text(line, at, open_text)
            if end < 0:
                return open_text, depth, False, asks
            open_text, at = "", end
            continue
        match = _TOKEN.search(line, at)
        if match is None:
            break
        sign, at = match[0], match.end()
        if sign in ('"""', "'''"):
            open_text = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth = max(0, depth - 1)
        elif sign == "?":
            asks = True
        elif sign == "\\":
            goes_on = True
    return open_text, depth, goes_on, asks


def _end_of_text(line: str, at: int, quotes: str) -> int:
    """Return the offset after the quotes that end a multi-line string, -1 if the line has none."""
    while at < len(line):
        if line[at] == "\\":
            at += 2
        elif line.startswith(quotes, at):
            return at + len(quotes)
        else:
            at += 1
    return -1


def _command(line: str) -> str | None:
    """Return what replaces a line that is a magic, a shell command or a request for help; None if it is none.

    `files = !ls` binds the name to an unknown value.
    """
    text = line.lstrip()
    timed = _TIMED.match(text)
    if timed is not None and _error([timed[1]]) is None:
        return f"{_indent(line)}{timed[1]}"
    if text.startswith(("%", "!", "?")):
        return f"{_indent(line)}pass"
    target, sign, value = line.partition("=")
    if sign and value.lstrip().startswith(("%", "!")) and all(map(_is_target, target.split(","))):
        return f"{target}= None"
    return None


def _is_target(text: str) -> bool:
    return all(map(str.isidentifier, text.strip().split(".")))


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
