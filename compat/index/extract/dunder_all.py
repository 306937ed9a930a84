"""What a star import of a module brings: `__all__`, worked out as far as its statements show it."""

import ast
from collections.abc import Iterator

NAMESPACES = ("globals()", "locals()", "vars()", "dir()")
"""What lists the names of a module at its top level."""
KEEPING = ("list", "tuple", "set", "sorted", "frozenset")
"""Functions that return the items they are given."""

Texts = tuple[str, ...]


class Exporting:
    """Follows what the top level of a module does to `__all__` and to the tables that it is made from."""

    def __init__(self) -> None:
        self.names: Texts | None = None
        """`__all__`; None when there is none, or none that can be read: then all public names are brought."""
        self.withheld: Texts = ()
        """Public names that are not brought all the same."""
        self.unclear = False
        """Whether something was added to `__all__` that cannot be read."""
        self._unread = False
        self._tables: dict[str, Texts] = {}

    def table(self, name: str, value: ast.expr | None) -> None:
        """Note that a name is bound: to a literal of texts, or to something else, which is None too."""
        texts = None if value is None else self.texts(value)
        if texts is None:
            self._tables.pop(name, None)
        else:
            self._tables[name] = texts

    def item(self, name: str, key: ast.expr) -> None:
        """Note that `name[key]` is assigned to."""
        before, added = self._tables.pop(name, None), self.texts(ast.Tuple(elts=[key]))
        if before is not None and added is not None:
            self._tables[name] = (*before, *added)

    def assign(self, value: ast.expr) -> None:
        """Follow `__all__ = …`."""
        self.names, self.withheld = self.texts(value), ()
        self._unread = self.names is None
        if self._unread:
            self.withheld = self._left_out(value) or ()

    def add(self, value: ast.expr) -> None:
        """Follow `__all__ += …` and its like."""
        texts = self.texts(value)
        if texts is None or self._unread:
            self.names, self.unclear = None, True
        else:
            self.names = (*(self.names or ()), *texts)

    def texts(self, node: ast.expr) -> Texts | None:
        """Return the texts that an expression lists, keys of a dictionary too; None when it is unclear."""
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
        """Yield the loops of the top level over a table, with the name that runs through its texts."""
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
        """Return what a comprehension over the module's public names leaves out; None when it is none."""
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
    """Return whether an expression lists the names that are bound so far."""
    match node:
        case ast.Call(func=ast.Name(id=function), args=[items]) if function in KEEPING:
            return _lists_names(items)
        case ast.Call(func=ast.Attribute(value=items, attr="keys" | "copy"), args=[]):
            return _lists_names(items)
    return ast.unparse(node) in NAMESPACES
