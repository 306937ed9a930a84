"""Recognise classes and functions whose bodies do nothing, as stubs have, or only raise."""

import ast
from collections.abc import Sequence

_ROOTS = {"object", "Any", "ABC", "Protocol"}
_NOT_ERRORS = {"KeyboardInterrupt", "SystemExit", "StopIteration", "GeneratorExit"}
"""Exceptions by which code that works reports something."""
_CONSTRUCTORS = {"__init__", "__new__"}
_TEXT_LIMIT = 300

Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_hollow(node: ast.stmt) -> bool:
    """Return whether a class or function definition has no behaviour.

    A class is hollow if it has no real base class and contains only constants and hollow methods; a function
    if it only returns a constant or raises.
    """
    if isinstance(node, ast.ClassDef):
        inherits = any(not (isinstance(base, ast.Name) and base.id in _ROOTS) for base in node.bases)
        return not inherits and not node.keywords and all(map(_idle_member, node.body))
    if isinstance(node, Function):
        return all(map(_idle, node.body))
    return False


def refusal(node: ast.stmt) -> str | None:
    """Return the error with which a class or function refuses every use, else None.

    A function refuses if all it does is raise an error that does not depend on its arguments; a class without
    bases, if its constructor does and it is hollow. Decorated ones, abstract ones and special methods have
    another purpose.
    """
    if isinstance(node, ast.ClassDef):
        if node.bases or node.keywords or node.decorator_list or not is_hollow(node):
            return None
        constructors = [
            part for part in node.body if isinstance(part, Function) and part.name in _CONSTRUCTORS
        ]
        return _refusal(constructors[0]) if len(constructors) == 1 else None
    if isinstance(node, Function) and not node.name.startswith("__"):
        return _refusal(node)
    return None


def _refusal(node: Function) -> str | None:
    body: Sequence[ast.stmt] = node.body[1:] if ast.get_docstring(node) is not None else node.body
    match body:
        case [ast.Raise(exc=ast.expr() as error)] if not node.decorator_list:
            parameters = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
            used = {name.id for name in ast.walk(error) if isinstance(name, ast.Name)}
            return None if used & (parameters | _NOT_ERRORS) else _error_text(error)
    return None


def _error_text(error: ast.expr) -> str:
    """Return an error as a traceback shows it; what only running code knows stays an expression."""
    match error:
        case ast.Call(func=kind, args=[argument, *_]):
            return f"{ast.unparse(kind)}: {' '.join(_message(argument).split())}"[:_TEXT_LIMIT]
        case ast.Call(func=kind):
            return ast.unparse(kind)
        case _:
            return ast.unparse(error)[:_TEXT_LIMIT]


def _message(argument: ast.expr) -> str:
    match argument:
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=values):
            return "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else ast.unparse(ast.JoinedStr([part]))[2:-1]
                for part in values
            )
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _message(left) + _message(right)
        case _:
            return ast.unparse(argument)


def _idle_member(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return is_hollow(node)
        case ast.Assign(value=value):
            return isinstance(value, ast.Constant)
        case ast.AnnAssign(value=value):
            return value is None or isinstance(value, ast.Constant)
        case _:
            return _idle(node)


def _idle(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Raise() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Return(value=value):
            return value is None or isinstance(value, ast.Constant)
        case _:
            return False
