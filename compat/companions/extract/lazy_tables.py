"""Read the tables from which packages load their names lazily: names of submodules, listed as text.

Three forms are common. transformers and diffusers fill `_import_structure` for a `_LazyModule`. The Hugging
Face hub passes `submod_attrs` to `_attach`. Newer transformers call `define_import_structure` for a folder,
whose modules list their names in `__all__`.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

MARKS = ("_LazyModule(", "_attach(", "lazy.attach(", "lazy_loader.attach(")
_ALL = re.compile(rb"^__all__\s*(?::[^=\n]+)?=\s*[\[(](.*?)[\])]", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(rb"""["'](\w+)["']""")


class LazyTable(NamedTuple):
    """The lazily loaded names of one package."""

    names: dict[str, str]
    """Maps each name to the submodule that defines it, relative to the package."""
    folders: tuple[str, ...]
    """Submodules, relative to the package, below which the `__all__` of every module counts; empty for the
    package itself."""
    aliases: dict[str, str]
    """Maps submodules that exist under another name to that name, both relative to the package."""
    alias_suffixes: tuple[str, ...]
    """Ends of the names of submodules that a loop gives another name; which ones is not known."""


def read_lazy_table(source: bytes) -> LazyTable | None:
    """Return the table of a package's `__init__.py`; None if it does not load its names lazily."""
    text = source.decode("utf-8", errors="replace")
    if not any(mark in text for mark in MARKS):
        return None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    names: dict[str, str] = {}
    folders: list[str] = []
    aliases: dict[str, str] = {}
    suffixes: list[str] = []
    for node in ast.walk(tree):
        for submodule, name in _entries(node):
            names.setdefault(submodule.partition(".")[0], submodule.partition(".")[0])
            if name:
                names[name] = submodule
        if isinstance(node, ast.Call) and _called(node) == "define_import_structure":
            folders.append(_folder(node))
        if isinstance(node, ast.Call) and _called(node).endswith("_alias"):
            alias, suffix = _alias(node)
            aliases |= alias
            suffixes += filter(None, [suffix])
    return LazyTable(names, tuple(dict.fromkeys(folders)), aliases, tuple(dict.fromkeys(suffixes)))


def listed_names(source: bytes) -> tuple[str, ...]:
    """Return the texts in the `__all__` of a module, found without parsing the rest of it."""
    found = _ALL.search(source)
    return tuple(name.decode() for name in _TEXT.findall(found[1])) if found else ()


def _entries(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the pairs of submodule and name that a statement adds to a table."""
    match node:
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_list(value):
                    yield key.value, ""
                    yield from ((key.value, name) for name in _texts(value))
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str() as key))], value=value):
            yield key, ""
            yield from ((key, name) for name in _texts(value))
        case ast.AugAssign(target=ast.Subscript(slice=ast.Constant(value=str() as key)), value=value):
            yield from ((key, name) for name in _texts(value))
        case ast.Call(
            func=ast.Attribute(value=ast.Subscript(slice=ast.Constant(value=str() as key)), attr=attribute),
            args=[value],
        ) if attribute in ("append", "extend"):
            yield from ((key, name) for name in _texts(value))


def _is_list(node: ast.expr) -> bool:
    return isinstance(node, ast.List | ast.Tuple | ast.Set)


def _texts(node: ast.expr) -> Iterator[str]:
    """Yield the texts of a list, or a text itself."""
    for each in node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node]:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _folder(call: ast.Call) -> str:
    """Return the folder of `define_import_structure(Path(__file__).parent / "models", …)`."""
    match call.args:
        case [ast.BinOp(right=ast.Constant(value=str() as folder)), *_]:
            return folder
    return ""


def _alias(call: ast.Call) -> tuple[dict[str, str], str]:
    """Return what `alias(f"{__name__}.old", ".new")` makes, or the end of the name of the alias."""
    match call.args:
        case [ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str() as old)]), target, *_]:
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                return {old.lstrip("."): target.value.lstrip(".")}, ""
        case [ast.JoinedStr(values=[*_, ast.Constant(value=str() as suffix)]), *_]:
            return {}, suffix
    return {}, ""
