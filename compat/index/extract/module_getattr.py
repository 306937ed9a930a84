"""Find the names that a module-level `__getattr__` returns, and whether the list is complete."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyNames:
    """The names that a module's `__getattr__` returns."""

    targets: Mapping[str, str | None]
    """Maps each name to its location; None if the function creates the object."""
    open: bool
    """Whether it may return other names too."""


def read_getattr(
    function: ast.FunctionDef, tables: Mapping[str, ast.Dict], package: str, resolve: "Resolve"
) -> LazyNames:
    """Return the names for which `function` returns an object.

    Args:
        function: the module's `__getattr__`.
        tables: the dictionary literals that the module binds at its top level.
        package: the package from which relative module names are resolved.
        resolve: turns a `from` import inside the function into the module it names.
    """
    targets: dict[str, str | None] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in tables:
            targets.update(_table(tables[node.id], package))
    parameter = function.args.args[0].arg if function.args.args else "name"
    for node in ast.walk(function):
        if isinstance(node, ast.If):
            names = _asked_names(node.test, parameter)
            origins = _imports_of(node.body, resolve)
            returned = origins.get(_returned(node.body))
            targets.update({name: origins.get(name, returned) for name in names})
    refuses = any(_raises_attribute_error(node) for node in ast.walk(function))
    return LazyNames(targets=targets, open=not (targets and refuses))


class Resolve:
    """Resolves the module name of a relative or absolute `from` import within one module."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        self.package = module if is_package else module.rpartition(".")[0]

    def __call__(self, node: ast.ImportFrom) -> str:
        """Return the absolute name of the module that `node` imports from; empty if there is none."""
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        if node.level > len(parts):
            return ""
        base = ".".join(parts[: len(parts) - node.level + 1])
        return f"{base}.{node.module}" if node.module else base


def _table(table: ast.Dict, package: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[key.value] = _table_target(key.value, value, package)
    return found


def _table_target(name: str, value: ast.expr, package: str) -> str | None:
    """Return the location for a table entry such as `".llm:LLM"`, `".llm"` or `(".llm", "LLM")`."""
    match value:
        case ast.Constant(value=str() as text):
            module, _, attribute = text.partition(":")
        case ast.Tuple(elts=[ast.Constant(value=str() as module), ast.Constant(value=str() as attribute)]):
            pass
        case _:
            return None
    if not all(part.isidentifier() for part in module.lstrip(".").split(".")):
        return None
    climb = len(module) - len(module.lstrip("."))
    if climb:
        parts = package.split(".")
        module = ".".join([*parts[: len(parts) - climb + 1], module.lstrip(".")])
    return f"{module}:{attribute or name}"


def _asked_names(test: ast.expr, parameter: str) -> list[str]:
    match test:
        case ast.Compare(
            left=ast.Name(id=asked), ops=[ast.Eq()], comparators=[ast.Constant(value=str() as name)]
        ):
            return [name] if asked == parameter else []
        case ast.Compare(
            left=ast.Name(id=asked),
            ops=[ast.In()],
            comparators=[ast.Tuple() | ast.List() | ast.Set() as names],
        ):
            constants = [item.value for item in names.elts if isinstance(item, ast.Constant)]
            return [name for name in constants if isinstance(name, str)] if asked == parameter else []
        case _:
            return []


def _imports_of(body: list[ast.stmt], resolve: Resolve) -> dict[str, str]:
    return {
        alias.asname or alias.name: f"{resolve(node)}:{alias.name}"
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _returned(body: list[ast.stmt]) -> str:
    """Return the name that a block returns; empty if it returns anything else."""
    match body:
        case [*_, ast.Return(value=ast.Name(id=name))]:
            return name
    return ""


def _raises_attribute_error(node: ast.AST) -> bool:
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(raised, ast.Name) and raised.id == "AttributeError"
