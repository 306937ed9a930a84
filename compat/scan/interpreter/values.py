"""The values of the interpreter: constants, imported paths, functions, classes, instances, or unknown."""

import ast
import sys
from typing import Any, NamedTuple

from compat.scan.interpreter.scopes import Frame


class _Unknown:
    """The type of `UNKNOWN`; code never tests its truth."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


class Path(NamedTuple):
    """An imported module, or a name in one, by its full dotted path."""

    text: str
    true: bool = False
    """Whether it is known to be a class, a function or a module, which are true."""


class Function(NamedTuple):
    """A function of the scanned tree."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    """The frame in which it is defined."""
    bound: Any = None
    """For a bound method, the object."""


class Class(NamedTuple):
    """A class of the scanned tree."""

    node: ast.ClassDef
    frame: Frame
    """The frame in which it is defined."""


class Instance(NamedTuple):
    """An instance of a class of the scanned tree."""

    of: Class
    plain: bool
    """Whether it was created without arguments, so that it has the defaults of its class."""


class EnumMember(NamedTuple):
    """A member of an enumeration of the scanned tree."""

    name: str
    value: Any
    mixed: bool
    """Whether it compares like its value, because the enumeration is also a `str` or an `int`."""


class ScannedCodeError(Exception):
    """An exception that the scanned code certainly raises, by its class name; empty if unknown."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


LARGEST = 100_000
"""Number of characters and elements of the largest value that is computed; a larger one is unknown."""
_CONSTANTS = frozenset(
    {"NoneType", "bool", "int", "float", "str", "bytes", "Version", "SpecifierSet", "Match"}
)


def known(value: Any) -> bool:
    """Return whether a value is a constant, so that functions of Python can be applied to it.

    Everything else stands for an object that only the running program has: a path that was imported, a
    function, an instance, or a tuple that contains one of them.
    """
    if type(value) in (tuple, frozenset):
        return all(map(known, value))
    if type(value) is dict:
        return all(map(known, value)) and all(map(known, value.values()))
    return type(value).__name__ in _CONSTANTS


def size(*values: Any) -> int:
    """Return the number of characters and elements of some values; the count ends soon after `LARGEST`."""
    total = 0
    ahead = list(values)
    while ahead and total <= LARGEST:
        value = ahead.pop()
        total += 1
        if isinstance(value, str | bytes):
            total += len(value)
        elif isinstance(value, int):
            total += value.bit_length() // 8
        elif type(value) in (tuple, frozenset, dict):
            total += len(value)
            if total <= LARGEST:
                ahead += [*value, *value.values()] if isinstance(value, dict) else value
    return total


def bounded(value: Any) -> Any:
    """Return a value, or `UNKNOWN` if it is larger than `LARGEST`."""
    return value if size(value) <= LARGEST else UNKNOWN


def compared_as(value: Any) -> Any:
    """Return what a value compares like: for a member of a `str` or `int` enumeration, its value.

    The same holds for the members in a tuple.
    """
    if type(value) is tuple and any(isinstance(each, EnumMember) for each in value):
        return tuple(map(compared_as, value))
    return value.value if isinstance(value, EnumMember) and value.mixed else value


def truth(value: Any) -> bool | None:
    """Return the truth of a value, None if unknown."""
    if value is UNKNOWN:
        return None
    if isinstance(value, Function | Class):
        return True
    if isinstance(value, Instance | EnumMember):
        return None
    if isinstance(value, Path):
        if value.text.endswith(".TYPE_CHECKING"):
            return False
        if value.true or value.text.startswith("spec of "):
            return True
        # The classes of Python are true; any other name may be a flag, whatever it is called.
        top, last = value.text.partition(".")[0], value.text.rpartition(".")[2]
        named_as_class = last[:1].isupper() and not last.isupper()
        return True if named_as_class and top in sys.stdlib_module_names else None
    try:
        return bool(value)
    except Exception:  # noqa: BLE001 -- whatever a library's value does
        return None


def merged(left: Any, right: Any) -> Any:
    """Return the value after two alternative branches, `UNKNOWN` if theirs differ."""
    if left is right:
        return left
    try:
        return left if type(left) is type(right) and left == right else UNKNOWN
    except Exception:  # noqa: BLE001 -- whatever a library's value does
        return UNKNOWN


_IMPORT = ("ModuleNotFoundError", "ImportError", "Exception", "BaseException")
_FAMILIES = {
    "ModuleNotFoundError": _IMPORT,
    "ImportError": _IMPORT[1:],
    "AttributeError": ("AttributeError", "Exception", "BaseException"),
}


def catches(handler: ast.expr | None, kind: str) -> bool | None:
    """Return whether `except handler` catches an exception; None if unknown."""
    if handler is None:
        return True
    if isinstance(handler, ast.Tuple):
        answers = [catches(each, kind) for each in handler.elts]
        return True if True in answers else None if None in answers else False
    name = (
        handler.attr
        if isinstance(handler, ast.Attribute)
        else handler.id
        if isinstance(handler, ast.Name)
        else ""
    )
    if name in ("Exception", "BaseException"):
        return True if kind not in ("SystemExit", "Skipped") else name == "BaseException"
    if kind in _FAMILIES:
        known = name.endswith(("Error", "Warning", "Exception", "Interrupt", "Exit", "Iteration"))
        return name in _FAMILIES[kind] if known else None
    return name == kind if kind else None
