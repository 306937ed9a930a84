"""Execute the code around import statements inside an installed pair, and report the result of each.

This script needs only the standard library. Input: JSON, a list of `[folder, path, line, function]`. The
script executes the module's code, statement by statement; for an import in a function, also the statements
before it. Stand-ins replace packages other than vllm and sglang that are not installed; a result that depends
on the truth of a stand-in is unknown.

Output: `uncaught ERROR`, `caught`, `unreached`, `fine`, or `unknown WHY`.
"""

import ast
import builtins
import contextlib
import functools
import importlib.util
import json
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from scan_truth_runner import forked, load

OURS = ("vllm", "sglang", "sgl_kernel")


class CannotTell(BaseException):
    """The next step depends on a package that is not installed."""


class _Stand(type):
    """The type of stand-ins, whose attributes and results are stand-ins again."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Stand

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        """Return a single callable argument, as a decorator does, else a stand-in."""
        return arguments[0] if len(arguments) == 1 and not keywords and callable(arguments[0]) else Stand

    def __bool__(cls) -> bool:
        raise CannotTell

    def __iter__(cls) -> Iterator[Any]:
        raise CannotTell

    def _unknown(cls, *_: Any) -> Any:
        raise CannotTell

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __len__ = _unknown
    __hash__ = type.__hash__

    def __getitem__(cls, _: Any) -> Any:
        return Stand

    __or__ = __ror__ = __add__ = __radd__ = __sub__ = __mul__ = __getitem__


class Stand(metaclass=_Stand):
    """The stand-in for everything that is not installed."""


def main() -> int:
    """Execute the imports that stdin lists."""
    asked = json.load(sys.stdin)
    load()
    for folder, path, line, function in asked:
        print(f"OUTCOME {forked(functools.partial(outcome, folder, path, line, function))}", flush=True)
    return 0


def outcome(folder: str, path: str, line: int, function: str) -> str:
    """Return the result of an import statement."""
    with open(path, "rb") as file:  # noqa: PTH123
        tree = ast.parse(file.read(), path)
    names = _module(folder, path)
    builtins.__import__ = _Importer(folder, names, path).import_  # type: ignore[assignment]
    trace = Trace(path, line)
    sys.settrace(trace)
    for statement in tree.body:
        trace.seen = trace.raised = ""
        within = statement.lineno <= line <= (statement.end_lineno or 0)
        try:
            exec(compile(ast.Module([statement], []), path, "exec"), names)  # noqa: S102 -- the purpose of this script
        except CannotTell:
            if within and function == "<module>":
                return "unknown it depends on what is not installed"
        except BaseException as error:  # noqa: BLE001 -- any exception is the result
            if within and function == "<module>":
                return _failed(error, trace)
            _stand_in(statement, names)
        if within and function == "<module>":
            return trace.told()
    return _in_function(tree, path, line, function, names, trace)


def _failed(error: BaseException, trace: "Trace") -> str:
    if trace.raised and str(error) == trace.raised:
        return f"uncaught {type(error).__name__}: {error}"
    return f"unknown the code before it fails: {type(error).__name__}: {error}"


def _in_function(  # noqa: PLR0917
    tree: ast.Module, path: str, line: int, function: str, names: dict[str, Any], trace: "Trace"
) -> str:
    """Return the result of an import in a function after the statements before it were executed."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if [node.name for node in found] != [function]:
        return "unknown it stands in a function of a function"
    inner = found[-1]
    body, _ = _until(inner.body, line)
    arguments = inner.args
    every = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    if _asks_for({each.arg for each in every if each}, body, line):
        return "unknown it depends on what the function is called with"
    parameters = ast.arguments([], [ast.arg(each.arg) for each in every if each], None, [], [], None, [])
    fields: dict[str, Any] = {  # Python 3.12 requires `type_params`, and older ones ignore it
        "name": "_section", "args": parameters, "body": body or [ast.Pass()], "decorator_list": [],
        "returns": None, "type_params": [], "lineno": 1, "col_offset": 0,
    }  # fmt: skip
    called = type(inner)(**fields)
    module = ast.fix_missing_locations(ast.Module([called], []))
    trace.seen = trace.raised = ""
    try:
        exec(compile(module, path, "exec"), names)  # noqa: S102
        running = names["_section"](*(Stand for each in every if each))
        if isinstance(inner, ast.AsyncFunctionDef):
            with contextlib.suppress(StopIteration):
                running.send(None)
    except CannotTell:
        return "unknown it depends on what the function is called with"
    except BaseException as error:  # noqa: BLE001
        return _failed(error, trace)
    return trace.told()


def _until(block: list[ast.stmt], line: int) -> tuple[list[ast.stmt], bool]:
    """Return the statements of a block that decide whether a line is reached, and whether it has the line."""
    kept: list[ast.stmt] = []
    for statement in block:
        if not statement.lineno <= line <= (statement.end_lineno or 0):
            if statement.lineno > line:
                break
            plain = isinstance(
                statement, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.Assert
            )
            if plain or (isinstance(statement, ast.If | ast.Try) and _leaves(statement)):
                kept.append(statement)
            continue
        if isinstance(statement, ast.Try) and any(each.lineno <= line for each in statement.handlers):
            return [*kept, statement], True  # an alternative: the body decides
        for field in ("body", "orelse", "finalbody"):
            inner, there = _until(getattr(statement, field, []) or [], line)
            if there and not isinstance(statement, ast.Import | ast.ImportFrom):
                setattr(statement, field, inner)
                if isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith):
                    return [*kept, *inner], True  # what it goes through is not known
                return [*kept, statement], True
        return [*kept, statement], True
    return kept, False


def _asks_for(parameters: set[str], block: list[ast.stmt], line: int) -> bool:
    """Return whether an `if` around a line tests if a parameter is None, which is unknown for a stand-in."""
    return any(
        isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
        and any(isinstance(name, ast.Name) and name.id in parameters for name in ast.walk(node))
        for statement in block
        for outer in ast.walk(statement)
        if isinstance(outer, ast.If) and outer.lineno <= line <= (outer.end_lineno or 0)
        for node in ast.walk(outer.test)
    )


def _leaves(statement: ast.stmt) -> bool:
    ends = (ast.Return, ast.Raise, ast.Import, ast.ImportFrom)
    return any(isinstance(node, ends) for node in ast.walk(statement))


class Trace:
    """Records whether a line of a file is executed, and the exception raised there."""

    def __init__(self, path: str, line: int) -> None:
        self._path = path
        self._line = line
        self.seen = ""
        self.raised = ""

    def __call__(self, frame: types.FrameType, event: str, argument: Any) -> "Trace | None":
        """Trace the frames of the file; see `sys.settrace`."""
        if frame.f_code.co_filename != self._path:
            return None
        if frame.f_lineno == self._line and event in ("line", "exception"):
            self.seen = "seen"
            if event == "exception":
                self.raised = str(argument[1])
        return self

    def told(self) -> str:
        """Return the result of the line if no exception left it."""
        return f"caught {self.raised}" if self.raised else "fine" if self.seen else "unreached"


class _Importer:
    """Imports modules as Python does, except that a stand-in replaces missing ones outside `try`."""

    def __init__(self, folder: str, names: dict[str, Any], path: str) -> None:
        self._import = builtins.__import__
        self._folder = folder
        self._path = path
        self._tries: dict[str, list[tuple[int, int]]] = {}
        self._own = names["__name__"].partition(".")[0]

    def import_(
        self, name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        """Import a module as `__import__` does."""
        try:
            return self._import(name, globals_, locals_, fromlist, level)
        except ImportError:
            frame = sys._getframe(1)  # noqa: SLF001
            where = frame.f_code.co_filename
            top = name.partition(".")[0]
            if (
                level
                or top in OURS
                or not where.startswith(self._folder)
                or self._tried(where, frame.f_lineno)
            ):
                raise
            if top != self._own and importlib.util.find_spec(top) is not None:
                raise
            return Stand

    def _tried(self, path: str, line: int) -> bool:
        """Return whether a line is in the body of a `try`, where a missing package matters."""
        if path not in self._tries:
            with open(path, "rb") as file:  # noqa: PTH123
                tree = ast.parse(file.read())
            self._tries[path] = [
                (node.body[0].lineno, node.body[-1].end_lineno or 0)
                for node in ast.walk(tree)
                if isinstance(node, ast.Try) and node.handlers
            ]
        return any(first <= line <= last for first, last in self._tries[path])


def _module(folder: str, path: str) -> dict[str, Any]:
    """Return the names of an empty module for a file, as it would be imported from its tree."""
    parts = [os.path.basename(path).removesuffix(".py")]  # noqa: PTH119
    home = os.path.dirname(path)  # noqa: PTH120
    while os.path.exists(f"{home}/__init__.py"):  # noqa: PTH110
        home, _, last = home.rpartition("/")
        parts.insert(0, last)
    package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if package else parts)
    sys.path[:0] = [home, folder]
    module = types.ModuleType(name)
    module.__file__ = path
    module.__package__ = name if package else name.rpartition(".")[0]
    if package:
        module.__path__ = [os.path.dirname(path)]  # noqa: PTH120
    parent = name.rpartition(".")[0]
    if parent:
        with contextlib.suppress(BaseException):
            importlib.import_module(parent)
    sys.modules[name] = module
    return module.__dict__


def _stand_in(statement: ast.stmt, names: dict[str, Any]) -> None:
    """Bind the names of a failed import, class or function, so that the code after it can continue."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            names.setdefault(alias.asname or alias.name.partition(".")[0], Stand)
    elif isinstance(statement, ast.ClassDef | ast.FunctionDef):
        names.setdefault(statement.name, Stand)


if __name__ == "__main__":
    sys.exit(main())
