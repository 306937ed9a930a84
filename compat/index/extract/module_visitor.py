"""Read the top level of a module from its source: names, their guards and their targets."""

import ast
from collections.abc import Iterable, Iterator

from compat.index.extract.bindings import Event, Form, ModuleFacts, presence
from compat.index.extract.dunder_all import Exporting
from compat.index.extract.dynamic_globals import writes_namespace, written_by
from compat.index.extract.global_names import names_set_by_functions
from compat.index.extract.guard_builder import Conditions
from compat.index.extract.module_getattr import Resolve, read_getattr
from compat.index.extract.signatures import signature
from compat.index.extract.stub_bodies import is_hollow, refusal
from compat.index.extract.try_statements import attempt, diverges
from compat.model.guards import (
    ALWAYS,
    NEVER,
    Condition,
    Const,
    Guard,
    Imports,
    after_call,
    both,
    either,
    negated,
)

ANY = "typing:Any"


def read_module(source: bytes, module: str, *, is_package: bool) -> ModuleFacts:
    """Return the names that `module` binds and exports at its top level.

    Args:
        source: the bytes of the file, in the encoding that it declares.
        module: its full dotted name.
        is_package: whether the file is an `__init__.py`.

    A file that is not valid Python has no events and counts as open.
    """
    return read_tree(parsed(source), source, module, is_package=is_package)


def parsed(source: bytes) -> ast.Module | None:
    """Return the syntax tree of a file, or None if it is not valid Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def read_tree(tree: ast.Module | None, source: bytes, module: str, *, is_package: bool) -> ModuleFacts:
    """Return what `read_module` does, from the tree that `parsed` returned."""
    if tree is None:
        return ModuleFacts(events=(), exports=None, withheld=(), open=True)
    visitor = ModuleVisitor(module, is_package=is_package)
    visitor.set_by = names_set_by_functions(tree) if b"global" in source else {}
    visitor.block(tree.body, ALWAYS)
    visitor.finish(tree, source)
    return ModuleFacts(
        events=tuple(visitor.events),
        exports=visitor.exporting.names,
        withheld=visitor.exporting.withheld,
        open=visitor.open,
    )


class ModuleVisitor:
    """Visits module-level statements in order, with the guard under which each of them runs."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.events: list[Event] = []
        self.exporting = Exporting()
        self.open = False
        self.set_by: dict[str, tuple[str, ...]] = {}
        """For each function, the names of the module that it binds by `global`."""
        self._resolve = Resolve(module, is_package=is_package)
        self._names: dict[str, str] = {}
        self._truths: dict[str, Guard] = {}
        self._by_name: dict[str, list[Event]] = {}
        self._tables: dict[str, ast.Dict] = {}
        self._hollow: set[str] = set()
        self._declared: set[str] = set()
        """The names that blocks which never run bind to real objects."""
        self._getattrs: list[ast.FunctionDef] = []
        self._conditions = Conditions(self._names, self._truths, self._presence)

    def block(self, body: Iterable[ast.stmt], guard: Guard) -> None:
        """Visit the statements of a block in order."""
        if guard == NEVER:
            return
        for node in body:
            self._statement(node, guard)

    def finish(self, tree: ast.Module, source: bytes) -> None:
        """Add the events that depend on the whole module."""
        known = {
            node
            for loop, name, texts in self.exporting.looped(tree)
            if all(text in self._by_name for text in texts)
            for node in written_by(loop, name)
        }
        self.open = self.open or self.exporting.unclear or writes_namespace(tree, source, known)
        for function in self._getattrs:
            lazy = read_getattr(function, self._tables, self.package, self._resolve)
            self.open = self.open or lazy.open
            for name, target in lazy.targets.items():
                if name not in self._by_name:  # Python calls __getattr__ only for unbound names
                    self._bind(name, "lazy", ALWAYS, target=target)
        at_top = set(self._by_name)
        for called, names in self.set_by.items():
            for name in names:
                if name not in at_top:
                    self._bind(name, "value", after_call(called))

    def _statement(self, node: ast.stmt, guard: Guard) -> None:  # noqa: C901 -- one case per statement
        match node:
            case ast.Import():
                self._import(node, guard)
            case ast.ImportFrom():
                self._import_from(node, guard)
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                self._definition(node, guard)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value, guard)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value, guard)
            case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
                self.exporting.add(value)
            case ast.Delete(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        self._bind(target.id, "delete", guard)
            case ast.Expr(value=ast.Call() as call):
                self._call(call, guard)
            case _:
                self._compound(node, guard)

    def _compound(self, node: ast.stmt, guard: Guard) -> None:
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                condition = self._conditions.guard(test)
                if condition in (NEVER, ALWAYS):
                    self._declared.update(_declared(body if condition == NEVER else orelse))
                self.block(body, both(guard, condition))
                self.block(orelse, both(guard, negated(condition)))
            case ast.Try() as attempt:
                self._try(attempt, guard)
            case ast.With(items=items, body=body):
                self._with(items, body, guard)
            case ast.For(target=target, iter=iterated, body=body, orelse=orelse):
                repeated = both(guard, Condition(f"any({ast.unparse(iterated)[:200]})"))
                self._assign(target, iterated, repeated)
                self.block(body, repeated)
                self.block(orelse, guard)
            case ast.While(test=test, body=body):
                self.block(body, both(guard, self._conditions.guard(test)))
            case ast.Match(subject=subject, cases=cases):
                for case in cases:
                    text = f"match {ast.unparse(subject)}: case {ast.unparse(case.pattern)}"
                    self.block(case.body, both(guard, Condition(text[:200])))

    def _import(self, node: ast.Import, guard: Guard) -> None:
        for alias in node.names:
            if alias.asname or "." not in alias.name:
                self._bind(alias.asname or alias.name, "import", guard, target=alias.name)
                self._names[alias.asname or alias.name] = alias.name
            else:
                top = alias.name.partition(".")[0]
                self._bind(top, "import", guard, target=top)
                self._bind("", "need", guard, target=alias.name)
                self._names[top] = top

    def _import_from(self, node: ast.ImportFrom, guard: Guard) -> None:
        module = self._resolve(node)
        for alias in node.names:
            if alias.name == "*":
                self._bind("*", "star", guard, target=module)
                continue
            target = f"{module}:{alias.name}"
            name = alias.asname or alias.name
            stub = target in (ANY, "typing_extensions:Any")
            self._bind(name, "import", guard, target=target)
            self._names[name] = ANY if stub else target

    def _definition(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, guard: Guard) -> None:
        hollow = is_hollow(node)
        if node.name == "__getattr__" and isinstance(node, ast.FunctionDef):
            self._getattrs.append(node)
        form: Form = "class" if isinstance(node, ast.ClassDef) else "function"
        truth = self._predicate(node)
        self._bind(
            *(node.name, form, guard),
            hollow=hollow,
            truth=truth,
            signature=signature(node),
            refusal=refusal(node),
        )
        (self._hollow.add if hollow else self._hollow.discard)(node.name)
        self._names.pop(node.name, None)

    def _predicate(self, node: ast.stmt) -> Guard | None:
        """Return the condition that a function without parameters returns; None for other functions."""
        if not isinstance(node, ast.FunctionDef) or node.args.args or node.args.posonlyargs:
            return None
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        match body:
            case [ast.Return(value=ast.expr() as value)]:
                return self._truth(value)
        return None

    def _assign(self, target: ast.expr, value: ast.expr, guard: Guard) -> None:
        match target:
            case ast.Name(id="__all__"):
                self.exporting.assign(value)
                self._bind("__all__", "value", guard)
            case ast.Name(id=name):
                self._assign_name(name, value, guard)
            case ast.Subscript(value=ast.Name(id=name), slice=key):
                if guard == ALWAYS:
                    self.exporting.item(name, key)
                else:
                    self.exporting.table(name, None)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    inner = element.value if isinstance(element, ast.Starred) else element
                    self._assign(inner, ast.Constant(value=0), guard)

    def _assign_name(self, name: str, value: ast.expr, guard: Guard) -> None:
        form, target = self._form_of(value)
        truth = self._truth(value)
        if isinstance(value, ast.Dict):
            self._tables[name] = value
        self.exporting.table(name, value if guard == ALWAYS else None)
        hollow = isinstance(value, ast.Name) and value.id in self._hollow
        if truth is None:
            self._truths.pop(name, None)
        else:
            before = self._truths.get(name, NEVER)
            self._truths[name] = either(both(guard, truth), both(negated(guard), before))
        self._names.pop(name, None)
        self._bind(name, form, guard, target=target, hollow=hollow, truth=truth)

    def _form_of(self, value: ast.expr) -> tuple[Form, str | None]:
        """Return the form of an assignment, and the target location if it creates an alias."""
        match value:
            case ast.Constant(value=None):
                return "none", None
            case ast.Name(id=other):
                full = self._names.get(other)
                if full == ANY or (other == "object" and other not in self._by_name):
                    return "any", ANY
                if full is not None:
                    return "alias", full
                return ("alias", f"{self.module}:{other}") if other in self._by_name else ("value", None)
            case ast.Attribute(value=ast.Name(id=root), attr=attribute):
                full = self._names.get(root)
                if full is not None and f"{full}:{attribute}" == ANY:
                    return "any", ANY
        return "value", None

    def _truth(self, value: ast.expr) -> Guard | None:
        """Return the guard for an expression that is a condition, else None."""
        match value:
            case ast.Constant(value=bool() as constant):
                return Const(constant)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.Call(args=[], keywords=[]):
                return self._conditions.guard(value)
            case ast.Call(func=ast.Name(id="bool")) | ast.Call(args=[ast.Constant()], keywords=[]):
                condition = self._conditions.guard(value)
                return condition if isinstance(condition, Imports) else None
            case ast.Name(id=name):
                return self._truths.get(name)
        return None

    def _try(self, node: ast.Try, guard: Guard) -> None:
        if node.handlers and all(diverges(handler.body) for handler in node.handlers):
            # Without a handler, any failure ends the import of this module too: there is no other branch.
            self.block([*node.body, *node.orelse, *node.finalbody], guard)
            return
        if not node.handlers:
            self.block([*node.body, *node.finalbody], guard)
            return
        steps, succeeded = attempt(node, self._resolve)
        for statement, reached in steps:
            self._statement(statement, both(guard, reached))
        for handler in node.handlers:
            if not diverges(handler.body):
                self.block(handler.body, both(guard, negated(succeeded)))
        self.block(node.orelse, both(guard, succeeded))
        self.block(node.finalbody, guard)

    def _with(self, items: list[ast.withitem], body: list[ast.stmt], guard: Guard) -> None:
        for item in items:
            if isinstance(item.optional_vars, ast.expr):
                self._assign(item.optional_vars, item.context_expr, guard)
        context = items[0].context_expr
        if isinstance(context, ast.Call) and self._conditions.text(context.func).endswith("suppress"):
            handler = ast.ExceptHandler(type=ast.Tuple(elts=context.args), name=None, body=[ast.Pass()])
            self._try(ast.Try(body=body, handlers=[handler], orelse=[], finalbody=[]), guard)
        else:
            self.block(body, guard)

    def _call(self, call: ast.Call, guard: Guard) -> None:
        """Record `__all__.append(…)`, `__all__.extend(…)` and calls that bind names of the module."""
        match call.func:
            case ast.Name(id=function) if function in self.set_by:
                for name in self.set_by[function]:
                    self._bind(name, "value", guard)
            case ast.Attribute(value=ast.Name(id="__all__"), attr="append" | "extend"):
                argument = call.args[0] if call.args else ast.Constant(value=None)
                self.exporting.add(argument if call.func.attr == "extend" else ast.List(elts=[argument]))
            case ast.Attribute(value=ast.Name(id=name)):
                self.exporting.table(name, None)  # the call may have changed it
            case ast.Name(id="exec"):
                self.open = True

    def _presence(self, name: str) -> Guard | None:
        events = self._by_name.get(name)
        return presence(events) if events else None

    def _bind(
        self,
        name: str,
        form: Form,
        guard: Guard,
        *,
        target: str | None = None,
        hollow: bool = False,
        truth: Guard | None = None,
        signature: str | None = None,
        refusal: str | None = None,
    ) -> None:
        event = Event(
            name=name,
            form=form,
            guard=guard,
            target=target,
            hollow=hollow,
            truth=truth,
            signature=signature,
            refusal=refusal,
            stands_in=name in self._declared,
        )
        self.events.append(event)
        self._by_name.setdefault(name, []).append(event)


def _declared(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that a block imports, defines or assigns."""
    for node in body:
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name
