"""Find the calls in a file whose callee is a function, class or method of the packages."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from compat.callables.parameters import Arguments
from compat.scan.prefilter.mentions import line_numbers
from compat.scan.sources.source_file import Source
from compat.scan.syntax.aliases import Aliases
from compat.scan.syntax.positions import (
    FunctionNode,
    LineNumbers,
    NodePosition,
    Test,
    dotted,
    expressions,
    headers,
    statements,
    within,
)

Way = Literal["path", "instance", "super"]
"""How the callee is found: a dotted path, a method of an object, or a method of the base classes."""


_USE = re.compile(rb"(?<![\w.])(self\.\w+|[^\W\d]\w*)(?=\s*[.(])")
"""A name, or an attribute of `self`, of which an attribute is read or which is called."""


class CallSite(NamedTuple):
    """One call of something of the packages."""

    node: ast.Call
    position: NodePosition
    way: Way
    paths: tuple[str, ...]
    """The dotted paths of what is called; for a method of an object, those of its class."""
    method: str
    """The method, for every way but a path."""
    arguments: Arguments
    owner: ast.ClassDef | None = None
    """For `super()`, the class around the call."""


def call_sites(source: Source, aliases: Aliases) -> Iterator[CallSite]:
    """Yield the calls of a file in source order.

    Args:
        source: the file.
        aliases: the names that its imports bind.
    """
    words = [*aliases.names, "super", "partial", "functools"]
    found = list(_walked(source, words, aliases, {}))
    yield from found
    objects = _objects(found)
    if objects:
        names = {name for _, name in objects}
        yield from (
            each for each in _walked(source, sorted(names), aliases, objects) if each.way == "instance"
        )


def _walked(
    source: Source, words: Iterable[str], aliases: Aliases, objects: Mapping[tuple[ast.AST | None, str], str]
) -> Iterator[CallSite]:
    wanted = {word.encode() for word in words}
    offsets = [found.start() for found in _USE.finditer(source.data) if found[1] in wanted]
    for position in statements(source.tree, LineNumbers(line_numbers(source.data, offsets))):
        if isinstance(position.statement, ast.Import | ast.ImportFrom):
            continue
        for header in headers(position.statement, annotations=False):
            for node in within(header):
                if isinstance(node, ast.Call):
                    site = _site(node, position, aliases, objects)
                    if site is not None:
                        yield site._replace(position=position.within(_tests(header, node)))


def _tests(header: ast.AST, wanted: ast.Call) -> tuple[Test, ...]:
    """Return the tests that guard a call in its expression."""
    return next((tests for node, tests in expressions(header) if node is wanted), ())


def _site(
    node: ast.Call,
    position: NodePosition,
    aliases: Aliases,
    objects: Mapping[tuple[ast.AST | None, str], str],
) -> CallSite | None:
    match node.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[]), attr=method):
            owner = class_around(position)
            if owner is None:
                return None
            return CallSite(node, position, "super", (), method, arguments_of(node), owner)
        case ast.Attribute(value=ast.Call(func=made), attr=method):
            paths = _paths(made, position, aliases)
            if not paths:
                return None
            return CallSite(node, position, "instance", paths, method, arguments_of(node))
    name = dotted(node.func)
    if name[-1:] == ("partial",) and node.args:
        paths = _paths(node.args[0], position, aliases)
        if paths:
            return CallSite(node, position, "path", paths, "", arguments_of(node, partial=True))
    paths = _paths(node.func, position, aliases)
    if paths:
        return CallSite(node, position, "path", paths, "", arguments_of(node))
    if len(name) > 1:
        known = objects.get((_scope_of(name[:-1], position), ".".join(name[:-1])))
        if known:
            return CallSite(node, position, "instance", (known,), name[-1], arguments_of(node))
    return None


def _paths(node: ast.expr, position: NodePosition, aliases: Aliases) -> tuple[str, ...]:
    """Return the dotted paths that an expression may stand for; empty if it is nothing of the packages."""
    first, *rest = dotted(node) or ("",)
    return tuple(".".join([base, *rest]) for base in aliases.paths(first, position)) if first else ()


def arguments_of(node: ast.Call, *, partial: bool = False) -> Arguments:
    """Return the arguments of a call; of `partial`, those after its first one."""
    positional = node.args[1:] if partial else node.args
    starred = [isinstance(each, ast.Starred) for each in positional]
    return Arguments(
        positional=starred.index(True) if True in starred else len(positional),
        keywords=tuple(each.arg for each in node.keywords if each.arg is not None),
        more_positional=True in starred,
        more_keywords=any(each.arg is None for each in node.keywords),
        partial=partial,
    )


def class_around(position: NodePosition) -> ast.ClassDef | None:
    """Return the class whose method contains a position; None elsewhere, as in a nested function."""
    inner: FunctionNode | None = None
    for each in position.outwards():
        if isinstance(each.owner, ast.FunctionDef | ast.AsyncFunctionDef):
            if inner is not None:
                return None
            inner = each.owner
        elif isinstance(each.owner, ast.ClassDef):
            return each.owner if inner is not None else None
    return None


def _objects(sites: Iterable[CallSite]) -> dict[tuple[ast.AST | None, str], str]:
    """Return the class of each name that a scope, or `self` of a class, binds once, to an object of it."""
    found: dict[tuple[ast.AST | None, str], str] = {}
    bound: dict[ast.AST, Counter[str]] = {}
    for each in sites:
        statement = each.position.statement
        if each.way != "path" or each.arguments.partial or len(each.paths) != 1:
            continue
        match statement:
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=value) if (
                value is each.node
            ):
                name = dotted(target)
            case _:
                continue
        scope = _scope_of(name, each.position) if name else None
        if scope is None or not _is_class(each.paths[0]):
            continue
        if scope not in bound:
            bound[scope] = Counter(_bound_in(scope))
        if bound[scope][".".join(name)] == 1:
            found[scope, ".".join(name)] = each.paths[0]
    return found


def _is_class(path: str) -> bool:
    """Return whether a path may end with a class: functions are written in lower case."""
    return not path.rpartition(".")[2].islower()


def _scope_of(name: tuple[str, ...], position: NodePosition) -> ast.AST | None:
    """Return the class for a name of `self`, else the function or the module around a position."""
    if len(name) == 2 and name[0] == "self":
        return class_around(position)
    last: ast.AST | None = None
    for each in position.outwards():
        if isinstance(each.owner, ast.FunctionDef | ast.AsyncFunctionDef):
            return each.owner
        last = each.owner
    return last if len(name) == 1 else None


def _bound_in(scope: ast.AST) -> Iterator[str]:
    """Yield the names that a scope, with what is nested in it, binds; those of `self` as `self.x`."""
    for node in within(scope):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store() | ast.Del()):
                yield f"self.{name}"
