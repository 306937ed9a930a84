"""Find the names that statements bind, and those that the top level of a module may leave unbound."""

import ast
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from heapq import heappop, heappush

from compat.scan.syntax.positions import FunctionNode, TryNode, within

_COMPOUND = (ast.If, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, *TryNode)
SIMPLE = (ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.FunctionDef)
"""Statements that only bind names; blocks of these count as well."""
_ASIDE = (ast.Pass, ast.Expr, ast.Return, ast.Raise, ast.Continue, ast.Break)
"""Statements that bind nothing and may occur in an `if` or a `try` that only binds names."""
_BRANCHING = (ast.If, ast.With, *TryNode)


def bound_names(statement: ast.stmt) -> list[str]:  # noqa: C901, PLR0912 -- one case for each form
    """Return the names that a statement binds in its own scope, including its blocks."""
    found: list[str] = []
    match statement:
        case ast.Import(names=names):
            found = [alias.asname or alias.name.partition(".")[0] for alias in names]
        case ast.ImportFrom(names=names):
            found = [alias.asname or alias.name for alias in names]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            found = [name]
        case ast.Assign(targets=targets):
            found = [name for target in targets for name in target_names(target)]
        case ast.AnnAssign(target=target, value=value) if value is not None:
            found = target_names(target)
        case ast.AugAssign(target=target):
            found = target_names(target)
        case ast.Match(cases=cases):
            for case in cases:
                found += captured_names(case.pattern)
                for inner in case.body:
                    found += bound_names(inner)
        case _ if isinstance(statement, _COMPOUND):
            if isinstance(statement, ast.If | ast.While):
                found += _named_in(statement.test)
            for field in ("body", "orelse", "finalbody"):
                for inner in getattr(statement, field, ()):
                    found += bound_names(inner)
            for handler in getattr(statement, "handlers", ()):
                for inner in handler.body:
                    found += bound_names(inner)
            if isinstance(statement, ast.For | ast.AsyncFor):
                found += target_names(statement.target)
            for item in getattr(statement, "items", ()):
                if item.optional_vars is not None:
                    found += target_names(item.optional_vars)
    return found


def imported_tops(statement: ast.stmt) -> frozenset[str]:
    """Return the names that a compound statement binds only by `import a.b`, always to the same package."""
    if not isinstance(statement, _COMPOUND):
        return frozenset()
    tops: set[str] = set()
    others: set[str] = set()
    for node in within(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                (others if alias.asname else tops).add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.stmt) and not isinstance(node, _COMPOUND):
            others.update(bound_names(node))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            others.add(node.id)
    return frozenset(tops - others)


def _named_in(test: ast.expr) -> list[str]:
    """Return the names that `:=` binds in a test."""
    return [each.target.id for each in ast.walk(test) if isinstance(each, ast.NamedExpr)]


def captured_names(pattern: ast.pattern) -> Iterator[str]:
    """Yield the names that the pattern of a `case` binds."""
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


@lru_cache(maxsize=10_000)
def only_binds(statement: ast.stmt) -> bool:
    """Return whether a statement only binds names; an `if` or a `try` of such statements counts."""
    if isinstance(statement, SIMPLE):
        return True
    blocks: list[ast.stmt] = []
    if isinstance(statement, ast.If):
        blocks = [*statement.body, *statement.orelse]
    elif isinstance(statement, ast.Match):
        blocks = [each for case in statement.cases for each in case.body]
    elif isinstance(statement, ast.Try):
        handled = [each for handler in statement.handlers for each in handler.body]
        blocks = [*statement.body, *handled, *statement.orelse]
    return bool(blocks) and all(isinstance(each, _ASIDE) or only_binds(each) for each in blocks)


Block = tuple[Sequence[ast.stmt], int]
"""The statements of a block up to an index."""
_MOST = 200
"""Number of statements that `BlockBinders.needed` returns at most, so that the work in a block is linear."""


class BlockBinders:
    """Finds the statements of blocks that bind names; each block is read once."""

    def __init__(self) -> None:
        self._places: dict[ast.stmt, dict[str, list[int]]] = {}

    def needed(self, blocks: Sequence[Block], nodes: Iterable[ast.AST]) -> list[ast.stmt] | None:
        """Return the statements on whose names some nodes depend, directly or indirectly, in source order.

        None if there are too many.

        Args:
            blocks: the blocks around the nodes, the outermost first.
            nodes: the nodes.
        """
        names = {name for node in nodes for name in _named(node)}
        found: list[ast.stmt] = []
        for block, end in reversed(blocks):
            if end:
                found += self._in_block(block, end, names, _MOST - len(found))
            if len(found) >= _MOST:
                return None
        return found[::-1]

    def _in_block(self, block: Sequence[ast.stmt], end: int, names: set[str], most: int) -> list[ast.stmt]:
        """Return the last statements of a block that are needed, the last one first, and add their names."""
        places = self._of(block)
        ahead: list[tuple[int, str]] = []

        def look(name: str) -> None:
            binders = places.get(name, ())
            before = bisect_left(binders, end)
            if before:
                heappush(ahead, (-binders[before - 1], name))

        for name in names:
            look(name)
        found: list[ast.stmt] = []
        while ahead and len(found) < most:
            place, name = heappop(ahead)
            if -place < end:
                end = -place
                found.append(block[end])
                new = _named(block[end]) - names
                names |= new
                for each in new:
                    look(each)
            look(name)
        return found

    def _of(self, block: Sequence[ast.stmt]) -> dict[str, list[int]]:
        if block[0] not in self._places:
            table = self._places[block[0]] = {}
            for at, statement in enumerate(block):
                for name in dict.fromkeys(bound_names(statement)):
                    table.setdefault(name, []).append(at)
        return self._places[block[0]]


@lru_cache(maxsize=10_000)
def _named(node: ast.AST) -> frozenset[str]:
    return frozenset(each.id for each in within(node) if isinstance(each, ast.Name))


def target_names(target: ast.expr) -> list[str]:
    """Return the names that an assignment to `target` binds."""
    if isinstance(target, ast.Name):
        return [target.id]
    return [
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


@lru_cache(maxsize=1_000)
def local_names(function: FunctionNode) -> tuple[str, ...]:
    """Return the parameters of a function and the names that it binds, except by `import vllm.x`.

    Such an import binds the same object as an `import vllm` before it.
    """
    arguments = function.args
    every = (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    )
    names = [argument.arg for argument in every if argument is not None]
    for statement in function.body:
        if not isinstance(statement, ast.Import):
            names += bound_names(statement)
    outside = set(declared_global(function.body, inner=False))
    return tuple(dict.fromkeys(name for name in names if name not in outside))


def declared_global(block: Sequence[ast.stmt], *, inner: bool) -> Iterator[str]:
    """Yield the names that statements declare `global`.

    Args:
        block: the statements.
        inner: whether functions inside the block count.
    """
    ahead: list[ast.AST] = list(block)
    while ahead:
        statement = ahead.pop()
        if isinstance(statement, ast.Global):
            yield from statement.names
        elif inner or not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                ahead += getattr(statement, field, ())


def names_maybe_unbound(body: Sequence[ast.stmt]) -> frozenset[str]:
    """Return the names that one control-flow path through a block binds and another does not."""
    branching = [each for each in body if isinstance(each, _BRANCHING) and not _never_run(each)]
    if not branching:
        return frozenset()
    bound = {name for statement in branching for name in bound_names(statement)}
    return frozenset(bound - (_surely_bound(body) or set())) if bound else frozenset()


def _surely_bound(block: Sequence[ast.stmt]) -> set[str] | None:
    """Return the names that every path to the end of a block binds; None if no path reaches it."""
    found: set[str] = set()
    for statement in block:
        bound = _by(statement)
        if bound is None:
            return None
        found |= bound
    return found


def _by(statement: ast.stmt) -> set[str] | None:
    match statement:
        case ast.Raise() | ast.Return() | ast.Continue() | ast.Break():
            return None
        case ast.If(body=body, orelse=orelse) if not _never_run(statement):
            common = _common([_surely_bound(body), _surely_bound(orelse)])
            return None if common is None else common.union(_named_in(statement.test))
        case ast.With():
            return set()  # it may suppress an exception of its block
        case _ if isinstance(statement, TryNode):
            main = _surely_bound([*statement.body, *statement.orelse])  # type: ignore[attr-defined]
            handlers = [_surely_bound(each.body) for each in statement.handlers]  # type: ignore[attr-defined]
            ways = _common([main, *handlers])
            last = _surely_bound(statement.finalbody)  # type: ignore[attr-defined]
            return None if ways is None or last is None else ways | last
        case ast.For() | ast.AsyncFor() | ast.While() | ast.Match():
            return set()
    return set(bound_names(statement))


def _common(ways: Sequence[set[str] | None]) -> set[str] | None:
    ended = [way for way in ways if way is not None]
    return set.intersection(*ended) if ended else None


def _never_run(statement: ast.stmt) -> bool:
    """Return whether an `if` runs only for type checkers, for scripts or never, and so not on import."""
    if not isinstance(statement, ast.If):
        return False
    return isinstance(statement.test, ast.Constant) or any(
        (isinstance(node, ast.Name) and node.id in ("TYPE_CHECKING", "__name__"))
        or (isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING")
        for node in ast.walk(statement.test)
    )
