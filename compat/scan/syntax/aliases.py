"""Track which local names of a file stand for something of a package, scope by scope."""

import ast
import re

from compat.scan.syntax.positions import FunctionNode, NodePosition, within

Scope = FunctionNode | ast.ClassDef | None


class Aliases:
    """The names that imports bind in one file, by scope.

    Args:
        tree: the syntax tree of the file.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._bound: dict[Scope, dict[str, dict[str, None]]] = {}
        self._locals: dict[FunctionNode, frozenset[str]] = {}

    @property
    def names(self) -> frozenset[str]:
        """All names that stand for a dotted path in some scope."""
        return frozenset(name for scope in self._bound.values() for name in scope)

    def add(self, position: NodePosition, name: str, path: str) -> None:
        """Record that an import at a position binds a name to a dotted path."""
        self._bound.setdefault(_scope(position), {}).setdefault(name, {})[path] = None

    def paths(self, name: str, position: NodePosition) -> tuple[str, ...]:
        """Return the dotted paths that a name may stand for at a position; empty if it is another name."""
        inner: NodePosition | None = position
        innermost = True
        while inner is not None:
            owner = inner.owner
            if (
                isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and inner.branch != "header"
            ):
                function = not isinstance(owner, ast.ClassDef)
                if function or innermost:
                    known = self._bound.get(owner, {}).get(name)
                    if known:
                        return tuple(known)
                if function:
                    if name in self._names_of(owner):  # type: ignore[arg-type]
                        return ()
                    innermost = False
            inner = inner.outer
        return tuple(self._bound.get(None, {}).get(name, ()))

    def uses(self, data: bytes) -> list[int]:
        """Return the offsets at which an attribute of one of the names may be read, ascending."""
        words = b"|".join(re.escape(name.encode()) for name in sorted(self.names))
        pattern = re.compile(rb"(?<![\w.])(?:" + words + rb")(?=(?:\s|\\\n)*\.|[ \t]*,\s*[\"'])")
        return [match.start() for match in pattern.finditer(data)]

    def _names_of(self, function: FunctionNode) -> frozenset[str]:
        """Return the parameters and assigned names that are local to a function."""
        if function not in self._locals:
            arguments = function.args
            names = {
                each.arg
                for each in (
                    *arguments.posonlyargs,
                    *arguments.args,
                    *arguments.kwonlyargs,
                    arguments.vararg,
                    arguments.kwarg,
                )
                if each is not None
            }
            outside: set[str] = set()
            for node in within(function):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    names.add(node.id)
                elif isinstance(node, ast.Global | ast.Nonlocal):
                    outside.update(node.names)
            self._locals[function] = frozenset(names - outside)
        return self._locals[function]


def _scope(position: NodePosition) -> Scope:
    for each in position.outwards():
        if isinstance(each.owner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return each.owner
    return None
