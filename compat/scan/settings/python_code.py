"""Find in Python code the environment variables that it names and the command lines that it builds."""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from compat.scan.prefilter.mentions import line_numbers
from compat.scan.settings.model import Command, VariableUse, Word
from compat.scan.settings.programs import OptionUse, begins_with_program, option_uses
from compat.scan.settings.shell import commands
from compat.scan.syntax.positions import (
    FunctionNode,
    LineNumbers,
    NodePosition,
    dotted,
    expressions,
    headers,
    statements,
)
from compat.settings.names import VARIABLE

_MARKS = re.compile(rb"(?:VLLM|SGLANG|SGL)_[A-Z0-9]|--[A-Za-z]|\b(?:vllm|sglang)\b")
_PROGRAM = re.compile(r"\b(?:vllm|sglang)\s+(?:serve|bench|run-batch|generate)\b|-m\s+(?:vllm|sglang)\.")
_FUNCTIONS = frozenset({"getenv", "setenv", "putenv"})
_METHODS = frozenset({"get", "setdefault"})
"""Methods of `os.environ` and of dictionaries that stand for it."""
_ADDS = frozenset({"append", "extend"})
_RUNS = frozenset({
    "run", "Popen", "call", "check_call", "check_output", "system", "popen", "getoutput", "getstatusoutput",
    "create_subprocess_shell", "create_subprocess_exec", "execute", "spawn",
})  # fmt: skip
"""Functions that run a command line."""


class PythonSettings(NamedTuple):
    """The settings in a file of Python code."""

    variables: list[VariableUse]
    options: list[OptionUse]
    positions: dict[int, NodePosition]
    """The position in the code of each of them, by the offset in the text at which it stands."""


def python_settings(tree: ast.Module, text: str, data: bytes) -> PythonSettings:
    """Return the settings in a file.

    Args:
        tree: its syntax tree.
        text: its text.
        data: the bytes that were parsed.
    """
    return _Reader(text).read(
        tree, LineNumbers(line_numbers(data, [each.start() for each in _MARKS.finditer(data)]))
    )


def own_variables(tree: ast.Module) -> Iterator[str]:
    """Yield the variables of each table with code that reads them: `"X": lambda: os.getenv("X")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and any(isinstance(value, ast.Lambda) for value in node.values):
            for key in node.keys:
                if isinstance(key, ast.Constant) and _is_variable(key.value):
                    yield str(key.value)


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and VARIABLE.fullmatch(value) is not None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._found = PythonSettings([], [], {})
        self._commands: list[Command] = []

    def read(self, tree: ast.Module, lines: LineNumbers) -> PythonSettings:
        for position in statements(tree, lines):
            self._statement(position)
            if _asserts(position.statement):
                continue  # a test that compares the environment sets nothing
            for header in headers(position.statement, annotations=False):
                for node, tests in expressions(header):
                    self._expression(node, position.within(tests))
        self._found.options.extend(option_uses(self._commands))
        return self._found

    def _statement(self, position: NodePosition) -> None:
        """Note the words that a statement adds to a list."""
        match position.statement:
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                self._add(name, self._elements(value, position), position)
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr), args=[value])
            ):
                if attr in _ADDS:
                    elements = (
                        self._elements(value, position) if attr == "extend" else [self._word(value, position)]
                    )
                    self._add(name, elements, position)

    def _expression(self, node: ast.AST, position: NodePosition) -> None:  # noqa: C901 -- one case per form
        match node:
            case ast.List() | ast.Tuple():
                self._list(node, position)
            case ast.Constant(value=str()) | ast.JoinedStr():
                if not (isinstance(position.statement, ast.Expr) and position.statement.value is node):
                    self._string(node, position)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if not isinstance(value, ast.Lambda):
                        self._variable(key, position)
            case ast.Subscript(slice=name, ctx=ast.Load() | ast.Store()):
                self._variable(name, position)
            case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[holder]):
                if _is_environment(holder):
                    self._variable(name, position)
            case ast.Call():
                self._call(node, position)

    def _call(self, node: ast.Call, position: NodePosition) -> None:
        function = dotted(node.func)
        last = function[-1] if function else ""
        if node.args and (
            last in _FUNCTIONS
            or (
                last in _METHODS and isinstance(node.func, ast.Attribute) and _is_environment(node.func.value)
            )
        ):
            self._variable(node.args[0], position)
        for keyword in node.keywords:
            if keyword.arg and VARIABLE.fullmatch(keyword.arg):
                self._use(keyword.arg, self._offset(keyword.lineno, keyword.col_offset), position)

    def _variable(self, node: ast.expr | None, position: NodePosition) -> None:
        if isinstance(node, ast.Constant) and _is_variable(node.value):
            self._use(str(node.value), self._offset(node.lineno, node.col_offset), position)

    def _use(self, name: str, start: int, position: NodePosition) -> None:
        start = max(start, self._text.find(name, start, start + len(name) + 4))
        if start not in self._found.positions:
            self._found.variables.append(VariableUse(name, start))
            self._found.positions[start] = position

    def _list(self, node: ast.List | ast.Tuple, position: NodePosition) -> None:
        words = self._elements(node, position)
        name = ""
        match position.statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if value is node:
                name = target
            case ast.AnnAssign(target=ast.Name(id=target), value=value) if value is node:
                name = target
        scope = _scoped(name, position) if name else ""
        texts = tuple(words)
        if begins_with_program(Command(texts)):
            # What is added to the list later belongs to the same command line.
            self._commands.append(Command((*texts, Word("", -1, None, scope))))
        elif scope:
            self._commands.append(Command(texts, scope))
        elif any(word.reference for word in words):
            self._commands.append(Command(texts))

    def _add(self, name: str, words: Sequence[Word], position: NodePosition) -> None:
        if words:
            self._commands.append(Command(tuple(words), _scoped(name, position)))

    def _elements(self, node: ast.expr, position: NodePosition) -> list[Word]:
        if not isinstance(node, ast.List | ast.Tuple):
            return []
        return [self._word(each, position) for each in node.elts]

    def _word(self, node: ast.expr, position: NodePosition) -> Word:
        start = self._offset(node.lineno, node.col_offset)
        match node:
            case ast.Constant(value=str() as text):
                pass
            case ast.JoinedStr():
                text = _template(node)
            case ast.Starred(value=ast.Name(id=name)):
                return Word("", start, None, _scoped(name, position))
            case _:
                text = ""
        if text.startswith("-"):
            end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
            start = max(start, self._text.find(text.partition("=")[0], start, end))
            self._found.positions[start] = position
        return Word(text, start)

    def _string(self, node: ast.Constant | ast.JoinedStr, position: NodePosition) -> None:
        template = _template(node)
        if not _PROGRAM.search(template) or _only_reads(position.function):
            return
        start = self._offset(node.lineno, node.col_offset)
        end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
        for command in commands(template):
            if not (command.assigned or begins_with_program(command)):
                continue
            words = []
            at = start
            for word in command.words:
                found = self._text.find(word.text.partition("=")[0], at, end) if word.text[:2] == "--" else -1
                at = max(at, found)
                words.append(word._replace(start=found if found >= 0 else start, inner=None))
                self._found.positions[words[-1].start] = position
            self._commands.append(command._replace(words=tuple(words)))

    def _offset(self, line: int, column: int) -> int:
        """Return the offset in the text of a place that is given in bytes of its line."""
        text = self._lines[line - 1]
        return self._starts[line - 1] + (
            column if text.isascii() else len(text.encode()[:column].decode("utf-8", "ignore"))
        )


def _only_reads(function: FunctionNode | None) -> bool:
    """Return whether a function is a test that runs no command line: a string of one is an example."""
    return (
        function is not None
        and function.name.startswith("test")
        and not any(
            isinstance(node, ast.Call) and not _RUNS.isdisjoint(dotted(node.func)[-1:])
            for node in ast.walk(function)
        )
    )


def _asserts(statement: ast.stmt) -> bool:
    """Return whether a statement is an assertion, of Python or of `unittest`."""
    match statement:
        case ast.Assert():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr))):
            return attr.startswith("assert")
    return False


def _template(node: ast.Constant | ast.JoinedStr) -> str:
    """Return the text of a string, with a word for each value that is put into it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)


def _is_environment(node: ast.expr) -> bool:
    """Return whether an expression is the environment, or called like one."""
    names = dotted(node)
    return bool(names) and "env" in names[-1].lower()


def _scoped(name: str, position: NodePosition) -> str:
    """Return the name of a variable, apart from that of other functions."""
    return f"{id(position.function)}:{name}"
