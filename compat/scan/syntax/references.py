"""Find the references to the packages in a file, in every form that Python code has for them."""

import ast
from collections.abc import Iterator
from typing import Literal, NamedTuple

from compat.scan.prefilter.mentions import TOPS, line_numbers, mention_offsets
from compat.scan.project.module_names import absolute
from compat.scan.sources.source_file import Source
from compat.scan.syntax.aliases import Aliases
from compat.scan.syntax.positions import LineNumbers, NodePosition, dotted, expressions, headers, statements

Form = Literal[
    "import", "from", "star", "attribute", "string", "import_module", "table", "reexport",
    "base_class", "instance_check", "handler", "type", "pattern", "class_attribute",
    "call", "override", "unused_override", "super_call", "abstract_class",
]  # fmt: skip
"""How code refers to a name; the second row says how it uses the name as a class, the third what it calls or
overrides."""

_TOPS = frozenset(TOPS)
_DYNAMIC = frozenset({"import_module", "__import__"})
_PATCHES = frozenset({"patch", "patch.object", "patch.multiple", "patch.dict"})


class Reference(NamedTuple):
    """One reference to a module, or to a name in a module, of a package."""

    form: Form
    bases: tuple[str, ...]
    """Dotted paths at which the reference starts; several if several imports bind the name. Their imports are
    references of their own."""
    parts: tuple[str, ...]
    """The attributes that must exist below a base; without a base, the whole path."""
    node: ast.AST
    """The node to report; it has a line and a column."""
    position: NodePosition
    module: str = ""
    """For an import, the name of the module."""

    @property
    def top(self) -> str:
        """The import name of the package."""
        return (self.bases[0] if self.bases else ".".join(self.parts)).partition(".")[0]

    @property
    def path(self) -> str:
        """The whole dotted path."""
        return ".".join((*self.bases[:1], *self.parts))


def references(
    source: Source, module: str = "", *, lines: LineNumbers | None = None, aliases: Aliases | None = None
) -> list[Reference]:
    """Return the references in a file in source order.

    Args:
        source: the file.
        module: its dotted name, which relative imports need; empty if it has none.
        lines: the lines to search; by default, those that contain the name of a package or an alias.
        aliases: gets the names that the imports bind.
    """
    marked = line_numbers(source.data, mention_offsets(source.data, words=True)) if lines is None else []
    chosen = lines or LineNumbers(marked)
    found: list[Reference] = []
    aliases = aliases or Aliases(source.tree)
    for position in statements(source.tree, chosen):
        if isinstance(position.statement, ast.Import | ast.ImportFrom):
            found += import_references(position, aliases, module)
    if lines is None and aliases.names:
        chosen = LineNumbers([*marked, *line_numbers(source.data, aliases.uses(source.data))])
    annotations = evaluates_annotations(source.tree)
    tables = any(
        isinstance(each, ast.FunctionDef) and each.name == "__getattr__" for each in source.tree.body
    )
    for position in statements(source.tree, chosen):
        if isinstance(position.statement, ast.Import | ast.ImportFrom):
            continue
        for header in headers(position.statement, annotations=annotations and _evaluated(position)):
            for node, tests in expressions(header):
                found += _expression(node, position.within(tests), aliases, tables=tables)
    return sorted(found, key=lambda each: (each.node.lineno, each.node.col_offset))  # type: ignore[attr-defined]


def evaluates_annotations(tree: ast.Module) -> bool:
    """Return whether Python evaluates the annotations of a file: no `from __future__ import annotations`."""
    return not any(
        isinstance(statement, ast.ImportFrom)
        and statement.module == "__future__"
        and any(alias.name == "annotations" for alias in statement.names)
        for statement in tree.body[:5]
    )


def _evaluated(position: NodePosition) -> bool:
    """Return whether Python evaluates the annotations of a statement; it does not for local variables."""
    return not isinstance(position.statement, ast.AnnAssign) or position.function is None


def import_references(position: NodePosition, aliases: Aliases, module: str) -> Iterator[Reference]:
    """Yield the references of an import statement, and record the names that it binds."""
    statement = position.statement
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            parts = tuple(alias.name.split("."))
            if parts[0] in _TOPS:
                aliases.add(position, alias.asname or parts[0], alias.name if alias.asname else parts[0])
                yield Reference("import", (), parts, alias, position, alias.name)
    elif isinstance(statement, ast.ImportFrom):
        origin = absolute(statement, module)
        if origin.partition(".")[0] not in _TOPS:
            return
        parts = tuple(origin.split("."))
        for alias in statement.names:
            if alias.name == "*":
                yield Reference("star", (), parts, alias, position, origin)
                continue
            aliases.add(position, alias.asname or alias.name, f"{origin}.{alias.name}")
            yield Reference("from", (), (*parts, alias.name), alias, position, origin)


def _expression(
    node: ast.AST, position: NodePosition, aliases: Aliases, *, tables: bool
) -> Iterator[Reference]:
    match node:
        case ast.Attribute(ctx=ctx):
            parts = dotted(node)
            # The target of an assignment need not exist before; that of `+=` has to.
            added = isinstance(position.statement, ast.AugAssign) and position.statement.target is node
            parts = parts[:-1] if isinstance(ctx, ast.Store) and not added else parts
            bases = aliases.paths(parts[0], position) if len(parts) > 1 else ()
            if bases:
                yield Reference("attribute", bases, parts[1:], node, position)
        case ast.Call():
            yield from _call(node, position, aliases)
        case ast.Dict() if tables and position.function is None:
            yield from _table(node, position)


def _call(node: ast.Call, position: NodePosition, aliases: Aliases) -> Iterator[Reference]:
    function = dotted(node.func)
    if not function:
        return
    last = function[-1]
    if last in _DYNAMIC and node.args:
        yield from _dynamic(node, position)
    elif ".".join(function[-2:]) in _PATCHES or last in _PATCHES:
        yield from _patch(node, "patch" if last == "patch" else f"patch.{last}", position, aliases)
    elif last in ("setattr", "delattr") and len(function) > 1:
        yield from _set_attribute(node, position, aliases, sure=last == "setattr")
    elif last in ("getattr", "attrgetter") and len(node.args) == 2:
        yield from _named_attribute(node, position, aliases)


def _dynamic(node: ast.Call, position: NodePosition) -> Iterator[Reference]:
    match node.args[0], node.args[1:], node.keywords:
        case ast.Constant(value=str() as name), [ast.Constant(value=str() as anchor)], _:
            pass
        case ast.Constant(value=str() as name), _, [
            ast.keyword(arg="package", value=ast.Constant(value=str() as anchor))
        ]:
            pass
        case ast.Constant(value=str() as name), _, _:
            anchor = ""
        case _:
            return
    if name.startswith("."):
        level = len(name) - len(name.lstrip("."))
        base = anchor.split(".")
        name = ".".join([*base[: len(base) - level + 1], name.lstrip(".")])
    parts = tuple(name.split("."))
    if parts[0] in _TOPS:
        yield Reference("import_module", (), parts, node.args[0], position, name)


def _patch(node: ast.Call, function: str, position: NodePosition, aliases: Aliases) -> Iterator[Reference]:
    if _true(node, "create") or not node.args:
        return
    if function == "patch.object":
        yield from _named_attribute(node, position, aliases)
        return
    match node.args[0]:
        case ast.Constant(value=str() as target) as constant:
            parts = tuple(target.split("."))
            if parts[0] in _TOPS and all(map(str.isidentifier, parts)):
                yield Reference("string", (), parts, constant, position)
                if function == "patch.multiple":
                    for keyword in node.keywords:
                        if keyword.arg and keyword.arg not in (
                            "spec",
                            "spec_set",
                            "autospec",
                            "new_callable",
                        ):
                            yield Reference("string", (), (*parts, keyword.arg), keyword, position)


def _set_attribute(
    node: ast.Call, position: NodePosition, aliases: Aliases, *, sure: bool
) -> Iterator[Reference]:
    """Yield what `monkeypatch.setattr` needs: by default what is replaced must exist."""
    if any(
        keyword.arg == "raising" and isinstance(keyword.value, ast.Constant) and not keyword.value.value
        for keyword in node.keywords
    ):
        return
    match node.args:
        case [ast.Constant(value=str() as target) as constant, *others] if len(others) == int(sure):
            parts = tuple(target.split("."))
            if parts[0] in _TOPS and all(map(str.isidentifier, parts)):
                yield Reference("string", (), parts, constant, position)
        case [_, ast.Constant(value=str()), *_]:
            yield from _named_attribute(node, position, aliases)


def _named_attribute(node: ast.Call, position: NodePosition, aliases: Aliases) -> Iterator[Reference]:
    match node.args:
        case [target, ast.Constant(value=str() as name) as constant, *_] if name.isidentifier():
            parts = dotted(target)
            bases = aliases.paths(parts[0], position) if parts else ()
            if bases:
                yield Reference("attribute", bases, (*parts[1:], name), constant, position)


def _true(node: ast.Call, keyword: str) -> bool:
    return any(
        each.arg == keyword and isinstance(each.value, ast.Constant) and bool(each.value.value)
        for each in node.keywords
    )


def _table(node: ast.Dict, position: NodePosition) -> Iterator[Reference]:
    """Yield the references in a table of `__getattr__`: `"vllm.x"`, `"vllm.x:Name"`, `("vllm.x", "X")`."""
    for key, value in zip(node.keys, node.values, strict=True):
        match value:
            case ast.Constant(value=str() as text):
                module, _, name = text.partition(":")
                if not name and isinstance(key, ast.Constant) and isinstance(key.value, str):
                    last = module.rpartition(".")[2]
                    name = key.value if key.value != last else ""
            case ast.Tuple(elts=[ast.Constant(value=str() as module), ast.Constant(value=str() as name)]):
                pass
            case _:
                continue
        parts = tuple(module.split("."))
        if parts[0] in _TOPS and all(map(str.isidentifier, parts)) and (not name or name.isidentifier()):
            yield Reference("table", (), (*parts, *([name] if name else [])), value, position, module)
