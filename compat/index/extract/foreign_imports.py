"""List what a module takes from other packages: imports, and attributes that it reads during its own."""

import ast
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from compat.index.extract.module_rows import guard_text
from compat.index.extract.module_visitor import ModuleVisitor
from compat.index.extract.try_statements import IMPORT_ERRORS
from compat.model.guards import ALWAYS, Guard, Imports
from compat.model.symbols import location, split_location

ATTRIBUTE_ERRORS = {"AttributeError", "Exception", "BaseException"}
_DEEPEST = 3
"""The maximum number of attributes to keep of a chain; more are attributes of objects."""


class ForeignImport(NamedTuple):
    """One thing that a module takes from another package."""

    target: str
    """`module` or `module:name`; of a chain of attributes, the name has dots: `torch:nn.functional.relu`."""
    form: str
    """`import`, `attribute` (of an imported module, read during the import) or `deferred` (in a function)."""
    guard: str | None
    """The guard as JSON; None when the statement always runs."""
    line: int


def foreign_imports(source: bytes, module: str, *, is_package: bool) -> tuple[ForeignImport, ...]:
    """Return what a module takes from packages other than its own and the standard library, by line.

    See `read_module` for the arguments. A file that is not valid Python takes nothing.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    visitor = _ForeignVisitor(module, is_package=is_package, delayed=_delays_annotations(tree))
    visitor.block(tree.body, ALWAYS)
    first: dict[tuple[str, str, str | None], int] = {}
    for each in visitor.found:
        first.setdefault(each[:3], each.line)
    return tuple(sorted((ForeignImport(*key, line) for key, line in first.items()), key=_position))


def is_foreign(target: str, own: str) -> bool:
    """Return whether a location is outside a top-level package and the standard library."""
    top = target.partition(":")[0].partition(".")[0]
    return bool(top) and top != own and top not in sys.stdlib_module_names


def _position(each: ForeignImport) -> tuple[int, str, str, str]:
    return each.line, each.target, each.form, each.guard or ""


def _delays_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


class _ForeignVisitor(ModuleVisitor):
    """Visits a module as for the index, and notes what each executed statement takes from elsewhere."""

    def __init__(self, module: str, *, is_package: bool, delayed: bool) -> None:
        super().__init__(module, is_package=is_package)
        self.found: list[ForeignImport] = []
        self._own = module.partition(".")[0]
        self._delayed = delayed
        self._shields = 0
        """How many enclosing `try` blocks catch an AttributeError."""

    def _statement(self, node: ast.stmt, guard: Guard) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                self._note_import(node, guard, "import")
            case _:
                self._note_attributes(node, guard)
        super()._statement(node, guard)

    def _definition(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, guard: Guard) -> None:
        for inner in _deferred(node.body if not isinstance(node, ast.ClassDef) else _functions(node)):
            self._note_import(inner, guard, "deferred")
        super()._definition(node, guard)

    def _try(self, node: ast.Try, guard: Guard) -> None:
        caught = any(_catches(handler, ATTRIBUTE_ERRORS) for handler in node.handlers)
        self._shields += caught
        super()._try(node, guard)
        self._shields -= caught

    def _note_import(self, node: ast.Import | ast.ImportFrom, guard: Guard, form: str) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                target = alias.name
            else:
                target = location(self._resolve(node), "" if alias.name == "*" else alias.name)
            self._note(target, form, guard, alias.lineno)

    def _note_attributes(self, node: ast.stmt, guard: Guard) -> None:
        if self._shields:
            return
        for expression in _executed(node, delayed=self._delayed):
            for root, parts, line in _chains(expression):
                base = self._names.get(root)
                if base is None or _is_tried(base, guard):
                    continue
                module, name = split_location(base)
                chain = ".".join(filter(None, [name, *parts[:_DEEPEST]]))
                self._note(f"{module}:{chain}", "attribute", guard, line)

    def _note(self, target: str, form: str, guard: Guard, line: int) -> None:
        if is_foreign(target, self._own):
            text = None if guard == ALWAYS else guard_text(guard)
            self.found.append(ForeignImport(target, form, text, line))


def _is_tried(base: str, guard: Guard) -> bool:
    """Return whether a statement stands in the `try` that imports the object: the handler may cover it."""
    return isinstance(guard, Imports) and base in guard.targets and not guard.alone


def _functions(node: ast.ClassDef) -> list[ast.stmt]:
    return [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]


def _deferred(body: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports of function bodies, without those in a `try` that handles their failure."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try) and any(_catches(each, IMPORT_ERRORS) for each in node.handlers):
            continue
        else:
            yield from _deferred(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


def _catches(handler: ast.ExceptHandler, errors: set[str]) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(caught, ast.Name) and caught.id in errors for caught in types)


def _executed(node: ast.stmt, *, delayed: bool) -> Iterator[ast.expr]:
    """Yield the expressions that certainly run with a statement; the visitor enters blocks by itself."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from node.decorator_list
            yield from node.args.defaults
            yield from filter(None, node.args.kw_defaults)
            if not delayed:
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                every += filter(None, [node.args.vararg, node.args.kwarg])
                yield from filter(None, [*(each.annotation for each in every), node.returns])
        case ast.ClassDef():
            yield from node.decorator_list
            yield from node.bases
            yield from (keyword.value for keyword in node.keywords)
            for inner in node.body:
                yield from _executed(inner, delayed=delayed)
        case ast.AnnAssign():
            if not delayed:
                yield node.annotation
            if node.value is not None:
                yield node.value
        case ast.Assign() | ast.AugAssign() | ast.Expr():
            yield node.value


def _chains(node: ast.expr) -> Iterator[tuple[str, list[str], int]]:
    """Yield each chain of attributes that starts at a name, in the parts of an expression that always run."""
    match node:
        case ast.Attribute():
            parts: list[str] = []
            inner: ast.expr = node
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name):
                yield inner.id, parts[::-1], node.lineno
            else:
                yield from _chains(inner)
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case ast.IfExp(test=test):
            yield from _chains(test)
        case ast.BoolOp(values=[first, *_]):
            yield from _chains(first)
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield from _chains(child)
                elif isinstance(child, ast.keyword):
                    yield from _chains(child.value)
