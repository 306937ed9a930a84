"""Find the module names that functions bind by `global`: they exist once the function has run."""

import ast
from collections.abc import Iterator

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def names_set_by_functions(tree: ast.Module) -> dict[str, tuple[str, ...]]:
    """Return, for each function that binds names of the module by `global`, these names, in source order.

    A method is listed as `Class.method`, and a function inside another one by the name of the outer one.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, function in _functions(tree.body, ""):
        names = dict.fromkeys(_set_by(function))
        if names:
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *names)))
    return found


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, _Function]]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield f"{prefix}{node.name}", node
            case ast.ClassDef():
                yield from _functions(node.body, f"{prefix}{node.name}.")
            case ast.If() | ast.Try() | ast.With():
                for field in ("body", "orelse", "finalbody"):
                    yield from _functions(getattr(node, field, []), prefix)
                for handler in getattr(node, "handlers", ()):
                    yield from _functions(handler.body, prefix)


def _set_by(function: _Function) -> Iterator[str]:
    """Yield the names that a function, or one inside it, declares `global` and binds."""
    nodes = list(ast.walk(function))
    declared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    if not declared:
        return
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) if name in declared:
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                bound = (alias.asname or alias.name.partition(".")[0] for alias in names)
                yield from (name for name in bound if name in declared)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if name in declared:
                yield name
