"""Read the version tests by which a file guards its imports, as templates for a release.

`if version.parse(vllm.__version__) >= version.parse("0.11"):` around an import of vllm is the style of the
project; a test that the project does not use is never written.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from compat.scan.syntax.bound_names import bound_names
from compat.scan.syntax.positions import TryNode, dotted, within

_VERSION = re.compile(r"\d+(?:\.\d+)+(?:\.?(?:post|rc|dev)\d+)?")
_AT_LEAST = re.compile(r"(?:_ge|_gte|at_least|or_equal|or_newer|or_later|min_version)\b")
"""Part of the name of a function that compares with `>=`."""


class Style(NamedTuple):
    """A version test, as a template with a gap for the release."""

    before: str
    after: str
    """The source before and after the release."""
    names: frozenset[str]
    """The variable and module names in the version test."""
    imports: tuple[str, ...] = ()
    """Import statements that bind these names, if the file does not."""

    def test(self, release: str) -> str:
        """Return the source of the test for a release or a newer one."""
        return f"{self.before}{release}{self.after}"


def version_tests(text: str, tree: ast.Module, package: str) -> Iterator[Style]:
    """Yield the version tests that guard imports of a package, first without resolving variables."""
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


def tried_imports(tree: ast.Module, package: str) -> int:
    """Return the number of `try` statements in a file that import a package."""
    return sum(isinstance(node, TryNode) and _imports(node, package) for node in within(tree))


def usable(style: Style, tree: ast.Module, line: int, *, inside: bool) -> bool:
    """Return whether a line of a file can use the names in a version test.

    Args:
        style: the test.
        tree: the syntax tree of the file.
        line: the line.
        inside: whether the line is in a function, which runs after the whole module.
    """
    bound: set[str] = set()
    for statement in tree.body:
        if (inside or (statement.end_lineno or statement.lineno) < line) and not isinstance(
            statement, ast.If
        ):
            bound.update(bound_names(statement))
    return style.names <= bound


def with_imports(style: Style, source: ast.Module, target: ast.Module) -> Style | None:
    """Return a test of another file with the imports that it needs; None if it needs more than imports."""
    taken = {name for statement in target.body for name in bound_names(statement)}
    imports: list[str] = []
    found: set[str] = set()
    for statement in source.body:
        for name in sorted(style.names.intersection(bound_names(statement)) - found):
            if not isinstance(statement, ast.Import | ast.ImportFrom) or name in taken:
                return None  # the target may bind the name to something else
            if isinstance(statement, ast.ImportFrom) and statement.level:
                return None
            imports.append(_alone(statement, name))
            found.add(name)
    if found != style.names:
        return None
    return style._replace(imports=tuple(imports))


def _alone(statement: ast.Import | ast.ImportFrom, name: str) -> str:
    """Return the source of an import of one name only."""
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
    """Return the names that the top level of a file assigns exactly once, with their values."""
    found: dict[str, list[ast.expr]] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _style(text: str, test: ast.expr, package: str, values: Mapping[str, ast.expr]) -> Style | None:
    """Return a test as a template with the package on the left, None if it is not a version test."""
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
