"""How a project guards its imports by releases: the test that it writes, with room for a release.

`if version.parse(vllm.__version__) >= version.parse("0.11"):` around an import of vllm is taken as the way in
which this project asks; others are not invented.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from compat.scan.syntax.bound_names import bound_names
from compat.scan.syntax.positions import TryNode, dotted, within

_VERSION = re.compile(r"\d+(?:\.\d+)+(?:\.?(?:post|rc|dev)\d+)?")
_AT_LEAST = re.compile(r"(?:_ge|_gte|at_least|or_equal|or_newer|or_later|min_version)\b")
"""In the name of a function that compares with `>=`."""


class Style(NamedTuple):
    """A test for the release of a package."""

    before: str
    after: str
    """What stands before and after the release."""
    names: frozenset[str]
    """The names that it needs."""
    imports: tuple[str, ...] = ()
    """Statements that bind them, where the file does not."""

    def test(self, release: str) -> str:
        """Return the test for a release or a newer one."""
        return f"{self.before}{release}{self.after}"


def styles(text: str, tree: ast.Module, package: str) -> Iterator[Style]:
    """Yield the tests that a file guards imports of a package by, then with the values of their variables."""
    found = [
        test
        for node in within(tree)
        if isinstance(node, ast.If) and _imports(node, package)
        for test in _comparisons(node.test)
    ]
    for values in ({}, _variables(tree)):
        for test in found:
            style = _style(text, test, package, values)
            if style is not None:
                yield style


def attempts(tree: ast.Module, package: str) -> int:
    """Return how many imports of a package a file guards by trying them."""
    return sum(isinstance(node, TryNode) and _imports(node, package) for node in within(tree))


def usable(style: Style, tree: ast.Module, line: int, *, inside: bool) -> bool:
    """Return whether the names of a test are bound at a place.

    Args:
        style: the test.
        tree: the file.
        line: of the place.
        inside: whether the place is in a function: it runs when the whole file has.
    """
    bound: set[str] = set()
    for statement in tree.body:
        if (inside or (statement.end_lineno or statement.lineno) < line) and not isinstance(
            statement, ast.If
        ):
            bound.update(bound_names(statement))
    return style.names <= bound


def carried(style: Style, source: ast.Module, target: ast.Module) -> Style | None:
    """Return a test of another file with the imports that it needs; None when it needs more than imports."""
    taken = {name for statement in target.body for name in bound_names(statement)}
    imports: list[str] = []
    found: set[str] = set()
    for statement in source.body:
        for name in sorted(style.names.intersection(bound_names(statement)) - found):
            if not isinstance(statement, ast.Import | ast.ImportFrom) or name in taken:
                return None  # it may be another thing there, or come later
            if isinstance(statement, ast.ImportFrom) and statement.level:
                return None
            imports.append(_alone(statement, name))
            found.add(name)
    if found != style.names:
        return None
    return style._replace(imports=tuple(imports))


def _alone(statement: ast.Import | ast.ImportFrom, name: str) -> str:
    """Return an import of one name only."""
    names = [each for each in statement.names if (each.asname or each.name.partition(".")[0]) == name]
    return ast.unparse(type(statement)(**{**vars(statement), "names": names}))


def _imports(node: ast.stmt, package: str) -> bool:
    blocks: Sequence[ast.stmt] = [*node.body, *node.orelse]  # type: ignore[attr-defined]
    return any(
        (isinstance(each, ast.ImportFrom) and (each.module or "").partition(".")[0] == package)
        or (isinstance(each, ast.Import) and any(a.name.partition(".")[0] == package for a in each.names))
        for each in blocks
    )


def _comparisons(test: ast.expr) -> Iterator[ast.expr]:
    match test:
        case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE()]):
            yield test
        case ast.Call(func=function) if dotted(function) and _AT_LEAST.search(dotted(function)[-1]):
            yield test
        case ast.BoolOp(values=values):
            for value in values:
                yield from _comparisons(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _comparisons(operand)


def _variables(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the names that the top level of a file assigns once, with what."""
    found: dict[str, list[ast.expr]] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _style(text: str, test: ast.expr, package: str, values: Mapping[str, ast.expr]) -> Style | None:
    """Return the test with room for a release, the package on the left."""
    written = ast.get_source_segment(text, test)
    releases = [
        node
        for node in within(test)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VERSION.fullmatch(node.value)
    ]
    if len(releases) != 1 or not written:
        return None
    (release,) = releases
    names = _names(test)
    if isinstance(test, ast.Compare):
        left, right = test.left, test.comparators[0]
        if release in set(within(left)):
            left, right = right, left
        if isinstance(left, ast.Name) and left.id in values:
            names = names - {left.id} | _names(values[left.id])
            left = values[left.id]
        have, than = (ast.get_source_segment(text, side) or "" for side in (left, right))
        written = f"{have} >= {than}"
    if "\n" in written or package not in written.lower():
        return None
    literal = ast.get_source_segment(text, release) or ""
    before, found, after = written.rpartition(literal)
    quote = literal[-1:]
    return Style(f"{before}{quote}", f"{quote}{after}", names) if found else None


def _names(node: ast.expr) -> frozenset[str]:
    return frozenset(each.id for each in within(node) if isinstance(each, ast.Name))
