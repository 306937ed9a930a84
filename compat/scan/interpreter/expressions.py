"""Evaluate expressions for one release, as far as possible without executing code.

The version and the names of the release are known; everything else is known only if the source states it.
The evaluation covers what version tests use: comparisons, `packaging`, `importlib.metadata`, `hasattr`,
`find_spec`, and functions of the scanned tree that consist of these.
"""

import ast
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from compat.scan.interpreter import builtins
from compat.scan.interpreter.memory import Decisions, Memory
from compat.scan.interpreter.objects import Objects
from compat.scan.interpreter.operators import calculated, compared, hashable
from compat.scan.interpreter.scopes import Frame, Module, Tree
from compat.scan.interpreter.statements import Execution, agree
from compat.scan.interpreter.values import (
    LARGEST,
    UNKNOWN,
    Class,
    Function,
    Instance,
    Path,
    ScannedCodeError,
    bounded,
    compared_as,
    known,
    merged,
    size,
    truth,
)
from compat.scan.project.module_names import absolute
from compat.scan.project.patched_names import PatchedNames
from compat.scan.releases.index_lookup import Lookup, LookupOutcome

_TRUE_KINDS = frozenset({"class", "function", "module"})
_DEEPEST = 12
"""Greatest depth of nested calls that is followed."""
_JOINING: Mapping[str, ast.boolop] = {"builtins.any": ast.Or(), "builtins.all": ast.And()}
VERSION_MODULES = ("", ".version", "._version")
"""The modules of a package that define `__version__`."""
VERSIONS = frozenset({"__version__", "__version_tuple__"})


class Evaluation:
    """Evaluates expressions for one release of a package.

    Args:
        lookup: looks names up in the package.
        slot: the position of the release in the release set.
        tree: the modules of the scanned tree.
        patched_names: the names that the tree adds to the package.
        decisions: what was decided for all releases of the release set.
    """

    def __init__(
        self,
        lookup: Lookup,
        slot: int,
        tree: Tree,
        patched_names: PatchedNames,
        decisions: "Decisions[Evaluation]",
    ) -> None:
        self.decisions = decisions
        self._version = lookup.release_set.versions[slot]
        self.package = lookup.release_set.package
        self.tops: tuple[str, ...] = ("vllm",) if self.package == "vllm" else ("sglang", "sgl_kernel")
        self.tree = tree
        self._patched_names = patched_names
        self._lookup = lookup
        self.bit = 1 << slot
        self.memory = Memory()
        self._searching = False
        self.execution = Execution(self)
        self._objects = Objects(self.execution)

    @property
    def version(self) -> str:
        """The version of the release; what asks for it holds for no other release."""
        self.memory.note(self.bit)
        return self._version

    def value(self, node: ast.expr, frame: Frame) -> Any:  # noqa: C901, PLR0912 -- one case for each form
        """Return the value of an expression, `UNKNOWN` if it cannot be determined.

        Raises:
            ScannedCodeError: the expression certainly raises an exception.
        """
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.name(name, frame)
            case ast.Attribute(value=inner, attr=attribute):
                return self._read(inner, attribute, frame)
            case ast.Call():
                return self._call(node, frame)
            case ast.Compare():
                return self._compare(node, frame)
            case ast.BoolOp():
                return self._joined(node, frame)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                answer = truth(self.value(operand, frame))
                return UNKNOWN if answer is None else not answer
            case ast.IfExp(test=test, body=body, orelse=orelse):
                answer = truth(self.value(test, frame))
                if answer is None:
                    return merged(self.value(body, frame), self.value(orelse, frame))
                return self.value(body if answer else orelse, frame)
            case ast.NamedExpr(target=ast.Name(id=name), value=inner):
                frame.names[name] = self.value(inner, frame)
                return frame.names[name]
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                values = [self.value(element, frame) for element in elements]
                return UNKNOWN if any(value is UNKNOWN for value in values) else bounded(tuple(values))
            case ast.Set(elts=elements):
                values = [self.value(element, frame) for element in elements]
                return frozenset(values) if all(map(hashable, values)) else UNKNOWN
            case ast.JoinedStr(values=values):
                return self._formatted(values, frame)
            case ast.BinOp(left=left, op=op, right=right):
                return calculated(op, self.value(left, frame), self.value(right, frame))
            case ast.Dict(keys=keys, values=values):
                return self._table(keys, values, frame)
            case ast.Subscript(value=inner, slice=index):
                return self._item(self.value(inner, frame), index, frame)
            case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element):
                return self._comprehended(node.generators, element, frame)
            case ast.SetComp(elt=element):
                values = self._comprehended(node.generators, element, frame)
                return UNKNOWN if values is UNKNOWN or not all(map(hashable, values)) else frozenset(values)
            case ast.DictComp(key=key, value=value):
                pair = ast.Tuple([key, value], ast.Load())
                pairs = self._comprehended(node.generators, pair, frame)
                if pairs is UNKNOWN or not all(hashable(first) for first, _ in pairs):
                    return UNKNOWN
                return dict(pairs)
            case ast.Lambda():
                return Function(node, frame)
        return UNKNOWN

    def _read(self, node: ast.expr, attribute: str, frame: Frame) -> Any:
        if (
            isinstance(node, ast.Attribute)
            and attribute not in builtins.ATTRIBUTES
            and self._of_object(node, frame)
        ):
            return UNKNOWN  # `self.config.new` is assigned elsewhere; searching for it takes long
        value = self.value(node, frame)
        if isinstance(node, ast.Name) and (value is UNKNOWN or isinstance(value, Class | Instance)):
            stored = self._objects.of_module(frame.module, node.id, attribute)
            if stored is not UNKNOWN:
                return stored
        return self.attribute(value, attribute, frame)

    def _of_object(self, node: ast.Attribute, frame: Frame) -> bool:
        return isinstance(node.value, ast.Name) and isinstance(self.value(node.value, frame), Instance)

    def truth(self, node: ast.expr, frame: Frame) -> bool | None:
        """Return the truth of a test, None if unknown; False if it raises, as its block is not reached."""
        try:
            return truth(self.value(node, frame))
        except ScannedCodeError:
            return False
        except RecursionError:
            return None

    def quiet(self, node: ast.expr, frame: Frame) -> Any:
        """Return the value of an expression, `UNKNOWN` also if it raises an exception."""
        try:
            return self.value(node, frame)
        except (ScannedCodeError, RecursionError):
            return UNKNOWN

    def excluded(self, specifier: str) -> bool:
        """Return whether a specifier matches other releases of the package and not this one."""
        versions = self._lookup.index.versions(self.package)
        return builtins.admits(specifier, versions) and not builtins.admits(specifier, (self.version,))

    def name(self, name: str, frame: Frame) -> Any:
        """Return the value of a name in a frame or in the frames around it."""
        inner: Frame | None = frame
        while inner is not None:
            if name in inner.names:
                self.memory.note(inner.alike)
                return inner.names[name]
            if inner.outer is None:
                break
            inner = inner.outer
        assert inner is not None  # noqa: S101 -- the outermost frame is the module's
        return self._of_module(name, inner)

    def _of_module(self, name: str, frame: Frame) -> Any:
        statements = frame.module.binders(name)
        if not statements:
            return Path(f"builtins.{name}") if name in builtins.BUILTINS else UNKNOWN
        if self._searching or frame.depth:
            return self._searched(name, statements, frame)
        key = (frame.module, name)
        frame.names[name], alike = self.memory.apart(
            lambda: self.memory.result(key, lambda: self._outermost(name, statements, frame.module), UNKNOWN)
        )
        frame.alike &= alike
        return frame.names[name]

    def _outermost(self, name: str, statements: Sequence[ast.stmt], module: Module) -> Any:
        """Return the value of a name; within another search it may be incomplete: a cycle ends there."""
        self._searching = True
        try:
            return self._searched(name, statements, Frame(module))
        finally:
            self._searching = False

    def _searched(self, name: str, statements: Sequence[ast.stmt], frame: Frame) -> Any:
        frame.names[name] = UNKNOWN  # during the search, so that a cycle ends here
        value, alike = self.memory.apart(lambda: self.execution.binding(name, statements, frame))
        frame.alike &= alike
        frame.names[name] = agree([value, UNKNOWN]) if name in frame.module.rebound else value
        return frame.names[name]

    def attribute(self, value: Any, name: str, frame: Frame) -> Any:
        """Return an attribute of a value, `UNKNOWN` if it cannot be determined.

        Raises:
            ScannedCodeError: a module of the release lacks the attribute.
        """
        if isinstance(value, Class | Instance):
            return self._objects.attribute(value, name)
        if not isinstance(value, Path):
            return builtins.attribute(value, name)
        top, _, rest = value.text.partition(".")
        if top in self.tops:
            if name == "__version__" and f".{rest}".rstrip(".") in VERSION_MODULES:
                return self.version
            if name == "__version_tuple__":
                return builtins.release(self.version)
            outcome = self.attribute_outcome(value.text, name)
            if outcome.failing:
                raise ScannedCodeError("AttributeError")
            return Path(f"{value.text}.{name}", outcome.answer.kind in _TRUE_KINDS)
        if (inside := self._tree_name(value.text, name, frame, "AttributeError")) is not UNKNOWN:
            return inside
        if self._computes(value.text, name, frame):
            return UNKNOWN
        return Path(f"{value.text}.{name}")

    def attribute_outcome(self, base: str, name: str) -> LookupOutcome:
        """Return the outcome of reading `base.name` in this release."""
        return self._here(self._lookup.path(base, (name,), importing=False), f"{base}.{name}")

    def import_outcome(self, module: str, name: str) -> LookupOutcome:
        """Return the outcome of an import in this release."""
        return self._here(self._lookup.imported(module, name), f"{module}.{name}" if name else module)

    def _here(self, outcomes: tuple[tuple[int, LookupOutcome], ...], path: str) -> LookupOutcome:
        alike, outcome = next(each for each in outcomes if each[0] & self.bit)
        self.memory.note(alike)
        if outcome.failing and self._patched_names.own_copies.has(path):
            return outcome._replace(failing="", answer=outcome.answer._replace(status="defined"))
        if outcome.failing == "name" and self._patched_names.adds(self.package, outcome.module, outcome.name):
            return outcome._replace(failing="", answer=outcome.answer._replace(status="dynamic"))
        return outcome

    def imported(self, module: str, name: str, frame: Frame) -> Any:
        """Return the value that an import binds: a path, or the value of the name in the scanned tree.

        Raises:
            ScannedCodeError: the import certainly fails.
        """
        if module.partition(".")[0] in self.tops:
            outcome = self.import_outcome(module, name)
            if outcome.failing:
                raise ScannedCodeError(
                    "ModuleNotFoundError" if outcome.failing == "module" else "ImportError"
                )
            if name in VERSIONS and module in {
                f"{top}{each}" for top in self.tops for each in VERSION_MODULES
            }:
                return self.version if name == "__version__" else builtins.release(self.version)
            return Path(f"{module}.{name}" if name else module, outcome.answer.kind in _TRUE_KINDS)
        if name and (inside := self._tree_name(module, name, frame, "ImportError")) is not UNKNOWN:
            return inside
        if self._computes(module, name, frame):
            return UNKNOWN
        return Path(f"{module}.{name}" if name else module)

    def decides_import(self, module: str, frame: Frame) -> bool:
        """Return whether the scan can decide if a module can be imported."""
        top = module.partition(".")[0]
        known_top = top in self.tops or top in sys.stdlib_module_names or not top
        return known_top or self.tree.find(frame.module.path.rpartition("/")[0], module) is not None

    def _computes(self, module: str, name: str, frame: Frame) -> bool:
        """Return whether a module of the tree computes a flag in `__getattr__`, so that it may be None."""
        found = self.tree.imported(frame.module.path, module) if name.isupper() else None
        return found is not None and bool(found.binders("__getattr__"))

    def _tree_name(self, module: str, name: str, frame: Frame, failing: str) -> Any:
        found = self.tree.imported(frame.module.path, module)
        if found is None or frame.depth > _DEEPEST:
            return UNKNOWN
        if self.unbound(found, name):
            raise ScannedCodeError(failing)
        if not found.binders(name):
            return UNKNOWN
        key = (found.path, name)
        return self.memory.result(
            key, lambda: self.name(name, Frame(found, depth=frame.depth + 1)), pending=UNKNOWN
        )

    def unbound(self, module: Module, name: str) -> bool:
        """Return whether a module of the tree can be imported and certainly leaves a name unbound."""
        if name not in module.maybe_unbound and not module.stars:
            return False
        unbound: bool = self.memory.result(
            ("unbound", module.path, name), lambda: self._leaves_unbound(module, name), pending=False
        )
        return unbound

    def _leaves_unbound(self, module: Module, name: str) -> bool:
        binders = module.binders(name)
        lacking = bool(binders)
        if binders and (
            name not in module.maybe_unbound
            or not self.execution.leaves_unbound(name, binders, Frame(module))
        ):
            return False
        for star in module.stars:
            inner = self.tree.imported(module.path, absolute(star, module.name))
            if inner is None:
                return False
            if inner.binders(name) or inner.stars:
                lacking = True
                if not self.unbound(inner, name):
                    return False
        return lacking and not module.elusive and not self.tree.has_submodule(module, name)

    def _call(self, node: ast.Call, frame: Frame) -> Any:
        function = self.value(node.func, frame)
        if isinstance(function, Function):
            return self.execution.called(function, node, frame) if frame.depth < _DEEPEST else UNKNOWN
        if isinstance(function, Class):
            return Instance(function, plain=not (node.args or node.keywords))
        if function is UNKNOWN or any(each.arg is None for each in node.keywords):
            return UNKNOWN
        if isinstance(function, Path) and function.text in _JOINING and _lists(node.args):
            return self._any_or_all(_JOINING[function.text], node.args[0], frame)
        arguments = self._arguments(node, frame)
        if arguments is None:
            return UNKNOWN
        keywords = {each.arg: self.value(each.value, frame) for each in node.keywords if each.arg}
        if not isinstance(function, Path):
            return builtins.method(function, arguments, keywords)
        if not node.args and builtins.available(function.text.rpartition(".")[2], self.tops):
            return True
        if function.text == "builtins.map" and len(arguments) == 2:
            return self._mapped(node.args[0], arguments[1], frame)
        return builtins.call(self, function.text, arguments, keywords)

    def _arguments(self, node: ast.Call, frame: Frame) -> list[Any] | None:
        """Return the positional arguments of a call; None if their number is unknown."""
        arguments: list[Any] = []
        for each in node.args:
            if not isinstance(each, ast.Starred):
                arguments.append(self.value(each, frame))
                continue
            values = self.value(each.value, frame)
            if type(values) is not tuple:
                return None
            arguments += values
        return arguments

    def _any_or_all(self, op: ast.boolop, values: ast.expr, frame: Frame) -> Any:
        """Return the result of `any` or `all` of a list, for which one known item may be enough."""
        elements: list[ast.expr] = values.elts  # type: ignore[attr-defined]
        answer = truth(self._joined(ast.BoolOp(op, elements), frame))
        return UNKNOWN if answer is None else answer

    def _mapped(self, function: ast.expr, values: Any, frame: Frame) -> Any:
        """Return the results of a function for each of some values."""
        if not known(values) or not isinstance(values, str | tuple):
            return UNKNOWN
        found = [self._call(ast.Call(function, [ast.Constant(each)], []), frame) for each in values]
        return UNKNOWN if any(value is UNKNOWN for value in found) else bounded(tuple(found))

    def _formatted(self, parts: list[ast.expr], frame: Frame) -> Any:
        """Return the text of an f-string whose fields have no format, such as a width."""
        texts = []
        for part in parts:
            value: Any = UNKNOWN
            match part:
                case ast.Constant():
                    value = part.value
                case ast.FormattedValue(value=inner, conversion=-1 | 115, format_spec=None):
                    value = self.value(inner, frame)
                case ast.FormattedValue(value=inner, conversion=114, format_spec=None):
                    value = self.value(inner, frame)
                    value = repr(value) if type(value) in (str, int) else UNKNOWN
            if not known(value) or size(value) > LARGEST:
                return UNKNOWN
            texts.append(str(value))
        return bounded("".join(texts))

    def _compare(self, node: ast.Compare, frame: Frame) -> Any:
        left = self.value(node.left, frame)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator, frame)
            answer = self._compared(op, left, right)
            if answer is UNKNOWN or not answer:
                return answer
            left = right
        return True

    def _joined(self, node: ast.BoolOp, frame: Frame) -> Any:
        ends = isinstance(node.op, ast.Or)
        unknown = False
        value: Any = UNKNOWN
        for each in node.values:
            value = self.value(each, frame)
            answer = truth(value)
            if answer is ends:
                return value
            unknown = unknown or answer is None
        return UNKNOWN if unknown else value

    def _table(self, keys: list[ast.expr | None], values: list[ast.expr], frame: Frame) -> Any:
        table = {}
        for key, value in zip(keys, values, strict=True):
            if not isinstance(key, ast.Constant):
                return UNKNOWN
            table[key.value] = self.value(value, frame)
        return bounded(table)

    def _item(self, value: Any, index: ast.expr, frame: Frame) -> Any:
        if type(value) not in (str, tuple, dict) and type(value).__name__ != "Match":
            return UNKNOWN
        try:
            if isinstance(index, ast.Slice):
                bounds = [
                    None if each is None else self.value(each, frame)
                    for each in (index.lower, index.upper, index.step)
                ]
                return value[slice(*bounds)] if all(map(known, bounds)) else UNKNOWN
            key = self.value(index, frame)
            return value[key] if known(key) else UNKNOWN
        except (TypeError, KeyError, IndexError, ValueError):
            return UNKNOWN

    def _comprehended(self, generators: list[ast.comprehension], element: ast.expr, frame: Frame) -> Any:
        """Return the values of `f(x) for x in values`, the usual way to split a version."""
        match generators:
            case [ast.comprehension(target=ast.Name(id=name), iter=iterable, ifs=tests, is_async=0)]:
                values = self.value(iterable, frame)
                if type(values) not in (str, tuple):
                    return UNKNOWN
                found = []
                for value in values:
                    inner = Frame(frame.module, frame, frame.depth)
                    inner.names[name] = value
                    truths = [truth(self.value(test, inner)) for test in tests]
                    if None in truths:
                        return UNKNOWN
                    if all(truths):
                        found.append(self.value(element, inner))
                return UNKNOWN if any(value is UNKNOWN for value in found) else bounded(tuple(found))
        return UNKNOWN

    def _compared(self, op: ast.cmpop, left: Any, right: Any) -> Any:
        left, right = compared_as(left), compared_as(right)
        if isinstance(op, ast.Is | ast.IsNot):
            if left is None or right is None:
                answer = self._is_none(left) and self._is_none(right)
            elif known(left) and known(right) and (isinstance(left, bool) or isinstance(right, bool)):
                answer = left is right
            else:
                return UNKNOWN
            return UNKNOWN if answer is None else answer == isinstance(op, ast.Is)
        return compared(op, left, right)

    def _is_none(self, value: Any) -> bool | None:
        """Return whether a value is None; None if that is unknown.

        A module and a class are not None, and nor is what the package has; a name of any other module may be.
        """
        if value is UNKNOWN:
            return None
        if not isinstance(value, Path) or "." not in value.text or truth(value):
            return value is None
        return False if value.text.partition(".")[0] in self.tops else None


def _lists(arguments: Sequence[ast.expr]) -> bool:
    """Return whether the only argument of a call is a list or a tuple of single items."""
    match arguments:
        case [ast.List(elts=[_, *_] as elements) | ast.Tuple(elts=[_, *_] as elements)]:
            return not any(isinstance(each, ast.Starred) for each in elements)
    return False
