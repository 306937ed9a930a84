"""Positions of nodes in a file: the blocks around a node, and the tests that guard it in its expression."""

import ast
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
TryNode: tuple[type[ast.stmt], ...] = (ast.Try, ast.TryStar) if hasattr(ast, "TryStar") else (ast.Try,)
"""`try` and, from Python 3.11, `try` with `except*`."""
Branch = Literal["body", "orelse", "finalbody", "handler", "header"]
_BLOCKS = frozenset({"body", "orelse", "finalbody", "handlers", "cases"})

_LEAVES = frozenset({"attr", "ctx", "id", "op", "ops"})
"""Fields without nodes other than operators and contexts."""


class Test(NamedTuple):
    """A test in the same expression, and the value that it needs for the node to be evaluated."""

    expression: ast.expr
    wanted: bool


class NodePosition:
    """A statement in a block of another statement, linked outwards up to the module."""

    __slots__ = ("block", "branch", "handler", "index", "outer", "owner", "tests")

    def __init__(  # noqa: PLR0917 -- made in few places, for every statement
        self,
        outer: "NodePosition | None",
        owner: ast.AST,
        branch: Branch,
        block: Sequence[ast.stmt],
        index: int,
        handler: ast.ExceptHandler | None = None,
        tests: tuple[Test, ...] = (),
    ) -> None:
        self.outer = outer
        """The position of `owner`; None if that is the module."""
        self.owner = owner
        self.branch: Branch = branch
        """The block of the owner; `header` if the node is in an expression before its blocks."""
        self.block = block
        self.index = index
        self.handler = handler
        """The handler, if the branch is `handler`."""
        self.tests = tests

    @property
    def statement(self) -> ast.stmt:
        """The statement that contains the node."""
        return self.block[self.index]

    def within(self, tests: tuple[Test, ...]) -> "NodePosition":
        """Return the same position guarded by some tests."""
        if not tests:
            return self
        return NodePosition(self.outer, self.owner, self.branch, self.block, self.index, self.handler, tests)

    def at(self, index: int) -> "NodePosition":
        """Return the position of another statement of the same block."""
        return NodePosition(self.outer, self.owner, self.branch, self.block, index, self.handler)

    def outwards(self) -> "Iterator[NodePosition]":
        """Yield this position and those around it, the innermost first."""
        position: NodePosition | None = self
        while position is not None:
            yield position
            position = position.outer

    @property
    def function(self) -> FunctionNode | None:
        """The function around the statement; None at the level of a module or class."""
        for position in self.outwards():
            if isinstance(position.owner, ast.FunctionDef | ast.AsyncFunctionDef):
                return position.owner
        return None


class LineNumbers:
    """The line numbers to which a walk over a tree is limited."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = sorted(set(numbers))

    def covered(self, block: Sequence[ast.stmt]) -> Iterator[int]:
        """Yield the indexes of the statements of a block that cover one of the lines, decorators included.

        A file may be walked once for each of its functions, so statements in between are not looked at.
        """
        at = 0
        while at < len(block):
            following = bisect_left(self._numbers, _first_line(block[at]))
            if following == len(self._numbers):
                return
            at = bisect_left(block, self._numbers[following], lo=at, key=_last_line)
            if at < len(block) and self._numbers[following] >= _first_line(block[at]):
                yield at
                at += 1


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def statements(tree: ast.Module, lines: LineNumbers) -> Iterator[NodePosition]:
    """Yield the positions of the statements that cover one of the lines, in source order."""
    yield from _block(None, tree, "body", tree.body, lines)


def _block(  # noqa: PLR0917 -- as `NodePosition`
    outer: NodePosition | None,
    owner: ast.AST,
    branch: Branch,
    block: Sequence[ast.stmt],
    lines: LineNumbers,
    handler: ast.ExceptHandler | None = None,
) -> Iterator[NodePosition]:
    for index in lines.covered(block):
        position = NodePosition(outer, owner, branch, block, index, handler)
        yield position
        yield from _inside(position, block[index], lines)


def _inside(position: NodePosition, statement: ast.stmt, lines: LineNumbers) -> Iterator[NodePosition]:
    branch: Branch
    for branch in ("body", "orelse", "finalbody"):
        inner = getattr(statement, branch, None)
        if inner:
            yield from _block(position, statement, branch, inner, lines)
        if branch == "body":
            for handler in getattr(statement, "handlers", ()):
                yield from _block(position, statement, "handler", handler.body, lines, handler)
            for case in getattr(statement, "cases", ()):
                yield from _block(position, statement, "body", case.body, lines)


def headers(statement: ast.stmt, *, annotations: bool) -> Iterator[ast.AST]:
    """Yield the expressions of a statement outside its blocks.

    Args:
        statement: any statement.
        annotations: whether to include annotations.
    """
    for field, value in ast.iter_fields(statement):
        if field in _BLOCKS:
            if field == "handlers":
                yield from (handler.type for handler in value if handler.type is not None)
            elif field == "cases":
                yield from (case.pattern for case in value)
                yield from (case.guard for case in value if case.guard is not None)
            continue
        if not annotations and field in ("annotation", "returns"):
            continue
        if isinstance(value, ast.arguments) and not annotations:
            yield from (default for default in (*value.defaults, *value.kw_defaults) if default is not None)
        elif isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, ast.AST))


def expressions(node: ast.AST, tests: tuple[Test, ...] = ()) -> Iterator[tuple[ast.AST, tuple[Test, ...]]]:
    """Yield an expression and its parts, each with the tests that guard it.

    For a chain of attributes, `a.b.c`, this yields the whole chain and then the part before its first dot.
    """
    yield node, tests
    match node:
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield from expressions(test, tests)
            yield from expressions(body, (*tests, Test(test, wanted=True)))
            yield from expressions(orelse, (*tests, Test(test, wanted=False)))
        case ast.BoolOp(op=op, values=values):
            before = tests
            for value in values:
                yield from expressions(value, before)
                before = (*before, Test(value, wanted=isinstance(op, ast.And)))
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            guarded = (*tests, *_conditions(node))
            for child in ast.iter_child_nodes(node):
                yield from expressions(child, tests if isinstance(child, ast.comprehension) else guarded)
        case ast.Attribute():
            yield from expressions(_before_dots(node), tests)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from expressions(child, tests)


def _before_dots(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _conditions(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Iterator[Test]:
    """Yield the conditions of a comprehension that do not depend on its variables."""
    bound = {
        each.id
        for generator in node.generators
        for each in ast.walk(generator.target)
        if isinstance(each, ast.Name)
    }
    for generator in node.generators:
        for condition in generator.ifs:
            if not any(isinstance(each, ast.Name) and each.id in bound for each in ast.walk(condition)):
                yield Test(condition, wanted=True)


def within(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and its descendants except operators, in no particular order; faster than `ast.walk`."""
    ahead = [node]
    while ahead:
        node = ahead.pop()
        yield node
        for field in node._fields:
            if field not in _LEAVES:
                value = getattr(node, field, None)
                if type(value) is list:
                    ahead += [each for each in value if isinstance(each, ast.AST)]
                elif isinstance(value, ast.AST):
                    ahead.append(value)


def dotted(node: ast.AST) -> tuple[str, ...]:
    """Return the parts of a node of the form `a.b.c`; empty for any other node."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    return (node.id, *reversed(parts))
