"""Extract the features by which definitions are compared: bases, members and phrases of their source."""

import ast
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from compat.model.symbols import Kind

PHRASE = 4
"""Words per phrase: long enough to be specific, short enough to survive an edit nearby."""
WORD = re.compile(rb"[A-Za-z_]\w*|\d+|[-+*/%<>=!&|^~@\[\]]")
"""The words of source code, without call brackets, commas and quotes, which change with formatting."""
OWN_NAME = b"@"
"""Replaces the name of the definition in its own source, since a rename changes it everywhere."""


class View(NamedTuple):
    """The compared features of a class or function."""

    bases: frozenset[str]
    """The last part of the name of each base class."""
    members: frozenset[str]
    """The methods of a class, or the parameters of a function."""
    phrases: frozenset[int]
    """The checksums of the phrases of its source."""


class Features(NamedTuple):
    """The features of a class or function at the top level of a module."""

    kind: Kind
    own: View
    whole: View
    """Includes the base classes of the same module: splitting a class does not change its behaviour."""
    hands_on: str | None = None
    """The base class or function, by its last name, to which it adds nothing but a warning."""


def read_features(source: bytes) -> dict[str, Features]:
    """Return the features of each class and function at the top level of a module, by name.

    A file that is not valid Python has none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    lines = source.splitlines()
    found: dict[str, Features] = {}
    for node in _definitions(tree.body):
        if isinstance(node, ast.ClassDef):
            own = _class(node, lines)
            found[node.name] = Features("class", own, _with_bases(own, found), _deprecated_base(node))
        else:
            own = _function(node, lines)
            found[node.name] = Features("function", own, own, _deprecated_call(node))
    return found


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _definitions(body: Iterable[ast.stmt]) -> Iterator[Definition]:
    """Yield the definitions of a block in order, including those under `if`, `try` and `with`."""
    for node in body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node
            case ast.If():
                yield from _definitions([*node.body, *node.orelse])
            case ast.Try():
                handlers = [statement for handler in node.handlers for statement in handler.body]
                yield from _definitions([*node.body, *handlers, *node.orelse, *node.finalbody])
            case ast.With():
                yield from _definitions(node.body)


def _class(node: ast.ClassDef, lines: Sequence[bytes]) -> View:
    methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
    bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
    return View(frozenset(bases), frozenset(methods), _phrases(node, lines))


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: Sequence[bytes]) -> View:
    arguments = node.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named = frozenset(parameter.arg for parameter in parameters)
    return View(frozenset(), named, _phrases(node, lines))


def _phrases(node: Definition, lines: Sequence[bytes]) -> frozenset[int]:
    own = node.name.encode()
    text = b"\n".join(lines[node.lineno - 1 : node.end_lineno])
    words = [word.replace(own, OWN_NAME) for word in WORD.findall(text)]
    last = max(len(words) - PHRASE, 0)
    return frozenset(zlib.crc32(b" ".join(words[at : at + PHRASE])) for at in range(last + 1))


_WARNINGS = frozenset({"warn", "warn_once", "warning", "warning_once"})


def _deprecated_base(node: ast.ClassDef) -> str | None:
    """Return the base of a class that adds nothing to it but a warning; None for other classes."""
    if len(node.bases) != 1 or node.keywords:
        return None
    warns = False
    for part in node.body:
        match part:
            case ast.FunctionDef(name=name) if _deprecated_call(part) == name:
                warns = True
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case _:
                return None
    return _last_name(node.bases[0]) if warns else None


def _deprecated_call(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """Return what a function calls if it only warns and then hands its arguments on; else None."""
    calls: list[ast.expr] = []
    warns = False
    for part in node.body:
        match part:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Expr(value=ast.Call(func=function)) if _last_name(function) in _WARNINGS:
                warns = True
            case ast.Expr(value=ast.expr() as value) | ast.Return(value=ast.expr() as value):
                calls.append(value.value if isinstance(value, ast.Await) else value)
            case _:
                return None
    match calls:
        case [ast.Call(func=function, args=arguments, keywords=keywords)] if warns:
            handed_on = [*arguments, *(keyword.value for keyword in keywords)]
            plain = all(isinstance(value, ast.Name | ast.Starred | ast.Constant) for value in handed_on)
            return _last_name(function) if plain else None
    return None


def _last_name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def _with_bases(own: View, before: dict[str, Features]) -> View:
    inherited = [before[base].whole for base in own.bases if base in before]
    if not inherited:
        return own
    return View(
        own.bases.union(*(base.bases for base in inherited)),
        own.members.union(*(base.members for base in inherited)),
        own.phrases.union(*(base.phrases for base in inherited)),
    )
