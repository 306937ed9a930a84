"""Determine which names a star import of a module binds, from the statements that build `__all__`."""

import ast
from collections.abc import Iterator

NAMESPACES = ("globals()", "locals()", "vars()", "dir()")
"""Calls that return the names of a module at its top level."""
KEEPING = ("list", "tuple", "set", "sorted", "frozenset")
"""Functions that return the items of their argument."""

Texts = tuple[str, ...]


class Exporting:
    """Tracks the assignments of a module to `__all__` and to the tables from which it is built."""

    def __init__(self) -> None:
        self.names: Texts | None = None
        """`__all__`; None if it does not exist or is not known: a star import binds all public names."""
        self.withheld: Texts = ()
        """Public names that a star import does not bind although `exports` is None."""
        self.unclear = False
        """Whether the module adds names to `__all__` that cannot be determined."""
        self._unread = False
        self._tables: dict[str, Texts] = {}

    def table(self, name: str, value: ast.expr | None) -> None:
        """Record an assignment to a name; `texts` is None unless the value is a literal of strings."""
        texts = None if value is None else self.texts(value)
        if texts is None:
            self._tables.pop(name, None)
        else:
            self._tables[name] = texts

    def item(self, name: str, key: ast.expr) -> None:
        """Record an assignment to `name[key]`."""
        before, added = self._tables.pop(name, None), self.texts(ast.Tuple(elts=[key]))
        if before is not None and added is not None:
            self._tables[name] = (*before, *added)

    def assign(self, value: ast.expr) -> None:
        """Record `__all__ = …`."""
        self.names, self.withheld = self.texts(value), ()
        self._unread = self.names is None
        if self._unread:
            self.withheld = self._left_out(value) or ()

    def add(self, value: ast.expr) -> None:
        """Record `__all__ += …` and equivalent statements."""
        texts = self.texts(value)
        if texts is None or self._unread:
            self.names, self.unclear = None, True
        else:
            self.names = (*(self.names or ()), *texts)

    def texts(self, node: ast.expr) -> Texts | None:
        """Return the strings of a list expression or the keys of a dictionary; None if they are not known."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return self._joined(elements)
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return self._joined([key or ast.Starred(value=value) for key, value in pairs])
            case ast.Name(id=name):
                return self._tables.get(name)
            case ast.BinOp(left=left, op=ast.Add() | ast.BitOr(), right=right):
                return self._joined([ast.Starred(value=left), ast.Starred(value=right)])
            case ast.Call(func=ast.Name(id=function), args=[items]) if function in KEEPING:
                return self.texts(items)
            case ast.Call(func=ast.Attribute(value=items, attr="keys"), args=[]):
                return self.texts(items)
        return None

    def looped(self, tree: ast.Module) -> Iterator[tuple[ast.For, str, Texts]]:
        """Yield the top-level loops over a table of strings, with the loop variable."""
        for loop in tree.body:
            match loop:
                case ast.For(target=ast.Name(id=name), iter=items):
                    texts = self.texts(items)
                case ast.For(
                    target=ast.Tuple(elts=[ast.Name(id=name), _]),
                    iter=ast.Call(func=ast.Attribute(value=items, attr="items"), args=[]),
                ):
                    texts = self.texts(items)
                case _:
                    continue
            if texts is not None:
                yield loop, name, texts

    def _joined(self, elements: list[ast.expr]) -> Texts | None:
        found: list[str] = []
        for element in elements:
            match element:
                case ast.Constant(value=str(text)):
                    found.append(text)
                case ast.Starred(value=items):
                    texts = self.texts(items)
                    if texts is None:
                        return None
                    found += texts
                case _:
                    return None
        return tuple(found)

    def _left_out(self, value: ast.expr) -> Texts | None:
        """Return the names that a comprehension over public names excludes; None for other expressions."""
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in KEEPING:
            if len(value.args) != 1:
                return None
            value = value.args[0]
        match value:
            case (
                ast.ListComp(elt=ast.Name(id=element), generators=[each])
                | ast.SetComp(elt=ast.Name(id=element), generators=[each])
                | ast.GeneratorExp(elt=ast.Name(id=element), generators=[each])
            ) if ast.unparse(each.target) == element and _lists_names(each.iter):
                return self._refused(element, each.ifs)
        return None

    def _refused(self, name: str, tests: list[ast.expr]) -> Texts | None:
        public = False
        found: list[str] = []
        for test in _all_of(tests):
            match test:
                case ast.UnaryOp(op=ast.Not(), operand=ast.Call() as call):
                    if ast.unparse(call) != f"{name}.startswith('_')":
                        return None
                    public = True
                case ast.Compare(left=ast.Name(id=left), ops=[ast.NotIn()], comparators=[items]) if (
                    left == name
                ):
                    texts = self.texts(items)
                    if texts is None:
                        return None
                    found += texts
                case ast.Compare(
                    left=ast.Name(id=left), ops=[ast.NotEq()], comparators=[ast.Constant(value=str(text))]
                ) if left == name:
                    found.append(text)
                case _:
                    return None
        return tuple(found) if public else None


def _all_of(tests: list[ast.expr]) -> Iterator[ast.expr]:
    for test in tests:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            yield from _all_of(test.values)
        else:
            yield test


def _lists_names(node: ast.expr) -> bool:
    """Return whether an expression lists the names that the module has bound so far."""
    match node:
        case ast.Call(func=ast.Name(id=function), args=[items]) if function in KEEPING:
            return _lists_names(items)
        case ast.Call(func=ast.Attribute(value=items, attr="keys" | "copy"), args=[]):
            return _lists_names(items)
    return ast.unparse(node) in NAMESPACES
