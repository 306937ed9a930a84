"""Find where a file uses names of the packages as classes: a function at their place would not do."""

import ast
import re
from collections.abc import Container, Iterator, Sequence
from typing import Literal, NamedTuple

from compat.scan.prefilter.mentions import line_numbers
from compat.scan.sources.source_file import Source
from compat.scan.syntax.aliases import Aliases
from compat.scan.syntax.positions import LineNumbers, NodePosition, dotted, expressions, headers, statements
from compat.scan.syntax.references import Reference, evaluates_annotations, import_references

Use = Literal["base_class", "instance_check", "handler", "type", "pattern", "class_attribute"]
_CHECKS = frozenset({"isinstance", "issubclass"})
_TYPES = frozenset({"type", "Type"})
_OF_FUNCTIONS = frozenset({"cache_clear", "cache_info", "cache_parameters"})
"""Attributes that a decorated function has."""


class _Use(NamedTuple):
    """An expression that stands for a class."""

    node: ast.expr
    use: Use


def class_uses(source: Source, module: str, paths: Container[str]) -> list[Reference]:
    """Return the uses of some names as classes, in source order; the form of each says how it is used.

    Args:
        source: the file.
        module: its dotted name, which relative imports need; empty if it has none.
        paths: the dotted paths of the names.
    """
    aliases = Aliases(source.tree)
    everywhere = LineNumbers(range(1, source.data.count(b"\n") + 2))
    for position in statements(source.tree, everywhere):
        if isinstance(position.statement, ast.Import | ast.ImportFrom):
            for _ in import_references(position, aliases, module):
                pass  # it adds the names that the import binds
    if not aliases.names:
        return []
    words = b"|".join(re.escape(name.encode()) for name in sorted(aliases.names))
    offsets = [match.start() for match in re.finditer(rb"(?<![\w.])(?:" + words + rb")\b", source.data)]
    annotations = evaluates_annotations(source.tree)
    found: list[Reference] = []
    for position in statements(source.tree, LineNumbers(line_numbers(source.data, offsets))):
        for use in _uses(position, annotations=annotations):
            path = _path(use, position, aliases, paths)
            if path:
                base, _, name = path.rpartition(".")
                found.append(Reference(use.use, (base,), (name,), use.node, position))
    return sorted(found, key=lambda each: (each.node.lineno, each.node.col_offset))  # type: ignore[attr-defined]


def _path(use: _Use, position: NodePosition, aliases: Aliases, paths: Container[str]) -> str:
    """Return the path among `paths` that an expression stands for; empty for any other expression."""
    first, *rest = dotted(use.node) or ("",)
    for base in aliases.paths(first, position) if first else ():
        parts = [*base.split("."), *rest]
        if use.use != "class_attribute":
            if ".".join(parts) in paths:
                return ".".join(parts)
            continue
        for end in range(len(parts) - 1, 1, -1):
            if ".".join(parts[:end]) in paths and not _has_attribute(parts[end]):
                return ".".join(parts[:end])
    return ""


def _has_attribute(name: str) -> bool:
    """Return whether a function may have an attribute, too."""
    return name in _OF_FUNCTIONS or (name.startswith("__") and name.endswith("__"))


def _uses(position: NodePosition, *, annotations: bool) -> Iterator[_Use]:
    statement = position.statement
    if isinstance(statement, ast.ClassDef):
        for base in statement.bases:
            yield _Use(base.value if isinstance(base, ast.Subscript) else base, "base_class")
    for handler in getattr(statement, "handlers", ()):
        yield from (_Use(each, "handler") for each in _members(handler.type))
    for case in getattr(statement, "cases", ()):
        for node in ast.walk(case.pattern):
            if isinstance(node, ast.MatchClass):
                yield _Use(node.cls, "pattern")
    for header in headers(statement, annotations=annotations):
        for node, _ in expressions(header):
            yield from _in_expression(node)


def _in_expression(node: ast.AST) -> Iterator[_Use]:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[_, kinds]) if name in _CHECKS:
            yield from (_Use(each, "instance_check") for each in _members(kinds))
        case ast.Subscript(value=holder, slice=kind) if dotted(holder)[-1:] and dotted(holder)[-1] in _TYPES:
            yield from (_Use(each, "type") for each in _members(kind))
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            yield from (_Use(each, "type") for each in (left, right) if dotted(each))
        case ast.Attribute(ctx=ast.Load()):
            yield _Use(node, "class_attribute")


def _members(node: ast.expr | None) -> Sequence[ast.expr]:
    """Return the classes of `A`, `(A, B)` or `A | B`."""
    match node:
        case None:
            return ()
        case ast.Tuple(elts=elements):
            return [each for element in elements for each in _members(element)]
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return [*_members(left), *_members(right)]
    return [node]
