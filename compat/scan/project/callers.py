"""Find the callers of functions: an import in a function that only other releases call breaks nothing."""

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from compat.scan.interpreter.reachability import Reachability
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.prefilter.mentions import line_numbers, word_offsets
from compat.scan.syntax.positions import (
    FunctionNode,
    LineNumbers,
    NodePosition,
    expressions,
    headers,
    statements,
)

K = TypeVar("K")
T = TypeVar("T")


class Searches(Generic[K, T]):
    """Lazy search results by key: each reader continues a search where another one stopped."""

    def __init__(self) -> None:
        self._found: dict[K, list[T]] = {}
        self._ahead: dict[K, Iterator[T]] = {}

    def of(self, key: K, search: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield the results of a search.

        Args:
            key: identifies the search.
            search: starts it; called once per key.
        """
        found = self._found.setdefault(key, [])
        if key not in self._ahead:
            self._ahead[key] = search()
        at = 0
        while True:
            while at < len(found):
                yield found[at]
                at += 1
            following = next(self._ahead[key], None)
            if following is None:
                return
            found.append(following)


_DEEPEST = 3
"""Greatest length of a chain of callers that is followed."""
_MOST = 4
"""A function that more other files mention counts as called."""

Mention = tuple[Module, list[NodePosition]]


class CallGraph:
    """Finds the positions that mention a function.

    Args:
        tree: the modules of the scanned tree.
        read: returns the bytes of a file.
        files: all files of the scan.
    """

    def __init__(self, tree: Tree, read: Callable[[str], bytes], files: Iterable[str]) -> None:
        self._tree = tree
        self._read = read
        self._files = files
        self._searches: Searches[FunctionNode, Mention] = Searches()

    def may_be_called(self, function: FunctionNode, reachability: Reachability, depth: int = 0) -> bool:
        """Return whether code that runs in a release may call a function.

        A function that nothing mentions counts as called from outside the tree.
        """
        name = function.name
        if name.startswith(("__", "test")):
            return True
        mentioned = False
        for module, positions in self._mentions(function, reachability.module):
            there = reachability if module is reachability.module else reachability._replace(module=module)
            for position in positions:
                mentioned = True
                if self._runs(position, there, depth):
                    return True
        return not mentioned

    def _runs(self, position: NodePosition, reachability: Reachability, depth: int) -> bool:
        if not reachability.reached(position) or reachability.protected(position, "ImportError"):
            return False
        outer = position.function
        return outer is None or depth >= _DEEPEST or self.may_be_called(outer, reachability, depth + 1)

    def _mentions(self, function: FunctionNode, module: Module) -> Iterator[Mention]:
        """Yield the mentions of a function, its own file first; files are parsed only when needed."""
        return self._searches.of(function, lambda: self._search(function, module))

    def _search(self, function: FunctionNode, module: Module) -> Iterator[Mention]:
        yield module, _mentions_in(module, self._read(module.path), function)
        others = self._others(function, module)
        if len(others) > _MOST:
            yield (
                module,
                [NodePosition(None, module.tree, "body", module.tree.body, 0)],
            )  # it counts as called
            return
        for path, data in sorted(others, key=lambda other: len(other[1])):
            other = self._tree.module(path)
            if other is not None:
                yield other, _mentions_in(other, data, function)

    def _others(self, function: FunctionNode, module: Module) -> list[tuple[str, bytes]]:
        name = function.name.encode()
        found = []
        for path in self._files:
            if path == module.path or not path.endswith(".py"):
                continue
            try:
                data = self._read(path)
            except OSError:
                continue
            if any(True for _ in word_offsets(data, name)):
                found.append((path, data))
                if len(found) > _MOST:
                    break
        return found


def _mentions_in(module: Module, data: bytes, function: FunctionNode) -> list[NodePosition]:
    name = function.name
    lines = LineNumbers(line_numbers(data, list(word_offsets(data, name.encode()))))
    found: list[NodePosition] = []
    for position in statements(module.tree, lines):
        if position.statement is function or any(each.owner is function for each in position.outwards()):
            continue
        for header in headers(position.statement, annotations=False):
            for node, tests in expressions(header):
                if _names(node, name):
                    found.append(position.within(tests))
    return found


def _names(node: ast.AST, name: str) -> bool:
    while isinstance(node, ast.Attribute):
        if node.attr == name:
            return True
        node = node.value
    return isinstance(node, ast.Name) and node.id == name
