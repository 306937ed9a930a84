"""Convert the test of an `if` into a guard: fold constants, qualify names, and expand flags."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from compat.model.guards import ALWAYS, NEVER, Condition, Const, Flag, Guard, Imports, both, either, negated

SUPPORTED_PYTHONS = ((3, 10), (3, 11), (3, 12), (3, 13))
"""A version test with the same result for all of these Python versions is folded to a constant."""

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_TEXT_LIMIT = 300


class Conditions:
    """Converts tests into guards, with the imports and flags that the visitor has seen so far.

    Args:
        names: local name to full dotted name, for what was imported.
        truths: local name to the condition that was assigned to it.
        presences: returns the condition under which a local name is not None; None if that is not known.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        truths: Mapping[str, Guard],
        presences: Callable[[str], Guard | None],
    ) -> None:
        self._names = names
        self._truths = truths
        self._presences = presences

    def guard(self, test: ast.expr) -> Guard:
        """Return the guard of a test."""
        match test:
            case ast.Constant(value=value):
                return Const(bool(value))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negated(self.guard(operand))
            case ast.BoolOp(op=op, values=values):
                return self._joined(op, values)
            case ast.Name(id=name):
                return self._name(name)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._comparison(left, op, right) or Condition(self.text(test))
            case ast.Call():
                return self._call(test)
            case _:
                text = self.text(test)
                return NEVER if text == "typing.TYPE_CHECKING" else Condition(text)

    def text(self, node: ast.expr) -> str:
        """Return the source of an expression with fully qualified names for imported objects."""
        names = self._names

        class Full(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.Name:
                return ast.Name(id=names.get(node.id, node.id).replace(":", "."), ctx=node.ctx)

        # The transformer changes its tree, so it works on a copy.
        copy = ast.parse(ast.unparse(node), mode="eval")
        return ast.unparse(Full().visit(copy))[:_TEXT_LIMIT]

    def _joined(self, op: ast.boolop, values: list[ast.expr]) -> Guard:
        joined = self.guard(values[0])
        for value in values[1:]:
            joined = (both if isinstance(op, ast.And) else either)(joined, self.guard(value))
        return joined

    def _name(self, name: str) -> Guard:
        if name in self._truths:
            return self._truths[name]
        full = self._names.get(name, name)
        if full.endswith("TYPE_CHECKING"):
            return NEVER
        if name not in self._names:
            return Condition(name)
        present = self._presences(name) or ALWAYS
        return both(present, Flag(full)) if ":" in full else present

    def _call(self, call: ast.Call) -> Guard:
        function = self.text(call.func)
        if function == "bool" and len(call.args) == 1:
            return self.guard(call.args[0])
        if function.rpartition(".")[2] == "find_spec" and len(call.args) == 1:
            match call.args[0]:
                case ast.Constant(value=str() as module):
                    return Imports((module,))
        if function == "sys.platform.startswith":
            match call.args:
                case [ast.Constant(value=str() as prefix)]:
                    return Const("linux".startswith(prefix))
        return Condition(self.text(call))

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Guard | None:
        """Return the guard of a comparison with a known result, else None."""
        match op, right:
            case ast.Is() | ast.IsNot(), ast.Constant(value=None):
                present = self._not_none(left)
                return present if present is None or isinstance(op, ast.IsNot) else negated(present)
        compare = _COMPARE.get(type(op))
        if compare is None:
            return None
        subject = self.text(left)
        try:
            value = ast.literal_eval(right)
            match subject:
                case "__name__":
                    return Const(compare("a module", value))
                case "sys.platform":
                    return Const(compare("linux", value))
                case "os.name":
                    return Const(compare("posix", value))
                case "sys.version_info" | "sys.version_info[:2]":
                    answers = {
                        compare((*python, 99)[: max(2, len(value))], value) for python in SUPPORTED_PYTHONS
                    }
                    return Const(answers.pop()) if len(answers) == 1 else None
        except (ValueError, TypeError, SyntaxError):
            return None
        return None

    def _not_none(self, node: ast.expr) -> Guard | None:
        match node:
            case ast.Name(id=name):
                return self._presences(name)
            case ast.Call():
                guard = self._call(node)
                return guard if isinstance(guard, Imports) else None
        return None
