"""Where functions are called from: an import in a function that only other releases call breaks nothing."""

import ast
import re
from collections.abc import Callable, Iterable

from compat.scan.frames import Module, Tree
from compat.scan.mentions import lines_of
from compat.scan.places import FunctionNode, Lines, Place, expressions, headers, statements
from compat.scan.reach import Reach

_DEEPEST = 3
"""Functions that call functions that are followed."""
_MOST = 12
"""Places of calls that are looked at; a name that is used more often is taken to be called."""

Mention = tuple[Module, Place]


class Calls:
    """Finds the places that mention a function.

    Args:
        tree: the modules of the scanned tree.
        read: returns the bytes of a file.
        files: all files of the scan.
    """

    def __init__(self, tree: Tree, read: Callable[[str], bytes], files: Iterable[str]) -> None:
        self._tree = tree
        self._read = read
        self._files = files
        self._known: dict[FunctionNode, list[Mention] | None] = {}

    def called(self, function: FunctionNode, reach: Reach, depth: int = 0) -> bool:
        """Return whether some release's run may get to a function that fails when it is called.

        A function that nothing mentions is called from outside.
        """
        mentions = self._mentions(function, reach.module)
        if mentions is None or not mentions:
            return True
        for module, place in mentions:
            there = reach if module is reach.module else reach._replace(module=module)
            if not there.reached(place) or there.protected(place, "ImportError"):
                continue
            outer = place.function
            if outer is None or depth >= _DEEPEST or self.called(outer, there, depth + 1):
                return True
        return False

    def _mentions(self, function: FunctionNode, module: Module) -> list[Mention] | None:
        """Return the places that mention a function, or None when there are too many to tell."""
        if function not in self._known:
            self._known[function] = None  # what leads back here is called
            self._known[function] = self._search(function, module)
        return self._known[function]

    def _search(self, function: FunctionNode, module: Module) -> list[Mention] | None:
        name = function.name
        if name.startswith(("__", "test")):
            return None
        found = _mentions_in(module, self._read(module.path), function)
        if len(found) > _MOST:
            return None
        word = re.compile(rb"\b" + name.encode() + rb"\b")
        for path in self._files:
            if path == module.path or not path.endswith(".py"):
                continue
            try:
                data = self._read(path)
            except OSError:
                continue
            if name.encode() not in data or not word.search(data):
                continue
            other = self._tree.module(path)
            if other is not None:
                found += _mentions_in(other, data, function)
            if len(found) > _MOST:
                return None
        return found


def _mentions_in(module: Module, data: bytes, function: FunctionNode) -> list[Mention]:
    name = function.name
    word = re.compile(rb"\b" + name.encode() + rb"\b")
    lines = Lines(lines_of(data, [match.start() for match in word.finditer(data)]))
    found: list[Mention] = []
    for place in statements(module.tree, lines):
        if place.statement is function or any(each.owner is function for each in place.outwards()):
            continue
        for header in headers(place.statement, annotations=False):
            for node, tests in expressions(header):
                if _names(node, name):
                    found.append((module, place.within(tests)))
    return found


def _names(node: ast.AST, name: str) -> bool:
    while isinstance(node, ast.Attribute):
        if node.attr == name:
            return True
        node = node.value
    return isinstance(node, ast.Name) and node.id == name
