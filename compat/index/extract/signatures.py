"""Extract signatures: parameters with name, kind and default, without annotations."""

import ast
import json
from collections.abc import Iterator

METHODS = frozenset(
    {
        "__init__",
        "apply",
        "create_weights",
        "from_config",
        "get_quant_method",
        "process_weights_after_loading",
    }
)
"""The methods of a class whose parameters are stored: constructors and the quantization interface."""

_DEFAULT_LIMIT = 40


def signature(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """Return a function's parameters, or the parameters of a class's methods as JSON; None without methods.

    For a dataclass, `__init__` is derived from the fields that the class itself declares.
    """
    if not isinstance(node, ast.ClassDef):
        return parameters(node.args)
    methods = {
        statement.name: parameters(statement.args)
        for statement in node.body
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name in METHODS
    }
    if "__init__" not in methods and any(map(_is_dataclass, node.decorator_list)):
        methods["__init__"] = f"(self{''.join(_fields(node))})"
    return json.dumps(methods, sort_keys=True, separators=(",", ":")) if methods else None


def parameters(arguments: ast.arguments) -> str:
    """Return parameters as source without annotations: `(self, x, *, prefix='')`."""
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    parts: list[str] = []
    for number, argument in enumerate(positional):
        default = arguments.defaults[number - required] if number >= required else None
        parts.append(_parameter(argument.arg, default))
        if number + 1 == len(arguments.posonlyargs):
            parts.append("/")
    if arguments.vararg:
        parts.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        parts.append("*")
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parts.extend(_parameter(argument.arg, default) for argument, default in pairs)
    if arguments.kwarg:
        parts.append(f"**{arguments.kwarg.arg}")
    return f"({', '.join(parts)})"


def _parameter(name: str, default: ast.expr | None) -> str:
    return name if default is None else f"{name}={_default(default)}"


def _default(node: ast.expr) -> str:
    """Return the source of a default value, or `...` for a long one: callers only need to know it exists."""
    match node:
        case ast.Constant(value=value):
            text = repr(value)
        case ast.Name(id=text):
            pass
        case ast.Attribute(value=ast.Name(id=base), attr=attribute):
            text = f"{base}.{attribute}"
        case ast.UnaryOp() | ast.List(elts=[]) | ast.Tuple() | ast.Dict(keys=[]):
            text = ast.unparse(node)
        case _:
            return "..."
    return text if len(text) <= _DEFAULT_LIMIT else "..."


def _is_dataclass(decorator: ast.expr) -> bool:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name == "dataclass"


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                if "ClassVar" not in ast.unparse(annotation):
                    yield f", {_parameter(name, value)}"
