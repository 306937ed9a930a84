"""Find modules that bind names dynamically, for example with `globals()[…] = …`."""

import ast
from collections.abc import Container, Iterator


def writes_namespace(tree: ast.Module, source: bytes, known: Container[ast.AST] = ()) -> bool:
    """Return whether a module binds names dynamically.

    Args:
        tree: the module.
        source: its text.
        known: the dynamic statements whose names are known.
    """
    if any(word in source for word in (b"globals()", b"sys.modules")) and any(
        _writes(node, {"globals()"}) and node not in known for node in ast.walk(tree)
    ):
        return True
    if not any(word in source for word in (b"vars()", b"locals()")):
        return False
    # Inside a function or class, these two do not refer to the module.
    return any(_writes(node, {"vars()", "locals()"}) for node in _outside_definitions(tree))


def written_by(loop: ast.For, name: str) -> Iterator[ast.AST]:
    """Yield the statements of a loop that bind the module name in the loop variable."""
    for node in ast.walk(loop):
        match node:
            case ast.Assign(targets=[ast.Subscript(value=holder, slice=ast.Name(id=key))]) if key == name:
                if ast.unparse(holder) == "globals()":
                    yield node


def _outside_definitions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _outside_definitions(child)


def _writes(node: ast.AST, namespaces: set[str]) -> bool:
    match node:
        case ast.Assign(value=ast.Call() as value) if ast.unparse(value) in namespaces:
            return True  # a variable holds the dictionary, and the module may write through it
        case ast.Assign(targets=[ast.Subscript(value=holder, slice=key)]):
            text = ast.unparse(holder)
            return text in namespaces or (text.endswith("sys.modules") and ast.unparse(key) == "__name__")
        case ast.Call(func=ast.Attribute(value=ast.Call() as holder, attr="update" | "setdefault")):
            return ast.unparse(holder) in namespaces
        case ast.Call(func=ast.Name(id="setattr"), args=[ast.Subscript() as holder, *_]):
            return ast.unparse(holder) == "sys.modules[__name__]"
    return False
