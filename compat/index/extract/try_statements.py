"""Read `try` statements: up to which statement of the body each failure of an import gets."""

import ast
from collections.abc import Callable

from compat.model.guards import ALWAYS, Condition, Guard, Imports

IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def attempt(
    node: ast.Try, resolve: Callable[[ast.ImportFrom], str]
) -> tuple[list[tuple[ast.stmt, Guard]], Guard]:
    """Return the statements of the body, each with the guard that reaches it, and the guard of success.

    A name bound by the n-th import of the body is bound when the first n succeed, whatever the rest does:
    the guards express exactly that. Each imported name has a statement of its own.

    Args:
        node: a `try` with a handler.
        resolve: returns the full name of the module from which a statement imports.
    """
    if not any(_catches_import_error(handler) for handler in node.handlers):
        succeeded = _condition(node.body[0])
        return [(statement, succeeded) for statement in node.body], succeeded
    steps: list[tuple[ast.stmt, Guard]] = []
    targets: list[str] = []
    alone = True
    for statement in node.body:
        for single, target in _single_imports(statement, resolve):
            targets.append(target)
            steps.append((single, Imports(tuple(targets), alone=alone)))
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            steps.append((statement, _reached(targets, statement, alone=alone)))
            alone = alone and _harmless(statement)
    return steps, _reached(targets, node.body[0], alone=alone)


def diverges(body: list[ast.stmt]) -> bool:
    """Return whether a block ends by raising an exception."""
    return isinstance(body[-1], ast.Raise)


def _reached(targets: list[str], statement: ast.stmt, *, alone: bool) -> Guard:
    if targets:
        return Imports(tuple(targets), alone=alone)
    return ALWAYS if alone and _harmless(statement) else _condition(statement)


def _condition(statement: ast.stmt) -> Condition:
    return Condition(f"try: {ast.unparse(statement)[:200]}")


def _single_imports(node: ast.stmt, resolve: Callable[[ast.ImportFrom], str]) -> list[tuple[ast.stmt, str]]:
    """Return one import statement per imported name, each with the location that it needs."""
    if isinstance(node, ast.Import):
        return [(ast.Import(names=[alias]), alias.name) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = resolve(node)
        return [
            (
                ast.ImportFrom(module=node.module, names=[alias], level=node.level),
                module if alias.name == "*" else f"{module}:{alias.name}",
            )
            for alias in node.names
        ]
    return []


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(caught, ast.Name) and caught.id in IMPORT_ERRORS for caught in types)


def _harmless(node: ast.stmt) -> bool:
    """Return whether a statement practically never raises: a constant, a definition or `pass`."""
    match node:
        case ast.Pass() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            return value is None or isinstance(value, ast.Constant | ast.Name)
        case _:
            return False
