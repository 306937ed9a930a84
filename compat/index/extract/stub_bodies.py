"""Recognise classes and functions whose bodies do nothing, as stubs have."""

import ast

_ROOTS = {"object", "Any", "ABC", "Protocol"}


def is_hollow(node: ast.stmt) -> bool:
    """Return whether a class or function definition has no behaviour.

    A class is hollow if it has no real base class and contains only constants and hollow methods; a function
    if it only returns a constant or raises.
    """
    if isinstance(node, ast.ClassDef):
        inherits = any(not (isinstance(base, ast.Name) and base.id in _ROOTS) for base in node.bases)
        return not inherits and not node.keywords and all(map(_idle_member, node.body))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return all(map(_idle, node.body))
    return False


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
