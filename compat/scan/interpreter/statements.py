"""Interpret statements for one release: the names they bind, the values functions return, the exceptions.

If a test cannot be decided, both branches are interpreted, and names on which they disagree are unknown. An
import succeeds unless it is known to fail.
"""

import ast
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from compat.scan.interpreter.match_cases import all_unknown, pattern_matches
from compat.scan.interpreter.memory import Memory
from compat.scan.interpreter.scopes import Frame
from compat.scan.interpreter.values import UNKNOWN, Class, Function, Path, ScannedCodeError, catches, merged
from compat.scan.project.module_names import absolute
from compat.scan.syntax.bound_names import bound_names, imported_tops, only_binds, target_names
from compat.scan.syntax.positions import TryNode, dotted

_ALIKE = 6
"""Greatest depth at which results of calls are cached; deeper calls may be cut off by the depth limit."""


class Returned(NamedTuple):
    """A function has returned."""

    value: Any


class Evaluator(Protocol):
    """Evaluates expressions; see `compat.scan.interpreter.expressions`."""

    memory: Memory

    def value(self, node: ast.expr, frame: Frame) -> Any:
        """Return the value of an expression, `UNKNOWN` if it cannot be determined."""

    def truth(self, node: ast.expr, frame: Frame) -> bool | None:
        """Return the truth of a test, None if unknown."""

    def imported(self, module: str, name: str, frame: Frame) -> Any:
        """Return the value that an import binds."""

    def decides_import(self, module: str, frame: Frame) -> bool:
        """Return whether the scan can decide if a module can be imported."""


class Execution:
    """Interprets statements.

    Args:
        evaluator: evaluates their expressions.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    @property
    def memory(self) -> Memory:
        """The results of this release."""
        return self._evaluator.memory

    def binding(self, name: str, statements: Sequence[ast.stmt], frame: Frame) -> Any:
        """Return the value of a name after the top-level statements that bind it."""
        for statement in statements:
            try:
                self.statement(statement, frame)
            except (ScannedCodeError, RecursionError):  # noqa: PERF203 -- the first exception ends the module
                break
        return frame.names.get(name, UNKNOWN)

    def leaves_unbound(self, name: str, statements: Sequence[ast.stmt], frame: Frame) -> bool:
        """Return whether the top-level statements that may bind a name certainly end without binding it."""
        try:
            for statement in statements:
                self.statement(statement, frame)
        except (ScannedCodeError, RecursionError):
            return False  # the module itself cannot be imported
        return name not in frame.names

    def bind(self, statement: ast.stmt, frame: Frame) -> None:
        """Interpret a statement that only binds names; the names of any other statement become unknown."""
        if only_binds(statement):
            try:
                self.statement(statement, frame)
            except (ScannedCodeError, RecursionError):
                return
        else:
            tops = imported_tops(statement)
            for name in bound_names(statement):
                if name not in tops:
                    frame.names[name] = UNKNOWN

    def called(self, function: Function, call: ast.Call, frame: Frame) -> Any:
        """Return the value that a call of a function of the tree returns.

        Raises:
            ScannedCodeError: the call certainly raises an exception.
        """
        inner = self._entered(function, call, frame)
        if isinstance(function.node, ast.Lambda):
            return self._evaluator.value(function.node.body, inner)
        if isinstance(function.node, ast.AsyncFunctionDef) or _yields(function.node):
            return UNKNOWN
        if inner.depth > _ALIKE or function.frame.outer is not None:
            return self._answer(function.node, inner)
        key = (function.node, *((name, id(value)) for name, value in inner.names.items()))
        node = function.node
        kept = list(inner.names.values())  # so that no other value gets the id of one of them
        answer, _ = self.memory.result(key, lambda: (self._quietly(node, inner), kept))
        if isinstance(answer, ScannedCodeError):
            raise ScannedCodeError(answer.kind)
        return answer

    def _entered(self, function: Function, call: ast.Call, frame: Frame) -> Frame:
        """Return the frame of a function call, with the parameters bound."""
        inner = Frame(function.frame.module, function.frame, frame.depth + 1)
        arguments = function.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if function.bound is not None and positional:
            inner.names[positional.pop(0).arg] = function.bound
        defaults = dict(
            zip([each.arg for each in reversed(positional)], reversed(arguments.defaults), strict=False)
        )
        defaults |= {
            each.arg: default
            for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if default is not None
        }
        for each in (*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if each is not None:
                default = defaults.get(each.arg)
                inner.names[each.arg] = (
                    UNKNOWN if default is None else self._evaluator.value(default, function.frame)
                )
        for parameter, argument in zip(positional, call.args, strict=False):
            inner.names[parameter.arg] = self._evaluator.value(argument, frame)
        for keyword in call.keywords:
            if keyword.arg:
                inner.names[keyword.arg] = self._evaluator.value(keyword.value, frame)
        return inner

    def _quietly(self, function: ast.FunctionDef, frame: Frame) -> Any:
        """Return the result of a function, or the exception that it certainly raises."""
        try:
            return self._answer(function, frame)
        except ScannedCodeError as failure:
            return failure

    def _answer(self, function: ast.FunctionDef, frame: Frame) -> Any:
        for name in _bound(function):
            frame.names.setdefault(name, UNKNOWN)
        ended = self.block(function.body, frame)
        return ended.value if ended else None

    def block(self, statements: Sequence[ast.stmt], frame: Frame) -> Returned | None:
        """Interpret a block; return the value of its `return`, or None if it runs to its end.

        Raises:
            ScannedCodeError: the block certainly raises an exception.
        """
        for number, statement in enumerate(statements):
            test = getattr(statement, "test", None) if isinstance(statement, ast.If) else None
            if test is not None and self._evaluator.truth(test, frame) is None:
                return self._both(statement, statements[number + 1 :], frame)
            ended = self.statement(statement, frame)
            if ended is not None:
                return ended
        return None

    def _both(self, statement: ast.stmt, rest: Sequence[ast.stmt], frame: Frame) -> Returned | None:
        """Interpret both branches of an `if` and the statements after it, and merge the results."""
        ends = []
        frames = []
        for branch in (statement.body, statement.orelse):  # type: ignore[attr-defined]
            copy = frame.copy()
            try:
                ends.append(self.block(branch, copy))
            except ScannedCodeError:
                continue
            frames.append(copy)
        if not frames:
            raise ScannedCodeError("")
        going_on = [each for each, end in zip(frames, ends, strict=True) if end is None] or frames
        for name in {name for each in going_on for name in each.names}:
            frame.names[name] = agree([each.names.get(name, UNKNOWN) for each in going_on])
        if all(ends):
            return Returned(agree([each.value for each in ends if each]))
        after = self.block(rest, frame)
        if not any(ends):
            return after
        return Returned(agree([*(each.value for each in ends if each), after.value if after else None]))

    def statement(self, statement: ast.stmt, frame: Frame) -> Returned | None:  # noqa: C901, PLR0912 -- as `value`
        """Interpret one statement; the result is that of `block`.

        Raises:
            ScannedCodeError: the statement certainly raises an exception.
        """
        match statement:
            case ast.Import() | ast.ImportFrom():
                self._import(statement, frame)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                frame.names[name] = Function(statement, frame)
            case ast.ClassDef(name=name):
                frame.names[name] = Class(statement, frame) if _plain(statement) else UNKNOWN
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value, frame)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign([target], value, frame)
            case ast.Return(value=value):
                return Returned(None if value is None else self._evaluator.value(value, frame))
            case ast.Raise(exc=raised):
                raise ScannedCodeError(_class_name(raised))
            case ast.If(test=test, body=body, orelse=orelse):
                answer = self._evaluator.truth(test, frame)
                if answer is None:
                    return self._both(statement, (), frame)
                return self.block(body if answer else orelse, frame)
            case ast.With(body=body) | ast.AsyncWith(body=body):
                return self._with(statement, body, frame)
            case ast.Match() if (chosen := self.possible_cases(statement, frame)) and len(chosen) < 2:
                case, frame.names = chosen[0]
                return self.block(case.body, frame) if case else None
            case _ if isinstance(statement, TryNode):
                return self._try(statement, frame)  # type: ignore[arg-type]
            case _:
                tops = imported_tops(statement)
                for name in bound_names(statement):
                    if name not in tops:
                        frame.names[name] = UNKNOWN
                    elif name not in frame.names:
                        frame.names[name] = Path(name)
                if isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.Match) and _returns(
                    statement
                ):
                    return Returned(UNKNOWN)
        return None

    def possible_cases(
        self, statement: ast.Match, frame: Frame
    ) -> list[tuple[ast.match_case | None, dict[str, Any]]]:
        """Return the cases that a `match` may run, in order, each with the names that it has then.

        The last one is None if no case may match.

        Raises:
            ScannedCodeError: the value to match certainly raises an exception.
        """
        value = self._evaluator.value(statement.subject, frame)
        possible: list[tuple[ast.match_case | None, dict[str, Any]]] = []
        for case in statement.cases:
            inner = frame.copy()
            captures: dict[str, Any] = {}
            answer = pattern_matches(
                case.pattern, value, lambda node: self._evaluator.value(node, frame), captures
            )
            inner.names.update(captures if answer else all_unknown(case.pattern))
            if answer is not False and case.guard is not None:
                truth = self._evaluator.truth(case.guard, inner)
                answer = False if truth is False else answer and truth
            if answer is not False:
                possible.append((case, inner.names))
            if answer:
                return possible
        return [*possible, (None, dict(frame.names))]

    def _import(self, statement: ast.Import | ast.ImportFrom, frame: Frame) -> None:
        for alias in statement.names:
            if isinstance(statement, ast.Import):
                value = self._evaluator.imported(alias.name, "", frame)
                top = alias.name.partition(".")[0]
                frame.names[alias.asname or top] = value if alias.asname else Path(top)
                continue
            module = absolute(statement, frame.module.name)
            if alias.name == "*":
                continue
            value = self._evaluator.imported(module, alias.name, frame) if module else UNKNOWN
            frame.names[alias.asname or alias.name] = value

    def _assign(self, targets: Sequence[ast.expr], node: ast.expr, frame: Frame) -> None:
        value = self._evaluator.value(node, frame)
        for target in targets:
            _bind(target, value, frame)

    def _with(
        self, statement: ast.With | ast.AsyncWith, body: Sequence[ast.stmt], frame: Frame
    ) -> Returned | None:
        try:
            return self.block(body, frame)
        except ScannedCodeError as failure:
            if suppresses(statement, failure.kind):
                return None
            raise

    def _try(self, statement: ast.Try, frame: Frame) -> Returned | None:
        handler = handling(statement, "ImportError")
        if handler is not None and any(not self._decides_import(each, frame) for each in statement.body):
            return self._perhaps(statement, handler, frame)
        try:
            ended = self.block(statement.body, frame)
        except ScannedCodeError as failure:
            handler = handling(statement, failure.kind)
            if handler is None:
                raise
            ended = self.block(handler.body, frame)
        else:
            ended = ended or self.block(statement.orelse, frame)
        return self.block(statement.finalbody, frame) or ended

    def _perhaps(self, statement: ast.Try, handler: ast.ExceptHandler, frame: Frame) -> Returned | None:
        """Interpret a `try` whose imports may succeed or fail, because they need another package."""
        frames = [frame.copy(), frame.copy()]
        ends = [
            self._quiet((*statement.body, *statement.orelse), frames[0]),
            self._quiet(handler.body, frames[1]),
        ]
        for name in {name for each in frames for name in each.names}:
            frame.names[name] = agree([each.names.get(name, UNKNOWN) for each in frames])
        return Returned(agree([each.value if each else UNKNOWN for each in ends])) if any(ends) else None

    def _quiet(self, statements: Sequence[ast.stmt], frame: Frame) -> Returned | None:
        try:
            return self.block(statements, frame)
        except ScannedCodeError:
            return None

    def _decides_import(self, statement: ast.stmt, frame: Frame) -> bool:
        match statement:
            case ast.Import(names=names):
                return all(self._evaluator.decides_import(alias.name, frame) for alias in names)
            case ast.ImportFrom():
                return self._evaluator.decides_import(absolute(statement, frame.module.name), frame)
        return True


def handling(statement: ast.Try, kind: str) -> ast.ExceptHandler | None:
    """Return the first handler that may catch an exception, None if there is none."""
    return next((each for each in statement.handlers if catches(each.type, kind) is not False), None)


def suppresses(statement: ast.With | ast.AsyncWith, kind: str) -> bool:
    """Return whether a `with` suppresses an exception: `suppress(ImportError)`, `pytest.raises(…)`."""
    for item in statement.items:
        match item.context_expr:
            case ast.Call(
                func=ast.Name(id="suppress" | "raises") | ast.Attribute(attr="suppress" | "raises"), args=args
            ):
                if any(catches(each, kind) for each in args):
                    return True
    return False


def _bind(target: ast.expr, value: Any, frame: Frame) -> None:
    match target:
        case ast.Name(id=name):
            frame.names[name] = value
        case ast.Attribute(value=ast.Name(id=base), attr=name):
            frame.names[f"{base}.{name}"] = value  # see `compat.scan.interpreter.objects`
        case ast.Tuple(elts=targets) if type(value) is tuple and len(value) == len(targets):
            for each, part in zip(targets, value, strict=True):
                _bind(each, part, frame)
        case _:
            for name in target_names(target):
                frame.names[name] = UNKNOWN


def agree(values: Sequence[Any]) -> Any:
    """Return the common value of several branches, `UNKNOWN` if they differ.

    If only one value is known and is a version, that is the result:
    `if override is not None: version = override`, `else: version = vllm.__version__` reads the version.
    """
    known = [value for value in values if value is not UNKNOWN]
    if len(known) == 1 and len(values) > 1 and _version_like(known[0]):
        return known[0]
    value = values[0]
    for other in values[1:]:
        value = merged(value, other)
    return value


def _version_like(value: Any) -> bool:
    return type(value).__name__ == "Version" or (
        isinstance(value, str) and value[:1].isdigit() and "." in value
    )


def _class_name(raised: ast.expr | None) -> str:
    node = raised.func if isinstance(raised, ast.Call) else raised
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _plain(statement: ast.ClassDef) -> bool:
    """Return whether a class has no metaclass keywords and no decorators other than `dataclass`."""
    decorators = [
        dotted(each.func if isinstance(each, ast.Call) else each) for each in statement.decorator_list
    ]
    return not statement.keywords and all(each[-1:] == ("dataclass",) for each in decorators)


@lru_cache(maxsize=1_000)
def _bound(function: ast.FunctionDef) -> list[str]:
    return [name for statement in function.body for name in bound_names(statement)]


def _returns(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Return | ast.Raise) for node in ast.walk(statement))


@lru_cache(maxsize=1_000)
def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))
