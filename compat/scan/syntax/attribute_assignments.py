"""Find the attribute assignments of a file: `self.new = …`, `NEW = …` in a class body, `config.new = …`."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from compat.scan.syntax.bound_names import bound_names
from compat.scan.syntax.positions import FunctionNode, within


class Store(NamedTuple):
    """A statement that assigns to an attribute."""

    owner: ast.ClassDef | None
    """The class around the statement."""
    function: FunctionNode | None
    """The function around the statement; None in the body of a class or module."""
    block: Sequence[ast.stmt]
    """The body of the function, class or module."""
    at: int
    """Index of the statement in the block; the assignment may be nested inside the statement."""
    base: str
    """The name before the dot, such as `self`; empty in the body of a class."""


def stores(tree: ast.Module) -> dict[str, list[Store]]:
    """Return the statements that assign to attributes, by the attribute's name."""
    found: dict[str, list[Store]] = {}
    for name, store in _block(None, None, tree.body):
        found.setdefault(name, []).append(store)
    return found


def _block(
    owner: ast.ClassDef | None, function: FunctionNode | None, block: Sequence[ast.stmt]
) -> Iterator[tuple[str, Store]]:
    for index, statement in enumerate(block):
        if owner is not None and function is None:
            for name in dict.fromkeys(bound_names(statement)):
                yield name, Store(owner, None, block, index, "")
        if isinstance(statement, ast.ClassDef):
            yield from _block(statement, None, statement.body)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _block(owner, statement, statement.body)
        else:
            for name, base in dict.fromkeys(_assigned(statement)):
                yield name, Store(owner, function, block, index, base)


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    for node in within(statement):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield node.attr, node.value.id if isinstance(node.value, ast.Name) else ""
