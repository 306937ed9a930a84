"""Read the outline of a source file from its syntax tree: definitions, lines of code and messages."""

import ast
from collections.abc import Iterable, Iterator

from compat.source_outlines.records import EMPTY, Definition, Message, Outline, line_code

LOGGING = frozenset({"debug", "info", "warning", "warn", "error", "critical", "exception", "fatal", "log"})
"""The methods of a logger; a name with `_once` after one of them is another."""
QUIET = frozenset({"debug", "info", "log"})
"""The methods whose texts are no errors: their lines are kept, and their texts are not."""
SHORTEST = 9
"""The length from which a text is kept: shorter ones are found in too many messages."""
_LONGEST_GUARD = 160
_EARLY = frozenset({"before", "wrap"})
"""The modes in which a validator of pydantic sees the arguments before the fields are checked."""
_LONGEST_TEMPLATE = 400

Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_outline(tree: ast.Module | None, source: bytes) -> Outline:
    """Return the outline of a source file; `tree` is None if it is not valid Python."""
    if tree is None:
        return EMPTY
    visitor = _Visitor()
    try:
        visitor.block(tree.body, "")
    except RecursionError:
        return EMPTY
    lines = source.split(b"\n")
    codes = bytearray(len(lines))
    for at in visitor.code:
        if at <= len(lines):
            codes[at - 1] = line_code(lines[at - 1], logging=at in visitor.logging)
    return Outline(
        tuple(sorted(visitor.definitions, key=lambda each: (each.start, -each.end))),
        bytes(codes),
        tuple(visitor.messages),
    )


class _Visitor:
    """Walks over a tree once, with the condition under which each statement runs."""

    def __init__(self) -> None:
        self.definitions: list[Definition] = []
        self.code: set[int] = set()
        self.logging: set[int] = set()
        self.messages: list[Message] = []
        self._texts: dict[str, ast.expr] = {}
        """Names that were last given a text: `msg = "…"` before `raise ValueError(msg)`."""

    def block(self, nodes: Iterable[ast.AST], guard: str) -> None:
        """Visit nodes that run under one condition."""
        for node in nodes:
            self._node(node, guard)

    def _node(self, node: ast.AST, guard: str) -> None:
        line = getattr(node, "lineno", None)
        if line is not None and not isinstance(node, ast.Constant):
            self.code.add(line)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._define("f", node, function_outline(node))
            case ast.ClassDef():
                self._define("c", node, class_outline(node))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if template(value) is not None:
                self._texts[name] = value
            case ast.Call():
                self._call(node, guard)
            case ast.Raise(exc=ast.Call(func=raised, args=[text, *_])):
                self._message(node.lineno, _last_name(raised), text, guard)
            case ast.Assert(test=test, msg=ast.expr() as text):
                self._message(node.lineno, "AssertionError", text, f"not {_short(test)}")
            case ast.JoinedStr():  # Python before 3.12 places what is inside relative to its start
                self.code.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        self._children(node, guard)

    def _children(self, node: ast.AST, guard: str) -> None:
        if isinstance(node, ast.If):
            test = _short(node.test)
            self._node(node.test, guard)
            self.block(node.body, test)
            self.block(node.orelse, f"not ({test})")
        elif isinstance(node, ast.Try):
            self.block(node.body, guard)
            wanted = ", ".join(dict.fromkeys(_imports(node.body)))
            for handler in node.handlers:
                caught = _short(handler.type) if handler.type is not None else "any error"
                self.code.add(handler.lineno)
                self.block(
                    handler.body, f"{caught} of import {wanted}"[:_LONGEST_GUARD] if wanted else caught
                )
            self.block((*node.orelse, *node.finalbody), guard)
        else:
            self.block(ast.iter_child_nodes(node), guard)

    def _define(self, kind: str, node: Function | ast.ClassDef, detail: str) -> None:
        start = min(node.lineno, *(each.lineno for each in node.decorator_list), node.lineno)
        end = node.end_lineno or node.lineno
        self.definitions.append(Definition(kind, node.name, start, node.body[0].lineno, end, detail))

    def _call(self, node: ast.Call, guard: str) -> None:
        if not isinstance(node.func, ast.Attribute):
            return
        method = node.func.attr
        if method.removesuffix("_once") in LOGGING:
            self.logging.add(node.lineno)
            if node.args and method.removesuffix("_once") not in QUIET:
                self._message(node.lineno, method, node.args[0], guard)
        elif method == "add_argument":
            texts = (each.value for each in node.args if isinstance(each, ast.Constant))
            options = [text for text in texts if isinstance(text, str) and text.startswith("--")]
            self.definitions += [
                Definition("o", text, node.lineno, node.lineno, node.lineno, "") for text in options
            ]

    def _message(self, line: int, kind: str, text: ast.expr, guard: str) -> None:
        found = template(self._texts.get(text.id, text) if isinstance(text, ast.Name) else text)
        if found is not None and len(found.replace("\0", "").strip()) >= SHORTEST:
            self.messages.append(Message(line, kind, found[:_LONGEST_TEMPLATE], guard))


def template(node: ast.expr) -> str | None:
    """Return the text of an expression with NUL for each value in it; None if it contains no text."""
    match node:
        case ast.Constant(value=str() as text):
            return text.replace("\0", "")
        case ast.JoinedStr(values=values):
            return "".join(str(each.value) if isinstance(each, ast.Constant) else "\0" for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = template(left), template(right)
            return (
                None if parts == (None, None) else "".join("\0" if part is None else part for part in parts)
            )
        case ast.BinOp(left=left, op=ast.Mod()):
            return template(left)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return template(value)
    return None


def parameters(arguments: ast.arguments) -> str:
    """Return parameters as text: `self,x,y=,*,z=,**kwargs`, where `=` marks a default."""
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    parts = [each.arg + ("=" if at >= required else "") for at, each in enumerate(positional)]
    if arguments.vararg:
        parts.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        parts.append("*")
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parts += [each.arg + ("" if default is None else "=") for each, default in pairs]
    if arguments.kwarg:
        parts.append(f"**{arguments.kwarg.arg}")
    return ",".join(parts)


def function_outline(node: Function) -> str:
    """Return parameters, the decorators, and the calls that get the function's own `**kwargs`.

    After these calls, `?name` marks an argument that the function takes out of its `**kwargs` before, and
    `?*` that it may take out any.
    """
    handed = ""
    if node.args.kwarg:
        name = node.args.kwarg.arg
        calls = list(dict.fromkeys(_handed_on(node, name)))
        handed = ",".join([*calls, *(sorted(_taken_out(node, name)) if calls else ())])
    decorators = ",".join(_decorator(each) for each in node.decorator_list)
    return "|".join((parameters(node.args), decorators, handed)).rstrip("|")


def _decorator(node: ast.expr) -> str:
    """Return the last name of a decorator; `name_before` if it says that the function runs before others."""
    early = isinstance(node, ast.Call) and any(
        each.arg == "mode" and isinstance(each.value, ast.Constant) and each.value.value in _EARLY
        for each in node.keywords
    )
    return f"{_last_name(node)}_before" if early else _last_name(node)


def _handed_on(node: Function, name: str) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and any(
            keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == name
            for keyword in each.keywords
        ):
            yield ast.unparse(each.func)[:60]


def _taken_out(node: Function, name: str) -> set[str]:
    """Return `?x` for each argument that a function removes from its `**kwargs`, `?*` if unknown."""
    found: set[str] = set()
    harmless: set[int] = set()
    for each in ast.walk(node):
        match each:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="pop"), args=[key, *_]) if (
                owner == name
            ):
                found.add(_mark(key))
            case ast.Delete(targets=targets):
                for target in targets:
                    match target:
                        case ast.Subscript(value=ast.Name(id=owner), slice=key) if owner == name:
                            found.add(_mark(key))
            case ast.keyword(arg=None, value=ast.Name(id=owner) as value) if owner == name:
                harmless.add(id(value))
            case ast.Attribute(value=ast.Name(id=owner) as value) if owner == name:
                harmless.add(id(value))
            case ast.Subscript(value=ast.Name(id=owner) as value) if owner == name:
                harmless.add(id(value))
            case ast.Compare(comparators=[ast.Name(id=owner) as value]) if owner == name:
                harmless.add(id(value))
    others = (each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == name)
    return found | {"?*" for each in others if id(each) not in harmless}


def _mark(key: ast.expr) -> str:
    return f"?{key.value}" if isinstance(key, ast.Constant) and isinstance(key.value, str) else "?*"


def class_outline(node: ast.ClassDef) -> str:
    """Return bases, decorators, annotated fields, and other attributes that the class or its methods set."""
    fields, others = [], set()
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                if "ClassVar" in ast.unparse(annotation) or _is_no_argument(value):
                    others.add(name)
                else:
                    fields.append(name + ("=" if value is not None else ""))
            case ast.Assign(targets=targets):
                others.update(each.id for each in targets if isinstance(each, ast.Name))
    for each in ast.walk(node):
        match each:
            case ast.Attribute(value=ast.Name(id="self"), attr=attr, ctx=ast.Store()):
                others.add(attr)
    bases = [ast.unparse(each)[:60] for each in node.bases]
    decorators = [_last_name(each) for each in node.decorator_list]
    return "|".join(",".join(part) for part in (bases, decorators, fields, sorted(others))).rstrip("|")


def _is_no_argument(value: ast.expr | None) -> bool:
    """Return whether a dataclass field is `field(init=False)`, so that `__init__` does not take it."""
    return isinstance(value, ast.Call) and any(
        each.arg == "init" and isinstance(each.value, ast.Constant) and each.value.value is False
        for each in value.keywords
    )


def _imports(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _short(node: ast.expr) -> str:
    return " ".join(ast.unparse(node).split())[:_LONGEST_GUARD]
