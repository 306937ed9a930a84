"""Parse a source file or notebook into its bytes, its syntax tree and its lines."""

import ast
from typing import TYPE_CHECKING, NamedTuple

from compat.scan.sources.parse import tree_of, unparsable
from compat.scan.syntax.positions import LineNumbers

if TYPE_CHECKING:  # few files are notebooks
    from compat.scan.sources.notebook import CellLine, UnreadCell


class Source(NamedTuple):
    """A parsed source file."""

    path: str
    tree: ast.Module
    data: bytes
    """Python source with `\\n` at the end of lines; for a notebook, the source of its code cells."""
    cells: "tuple[CellLine, ...]" = ()
    """For a notebook, the origin of each line."""
    unread: "tuple[UnreadCell, ...]" = ()
    """For a notebook, the cells that are not valid Python."""

    def lines(self) -> list[str]:
        """Return the lines of the source as text."""
        return decoded(self.data).split("\n")


def parse(path: str, data: bytes) -> Source:
    """Return the parsed source of a file.

    Raises:
        Unreadable: the file cannot be parsed.
    """
    cells: tuple[CellLine, ...] = ()
    unread: tuple[UnreadCell, ...] = ()
    if path.endswith(".ipynb"):
        from compat.scan.sources.notebook import code_of

        data, cells, unread = code_of(data)
    elif b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        tree = tree_of(data)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise unparsable(error) from None
    return Source(path, tree, data, cells, unread)


def decoded(data: bytes) -> str:
    """Return the text of a source file, decoded as Python does."""
    if b"coding" not in b"".join(data.split(b"\n", 2)[:2]):  # PEP 263: nowhere else
        return data.decode("utf-8-sig", "replace")
    import tokenize
    from io import BytesIO

    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return data.decode("utf-8", "replace")


def everything() -> LineNumbers:
    """Return line numbers that match every statement."""
    return _Everything(())


class _Everything(LineNumbers):
    def within(self, node: ast.stmt) -> bool:  # noqa: ARG002 -- every statement matches
        return True
