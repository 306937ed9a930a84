"""Read from a source file which environment variables it reads, and which command-line options it names."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from compat.settings.names import GROUPS, OPTION, VARIABLE
from compat.source_outlines.extract import template

_HINT = re.compile(rb"(?:VLLM|SGLANG|SGL)_")
_SETTERS = frozenset({"setenv", "delenv", "putenv", "unsetenv"})
_PREFIX = re.compile(r"[A-Z]+_")
_HEAD = re.compile(r"(?:VLLM|SGLANG|SGL)_[A-Z0-9_]*")
_LEAVING = r"[^.;\0]{0,60}\b(?:deprecated|replaced|removed|unused)\b"
_VARIABLE_LEAVES = re.compile(rf"(?<![\w-])({VARIABLE.pattern}){_LEAVING}")
_OPTION_LEAVES = re.compile(rf"(?<![\w-])({OPTION.pattern}){_LEAVING}")
_DEPRECATED = re.compile(r"\bdeprecated\b", re.IGNORECASE)
_LONGEST_NOTE = 240


class FileSettings(NamedTuple):
    """What one source file says about settings."""

    variables: frozenset[str]
    """The environment variables that it reads by name."""
    patterns: frozenset[str]
    """Names of variables that it puts together, with `*` for each unknown part."""
    renames: frozenset[tuple[str, str]]
    """Prefixes of variables that it replaces by another: every `SGL_X` is read as `SGLANG_X`."""
    options: frozenset[str]
    """The options that it may add to a parser, with dashes."""
    notes: tuple[tuple[str, str], ...]
    """Variable or option, and the text that calls it deprecated or gone."""


NOTHING = FileSettings(frozenset(), frozenset(), frozenset(), frozenset(), ())


def groups_of(package: str, path: str) -> Iterator[str]:
    """Yield the groups to which the options of a file of a package belong."""
    for (owner, group), beginnings in GROUPS.items():
        if owner == package and path.startswith(beginnings):
            yield group


def read_settings(source: bytes, *, options: bool) -> FileSettings:
    """Return the settings of a source file; nothing if it is not valid Python.

    Args:
        source: the file.
        options: whether the file may define options.
    """
    if not (options or _HINT.search(source)):
        return NOTHING
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return NOTHING
    nodes = list(ast.walk(tree))
    written = set(_written(nodes))
    texts = [
        each.value
        for each in nodes
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in written
    ]
    variables = {text for text in texts if VARIABLE.fullmatch(text)} | set(_declared(nodes))
    compared = set(_compared(nodes))
    found = (
        {text.replace("_", "-") for text in texts if OPTION.fullmatch(text)} - compared if options else set()
    )
    return FileSettings(
        frozenset(variables),
        frozenset(_patterns(nodes)),
        frozenset(_renames(nodes)),
        frozenset((found | set(_fields(nodes, found))) if options else ()),
        tuple(_notes(nodes)),
    )


def _written(nodes: list[ast.AST]) -> Iterator[int]:
    """Yield the ids of the constants that name a variable which is set, not read."""
    for node in nodes:
        match node:
            case ast.Subscript(ctx=ast.Store() | ast.Del(), slice=name):
                yield id(name)
            case ast.Call(func=ast.Attribute(attr=attr), args=[name, *_]) if attr in _SETTERS:
                yield id(name)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="setdefault" | "pop"), args=[name, *_])):
                yield id(name)
            case ast.Dict(keys=keys, values=values):
                yield from (
                    id(key)
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(value, ast.Constant | ast.JoinedStr)
                )


def _compared(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the options that a file only looks for, as `if "--omni" in sys.argv` does."""
    compared = [
        each.value
        for node in nodes
        if isinstance(node, ast.Compare)
        for each in (node.left, *node.comparators)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    texts = (each.value for each in nodes if isinstance(each, ast.Constant))
    every = Counter(text for text in texts if isinstance(text, str))
    yield from (text.replace("_", "-") for text, count in Counter(compared).items() if count == every[text])


def _declared(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the variables that a class declares, each by an attribute: `SGLANG_X = EnvBool(False)`."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                match statement:
                    case (
                        ast.Assign(targets=[ast.Name(id=name)], value=ast.Call())
                        | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call())
                    ) if VARIABLE.fullmatch(name):
                        yield name


def _patterns(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [each.value if isinstance(each, ast.Constant) else "*" for each in node.values]
            text = "".join(map(str, parts))
            if "*" in text and _HEAD.match(text) and re.fullmatch(r"[A-Z0-9_*]+", text):
                yield text


def _renames(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Attribute(attr="replace"),
                args=[ast.Constant(value=str() as old), ast.Constant(value=str() as new), *_],
            ) if _PREFIX.fullmatch(old) and _PREFIX.fullmatch(new) and old != new:
                yield old, new


def _fields(nodes: list[ast.AST], literal: set[str]) -> Iterator[str]:
    """Yield the options that the fields of a record of arguments become.

    If the file names most of them itself, it adds its options one by one, and its fields are none.
    """
    found = [
        f"--{statement.target.id.replace('_', '-')}"
        for node in nodes
        if isinstance(node, ast.ClassDef) and _is_record(node)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and not _hidden(statement.annotation)
    ]
    if 2 * len(literal & set(found)) < len(found):
        yield from found


def _is_record(node: ast.ClassDef) -> bool:
    """Return whether the fields of a class are arguments: its name or what it declares says so."""
    return node.name.endswith("Args") or any(
        isinstance(each, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "_NS_PATH" for target in each.targets)
        for each in node.body
    )


def _hidden(annotation: ast.expr) -> bool:
    """Return whether an annotation says that the field is no option: `Arg(no_cli=True)`."""
    return any(
        isinstance(each, ast.keyword) and each.arg == "no_cli" and isinstance(each.value, ast.Constant)
        for each in ast.walk(annotation)
    )


def _notes(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Yield each variable and option that a message or the help of the option calls deprecated or gone."""
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        names = [
            each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
        for keyword in node.keywords:
            text = template(keyword.value) if keyword.arg == "help" else None
            if text and _DEPRECATED.search(text):
                yield from ((_dashes(name), _note(text)) for name in names if OPTION.fullmatch(name))
        for text in filter(None, map(template, node.args)):
            for pattern in (_VARIABLE_LEAVES, _OPTION_LEAVES):
                yield from ((_dashes(each[1]), _note(text)) for each in pattern.finditer(text))


def _dashes(name: str) -> str:
    return name.replace("_", "-") if name.startswith("--") else name


def _note(text: str) -> str:
    return " ".join(text.replace("\0", "…").split())[:_LONGEST_NOTE]
