"""Evaluate attributes of objects and classes of the scanned tree that exactly one statement assigns."""

import ast
from typing import Any

from compat.scan.interpreter.scopes import Frame, Module
from compat.scan.interpreter.statements import Execution
from compat.scan.interpreter.values import (
    UNKNOWN,
    Class,
    EnumMember,
    Function,
    Instance,
    ScannedCodeError,
    known,
)
from compat.scan.syntax.attribute_assignments import Store
from compat.scan.syntax.bound_names import local_names
from compat.scan.syntax.positions import FunctionNode, dotted

_DEEPEST = 5
"""Greatest depth of base classes that is searched."""
_PROPERTIES = frozenset({"property", "cached_property"})
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum"})
_MIXED = frozenset({"str", "int", "float", "IntEnum", "StrEnum"})
"""Bases because of which the members of an enumeration compare like their values."""


class Objects:
    """Looks attributes up.

    Args:
        execution: interprets the statement that assigns the attribute.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    def attribute(self, value: Class | Instance, name: str) -> Any:
        """Return an attribute of an object or class; `UNKNOWN` unless one statement assigns it."""
        given = value if isinstance(value, Class) else value.of
        bases = _bases(given.node)
        if isinstance(value, Class) and not bases.isdisjoint(_ENUMS):
            return self._member(value, name, mixed=not bases.isdisjoint(_MIXED))
        store = _only(given.frame.module, name)
        if store is None or store.owner is None or not _inherits(given, store.owner, 0):
            return UNKNOWN
        owner = Class(store.owner, given.frame)
        statement = store.block[store.at]
        if store.function is not None:
            if store.base != _first(store.function) or _clears(statement):
                return UNKNOWN
            return self._value(store, owner, name)
        if isinstance(statement, ast.FunctionDef):
            return self._method(statement, owner, value)
        return self._value(store, owner, name) if _kept(owner.node, statement, value) else UNKNOWN

    def _member(self, owner: Class, name: str, *, mixed: bool) -> Any:
        """Return a member of an enumeration, if its body assigns a constant to the name once."""
        found = [
            store
            for store in owner.frame.module.stores.get(name, [])
            if store.owner is owner.node and store.function is None and not store.base
        ]
        value = self._value(found[0], owner, name) if len(found) == 1 else UNKNOWN
        return EnumMember(name, value, mixed) if known(value) else UNKNOWN

    def of_module(self, module: Module, base: str, name: str) -> Any:
        """Return the value that the top level of a module assigns to `base.name`, if nothing else does."""
        if (base, name) not in module.attribute_targets:
            return UNKNOWN
        store = _only(module, name)
        if store is None or store.owner is not None or store.function is not None or store.base != base:
            return UNKNOWN
        return self._value(store, None, name, module)

    def _method(self, function: ast.FunctionDef, owner: Class, value: Class | Instance) -> Any:
        kinds = _kinds(function)
        instance = isinstance(value, Instance)
        if kinds & _PROPERTIES and instance:
            call = ast.Call(ast.Constant(None), [], [])
            return self._execution.called(Function(function, owner.frame, value), call, owner.frame)
        if kinds - {"staticmethod", "classmethod"} or not (kinds or instance):
            return UNKNOWN
        bound = None if "staticmethod" in kinds else owner if "classmethod" in kinds else value
        return Function(function, owner.frame, bound)

    def _value(self, store: Store, owner: Class | None, name: str, module: Module | None = None) -> Any:
        found = owner.frame.module if owner else module
        assert found is not None  # noqa: S101 -- one of them is given
        return self._execution.memory.result(
            (id(store.block), store.at, name),
            lambda: self._run(store, owner, name, Frame(found)),
            pending=UNKNOWN,
        )

    def _run(self, store: Store, owner: Class | None, name: str, outer: Frame) -> Any:
        """Interpret the assignment, and before it the statements that bind the names it needs."""
        frame = outer
        if store.function is not None:
            frame = method_frame(outer, store.function, owner)
        elif owner is not None:
            frame = Frame(outer.module, outer)
        if frame is not outer:
            blocks = [(store.block, store.at)]
            for statement in outer.module.block_binders.needed(blocks, [store.block[store.at]]) or ():
                self._execution.bind(statement, frame)
        done = self._quiet(store.block[store.at], frame)
        return frame.names.get(f"{store.base}.{name}" if store.base else name, UNKNOWN) if done else UNKNOWN

    def _quiet(self, statement: ast.stmt, frame: Frame) -> bool:
        try:
            self._execution.statement(statement, frame)
        except (ScannedCodeError, RecursionError):
            return False
        return True


def method_frame(outer: Frame, function: FunctionNode, owner: Class | None) -> Frame:
    """Return a frame for a function in which only the first parameter of a method is known."""
    frame = Frame(outer.module, outer, outer.depth)
    frame.names = dict.fromkeys(local_names(function), UNKNOWN)
    first, kinds = _first(function), _kinds(function)
    if owner is not None and first and "staticmethod" not in kinds:
        frame.names[first] = owner if "classmethod" in kinds else Instance(owner, plain=False)
    return frame


def _only(module: Module, name: str) -> Store | None:
    found = module.stores.get(name, [])
    return found[0] if len(found) == 1 else None


def _inherits(given: Class, owner: ast.ClassDef, depth: int) -> bool:
    """Return whether a class is another class or inherits from it, within one file."""
    if given.node is owner:
        return True
    if depth > _DEEPEST:
        return False
    return any(
        isinstance(statement, ast.ClassDef) and _inherits(Class(statement, given.frame), owner, depth + 1)
        for base in given.node.bases
        if isinstance(base, ast.Name)
        for statement in given.frame.module.binders(base.id)
    )


def _kept(node: ast.ClassDef, statement: ast.stmt, value: Class | Instance) -> bool:
    """Return whether an attribute has the value in the class body; fields get theirs from the constructor."""
    if any(base.endswith(("Enum", "Flag", "NamedTuple", "Model", "Settings")) for base in _bases(node)):
        return False
    field = isinstance(statement, ast.AnnAssign) and bool(node.decorator_list)
    return not field or isinstance(value, Class) or value.plain


def _bases(node: ast.ClassDef) -> frozenset[str]:
    return frozenset(part for base in node.bases for part in dotted(base)[-1:])


def _clears(statement: ast.stmt) -> bool:
    """Return whether a statement assigns None, so that the real value is assigned elsewhere."""
    match statement:
        case ast.Assign(value=ast.Constant(value=None)) | ast.AnnAssign(value=ast.Constant(value=None)):
            return True
    return False


def _first(function: FunctionNode) -> str:
    positional = [*function.args.posonlyargs, *function.args.args]
    return positional[0].arg if positional else ""


def _kinds(function: FunctionNode) -> set[str]:
    return {part for decorator in function.decorator_list for part in dotted(decorator)[-1:]}
