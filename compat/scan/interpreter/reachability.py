"""Decide whether code reaches a position in a release, and whether an exception there is caught."""

import ast
from typing import NamedTuple

from compat.scan.interpreter.expressions import Evaluation
from compat.scan.interpreter.objects import method_frame
from compat.scan.interpreter.scopes import Frame, Module
from compat.scan.interpreter.statements import handling, suppresses
from compat.scan.interpreter.switches import alternatives, reads_switch
from compat.scan.interpreter.values import Class, Path, ScannedCodeError, catches
from compat.scan.project.module_names import absolute
from compat.scan.syntax.positions import Branch, NodePosition, TryNode, dotted

_SKIPS = frozenset({"skipif", "skipIf"})
_ALWAYS_SKIPS = (("mark", "skip"), ("unittest", "skip"))
_LEFT_OUT = frozenset({"skip", "skipif", "not", "no", "except", "unless", "without", "deprecated", "xfail"})
"""Words in a decorator's name that mean the opposite: the function is not for these releases."""
_ENDS = frozenset({"skip", "exit", "_exit", "quit", "importorskip", "xfail"})

_ENDING = frozenset({"sys", "os", "pytest", "parser", "argparser", "ctx", "context", "typer", "click"})
"""Names of the modules and objects whose functions of these names end something."""

_LEAVING = (
    ast.If,
    ast.Match,
    ast.Assert,
    ast.Expr,
    ast.Return,
    ast.Continue,
    ast.Break,
    ast.Assign,
    *TryNode,
)
"""Statements after which the rest of a block may be unreachable; `raise` is handled separately."""


class Reachability(NamedTuple):
    """Decides, for one release, which positions of a module are reached.

    Both branches of a test that cannot be decided count as reached.
    """

    evaluation: Evaluation
    module: Module

    def reached(self, position: NodePosition) -> bool:
        """Return whether code reaches a position if the functions around it are called."""
        return all(self._entered(each) and not self._left_before(each) for each in position.outwards())

    def protected(self, position: NodePosition, kind: str) -> bool:
        """Return whether an exception raised at a position is caught, so that the code continues."""
        for each in position.outwards():
            owner = each.owner
            if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef):
                return False
            if (
                isinstance(owner, ast.With | ast.AsyncWith)
                and each.branch == "body"
                and suppresses(owner, kind)
            ):
                return True
            if isinstance(owner, TryNode) and each.branch == "body":
                handler = handling(owner, kind)  # type: ignore[arg-type]
                if handler is not None and not _raises(handler.body[-1]):
                    return True
        return False

    def _frame(self, position: NodePosition) -> Frame:
        """Return the frame of a position; local names of the functions around it are unknown."""
        frame = Frame(self.module)
        for each in reversed(list(position.outwards())):
            if isinstance(each.owner, ast.FunctionDef | ast.AsyncFunctionDef):
                within = each.outer.owner if each.outer else None
                owner = Class(within, Frame(self.module)) if isinstance(within, ast.ClassDef) else None
                frame = method_frame(frame, each.owner, owner)
        return frame

    def locals_at(self, position: NodePosition, *nodes: ast.AST) -> Frame:
        """Return the frame of a position, with the local names that some nodes depend on."""
        frame = self._frame(position)
        if position.function is None:
            return frame
        around = [each for each in position.outwards() if each.function is position.function]
        blocks = [(each.block, each.index) for each in reversed(around)]
        for statement in self.module.block_binders.needed(blocks, nodes) or ():
            self.evaluation.execution.bind(statement, frame)
        return frame

    def _truth(self, test: ast.expr, position: NodePosition) -> bool | None:
        """Return the truth of a test at a position, None if unknown."""
        truth: bool | None = self.evaluation.decisions.result(
            (test, self.module.path),
            self.evaluation,
            lambda each: each.truth(test, self._replace(evaluation=each).locals_at(position, test)),
        )
        return truth

    def _entered(self, position: NodePosition) -> bool:
        for test in position.tests:
            if self._truth(test.expression, position) is (not test.wanted):
                return False
        owner, branch = position.owner, position.branch
        if isinstance(owner, ast.If | ast.While) and position.outer is not None:
            answer = self._truth(owner.test, position.outer)
            if answer is None and isinstance(owner, ast.If) and self._switched_off(owner, position):
                return False
            return (
                answer is not (branch == "orelse")
                if isinstance(owner, ast.If)
                else answer is not False or branch != "body"
            )
        if isinstance(owner, ast.Match) and branch == "body" and position.outer is not None:
            cases = self._possible_cases(owner, self.locals_at(position.outer, owner))
            return any(case is not None and case.body is position.block for case in cases)
        if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and branch == "body":
            decorators = [*owner.decorator_list, *self._marks(owner)]
            return not any(self._skipped(decorator, position) for decorator in decorators)
        if isinstance(owner, TryNode) and position.outer is not None:
            return self._entered_try(owner, position)  # type: ignore[arg-type]
        return True

    def _switched_off(self, owner: ast.If, position: NodePosition) -> bool:
        """Return whether a switch of the package chooses between two imports, and only the other works."""
        other = owner.body if position.branch == "orelse" else owner.orelse
        if position.outer is None or not alternatives(position.block, other):
            return False
        frame = self.locals_at(position.outer, owner.test)
        if not reads_switch(owner.test, self.evaluation, frame):
            return False
        return (
            self._failing(list(position.block), position) is not None
            and self._failing(other, position) is None
        )

    def _entered_try(self, owner: ast.Try, position: NodePosition) -> bool:
        if position.branch == "orelse":
            return self._failing(owner.body, position) is None
        if position.branch != "handler" or position.handler is None:
            return True
        kind = self._failing(owner.body, position)
        if kind is not None:
            return handling(owner, kind) is position.handler
        # The handler is an alternative import, which is not needed unless the first one fails.
        alternative = any(
            catches(position.handler.type, failing)
            for failing in ("ModuleNotFoundError", "ImportError", "AttributeError")
        )
        return not (alternative and self._asks(owner.body, position))

    def _failing(self, body: list[ast.stmt], position: NodePosition) -> str | None:
        """Return the exception that a block certainly raises, None if it may run to its end."""
        frame = self.locals_at(position.outer, *body) if position.outer else self._frame(position)
        try:
            self.evaluation.execution.block(body, frame)
        except ScannedCodeError as failure:
            return failure.kind or None
        except RecursionError:
            return None
        for statement in body:
            kind = self._attribute_fails(statement, frame)
            if kind:
                return kind
        return None

    def _attribute_fails(self, statement: ast.stmt, frame: Frame) -> str | None:
        """Return the exception that reading a missing attribute in a statement raises, if any."""
        if not isinstance(statement, ast.Expr | ast.Assign | ast.Return | ast.AugAssign):
            return None
        for node in ast.walk(statement):
            if isinstance(node, ast.Lambda | ast.IfExp | ast.BoolOp | ast.comprehension):
                return None
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                try:
                    self.evaluation.value(node, frame)
                except ScannedCodeError as failure:
                    return failure.kind
        return None

    def _asks(self, body: list[ast.stmt], position: NodePosition) -> bool:
        """Return whether a block imports or reads something of the package."""
        frame = self._frame(position)
        for statement in body:
            for node in ast.walk(statement):
                match node:
                    case ast.Import(names=names) if any(
                        alias.name.partition(".")[0] in self.evaluation.tops for alias in names
                    ):
                        return True
                    case ast.ImportFrom():
                        if absolute(node, self.module.name).partition(".")[0] in self.evaluation.tops:
                            return True
                    case ast.Attribute(value=ast.Name(id=name)):
                        try:
                            value = self.evaluation.name(name, frame)
                        except (ScannedCodeError, RecursionError):
                            continue
                        if isinstance(value, Path) and value.text.partition(".")[0] in self.evaluation.tops:
                            return True
                    case ast.Constant(value=str() as text) if text.partition(".")[0] in self.evaluation.tops:
                        return True
        return False

    def _marks(self, owner: ast.stmt) -> list[ast.expr]:
        """Return what `pytestmark` marks a test with, for all tests of a module."""
        if not (isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef) and owner.name.startswith("test")):
            return []
        match self.module.binders("pytestmark"):
            case [ast.Assign(value=ast.List(elts=marks) | ast.Tuple(elts=marks))]:
                return marks
            case [ast.Assign(value=mark)]:
                return [mark]
        return []

    def _skipped(self, decorator: ast.expr, position: NodePosition) -> bool:
        plain = decorator.func if isinstance(decorator, ast.Call) else decorator
        if dotted(plain)[-2:] in _ALWAYS_SKIPS:
            return True
        match decorator:
            case ast.Call(func=ast.Attribute(attr=name), args=[test, *_]) if name in _SKIPS:
                outer = position.outer or position
                return self.evaluation.truth(test, self._frame(outer)) is True
            case ast.Call(func=function, args=[wanted], keywords=[]) if _ranges(_last_name(function)):
                text = self.evaluation.quiet(wanted, self._frame(position.outer or position))
                return isinstance(text, str) and self.evaluation.excluded(text)
            case ast.Name(id=name):  # `needs_new = pytest.mark.skipif(…)`
                for statement in self.module.binders(name):
                    match statement:
                        case ast.Assign(value=ast.Call() as call):
                            return self._skipped(call, position)
        return False

    def _left_before(self, position: NodePosition) -> bool:
        """Return whether control flow certainly leaves the block before the statement.

        Each statement of a block is examined once, for all positions after it.
        """
        if not position.index:
            return False
        examined: int
        left: bool
        (examined, left), _ = self.evaluation.memory.apart(lambda: self._examined(position))
        return left and examined < position.index

    def _examined(self, position: NodePosition) -> tuple[int, bool]:
        """Return how many statements of a block, up to a position, do not leave it; and if the next does."""
        memory = self.evaluation.memory
        key = ("left", position.block[0])
        examined, left = memory.get(key) or (0, False)
        while not left and examined < position.index:
            at = position.at(examined)
            left = isinstance(at.statement, ast.Raise) or (_may_leave(at) and self._leaves(at.statement, at))
            examined += not left
        memory.keep(key, (examined, left))
        return examined, left

    def _leaves(self, statement: ast.stmt, position: NodePosition) -> bool:  # noqa: C901 -- one case for each form
        match statement:
            case ast.Return() | ast.Continue() | ast.Break():
                return True
            case ast.Raise():
                return not isinstance(position.owner, TryNode)
            case ast.Assert(test=test):
                return self._truth(test, position) is False
            case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call):
                return self._call_leaves(call)
            case ast.If(test=test, body=body, orelse=orelse):
                if not (_ends(body) or _ends(orelse)):
                    return False
                answer = self._truth(test, position)
                chosen = [body, orelse] if answer is None else [body if answer else orelse]
                return all(self._block_leaves(block, position) for block in chosen)
            case ast.Match(cases=cases):
                if not any(_ends(case.body) for case in cases):
                    return False
                possible = self._possible_cases(statement, self.locals_at(position, statement))
                return all(case is not None and self._block_leaves(case.body, position) for case in possible)
            case ast.With(body=body) | ast.AsyncWith(body=body):
                return not suppresses(statement, "ImportError") and self._block_leaves(body, position)
            case ast.Import() | ast.ImportFrom() if position.branch == "body" and isinstance(
                position.owner, TryNode
            ):
                return self._fails_caught(statement, position)
            case ast.Try():
                return self._attempt_leaves(statement, position)
        return False

    def _possible_cases(self, statement: ast.Match, frame: Frame) -> list[ast.match_case | None]:
        """Return the cases that a `match` may run; None stands for no case."""
        try:
            return [case for case, _ in self.evaluation.execution.possible_cases(statement, frame)]
        except ScannedCodeError:
            return []
        except RecursionError:
            return [*statement.cases, None]

    def _attempt_leaves(self, statement: ast.Try, position: NodePosition) -> bool:
        """Return whether a `try` certainly leaves the block around it, by a handler or by its body."""
        handlers = [
            handler for handler in statement.handlers if _ends(handler.body) and not _raises(handler.body[-1])
        ]
        last = (statement.orelse or statement.body)[-1]
        worked = isinstance(last, ast.Return | ast.Continue | ast.Break) and self._asks(
            statement.body, position
        )
        if not (handlers or worked):
            return False
        kind = self._failing(statement.body, NodePosition(position, statement, "body", statement.body, 0))
        if kind is None:
            return worked and self._sure(statement.body, position)
        handler = handling(statement, kind)
        return handler in handlers and self._block_leaves(handler.body, position, "handler")

    def _sure(self, body: list[ast.stmt], position: NodePosition) -> bool:
        """Return whether the scan can decide all imports of a block."""
        return all(
            self.evaluation.decides_import(
                absolute(node, self.module.name) if isinstance(node, ast.ImportFrom) else node.names[0].name,
                self._frame(position),
            )
            for statement in body
            for node in ast.walk(statement)
            if isinstance(node, ast.Import | ast.ImportFrom)
        )

    def _fails_caught(self, statement: ast.stmt, position: NodePosition) -> bool:
        """Return whether an import certainly fails and a handler of its `try` continues elsewhere."""
        try:
            self.evaluation.execution.statement(statement, self._frame(position))
        except ScannedCodeError as failure:
            handler = handling(position.owner, failure.kind)  # type: ignore[arg-type]
            return handler is not None and not _raises(handler.body[-1])
        except RecursionError:
            return False
        return False

    def _block_leaves(self, block: list[ast.stmt], position: NodePosition, branch: Branch = "body") -> bool:
        return any(
            self._leaves(statement, NodePosition(position, position.statement, branch, block, number))
            if not isinstance(statement, ast.Raise)
            else True
            for number, statement in enumerate(block)
        )

    def _call_leaves(self, call: ast.Call) -> bool:
        name = _last_name(call.func)
        if not _is_end(call.func):
            return False
        if name != "importorskip":
            return True
        match call.args:
            case [ast.Constant(value=str() as module), *_] if (
                module.partition(".")[0] in self.evaluation.tops
            ):
                if self.evaluation.import_outcome(module, "").failing:
                    return True
                return any(
                    keyword.arg == "minversion" and self._older(keyword.value) for keyword in call.keywords
                )
        return False

    def _older(self, minimum: ast.expr) -> bool:
        from packaging.version import InvalidVersion, Version

        if not (isinstance(minimum, ast.Constant) and isinstance(minimum.value, str)):
            return False
        try:
            return Version(self.evaluation.version) < Version(minimum.value)
        except InvalidVersion:
            return False


def _may_leave(position: NodePosition) -> bool:
    """Return whether the block of a statement may be left after it."""
    statement = position.statement
    if isinstance(statement, _LEAVING):
        return isinstance(statement, ast.Assert | ast.Assign) or _ends([statement])
    attempt = position.branch == "body" and isinstance(position.owner, TryNode)
    return attempt and isinstance(statement, ast.Import | ast.ImportFrom)


def _ends(block: list[ast.stmt]) -> bool:
    """Return whether a block contains a statement or a call that may leave it, outside functions."""
    ahead: list[ast.AST] = list(block)
    while ahead:
        node = ahead.pop()
        match node:
            case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
                return True
            case ast.Call(func=function) if _is_end(function):
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                continue
        ahead += ast.iter_child_nodes(node)
    return False


def _ranges(name: str) -> bool:
    """Return whether the name of a decorator means that its argument selects releases."""
    words = set(name.lower().split("_"))
    return not words.isdisjoint({"version", "versions"}) and words.isdisjoint(_LEFT_OUT)


def _raises(statement: ast.stmt) -> bool:
    """Return whether the last statement of a handler raises or exits."""
    match statement:
        case ast.Raise():
            return True
        case ast.Expr(value=ast.Call(func=function)):
            return _is_end(function) and _last_name(function) in ("exit", "_exit", "quit")
    return False


def _is_end(function: ast.expr) -> bool:
    """Return whether a call ends the test or the process: `sys.exit`, not `pytest.mark.skip`."""
    if isinstance(function, ast.Name):
        return function.id in _ENDS
    return (
        isinstance(function, ast.Attribute)
        and function.attr in _ENDS
        and isinstance(function.value, ast.Name)
        and function.value.id.strip("_") in _ENDING
    )


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
