"""Calls that Python refused: what it says, and what may have been called, in every release."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.index.reader import Index

_UNEXPECTED = re.compile(
    r"\b((?:\w{1,80}\.){0,3})(\w{1,80})\(\) got an unexpected keyword argument '(\w{1,80})'"
)
_MISSING = re.compile(
    r"\b((?:\w{1,80}\.){0,3})(\w{1,80})\(\) missing \d{1,3} required (?:positional|keyword-only) arguments?: "
    r"(.{1,400})"
)
_MANY = re.compile(
    r"\b((?:\w{1,80}\.){0,3})(\w{1,80})\(\) takes (?:from \d{1,3} to )?(\d{1,3}) positional arguments? "
    r"but (\d{1,3}) (?:was|were) given"
)
_CALLED = re.compile(r"\b(\w{1,80})\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What a definition takes in one release."""

    names: tuple[str, ...]
    required: frozenset[str]
    open: bool
    """Whether it takes any keyword."""
    positional: int | None
    """How many arguments it takes by position, `self` too; None for any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What Python says of a call."""

    owner: str
    """The class of the method, as far as the message has it; else empty."""
    function: str
    wrong: Literal["unexpected", "missing", "many"]
    names: tuple[str, ...] = ()
    option: str = ""
    """How a command line has it."""
    most: int = 0
    """How many arguments it takes by position."""
    given: int = 0

    @property
    def asked(self) -> str:
        """The arguments, for people."""
        return self.option or " and ".join(self.names) or f"{self.given} arguments by position"

    def fits(self, takes: Parameters | None) -> bool:
        """Return whether a definition would have taken the call."""
        if takes is None:
            return False
        if self.wrong == "unexpected":
            return takes.open or self.names[0] in takes.names
        if self.wrong == "many":
            return takes.positional is None or takes.positional >= self.given
        return not set(self.names) & takes.required

    def comes_from(self, takes: Parameters | None) -> bool:
        """Return whether a definition makes this complaint."""
        if takes is None or self.fits(takes):
            return False
        if self.wrong == "many":
            return takes.positional == self.most
        return self.wrong == "unexpected" or set(self.names) <= takes.required


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """What was called, over all releases of its package."""

    package: str
    at: int
    """The release in use: its position in the index."""
    module: str
    called: str
    """For people: `EngineArgs` or `Fp8Config.from_config`."""
    takes: tuple[Parameters | None, ...]
    """In each release, oldest first; None where it is not there, or nothing tells."""


def complaint_of(exception: ExceptionInfo) -> Complaint | None:
    """Return what an exception says of a call; None when it is about something else."""
    for pattern in (_UNEXPECTED, _MISSING, _MANY):
        found = pattern.search(exception.message)
        if found:
            owner, function = found[1].rstrip(".").rpartition(".")[2], found[2]
            if pattern is _UNEXPECTED:
                return Complaint(owner=owner, function=function, wrong="unexpected", names=(found[3],))
            if pattern is _MANY:
                most, given = int(found[3]), int(found[4])
                return Complaint(owner=owner, function=function, wrong="many", most=most, given=given)
            names = tuple(re.findall(r"'(\w{1,80})'", found[3]))
            return Complaint(owner=owner, function=function, wrong="missing", names=names) if names else None
    return None


def callees(exception: ExceptionInfo, context: RuleContext, complaint: Complaint) -> Iterator[Callee]:
    """Yield the definitions that may have been called: by the message, else by the line that calls."""
    method = complaint.function
    if complaint.owner:
        wanted = [complaint.owner]
    elif method == "__init__":  # so before Python 3.10
        wanted = _CALLED.findall(exception.frames[-1].source) if exception.frames else []
    else:
        wanted, method = [complaint.function], ""
    for name in dict.fromkeys(wanted):
        for package in context.index.packages:
            known = context.release_index(package)
            if known is None and context.known(package) is not None:
                continue
            at = context.newest(package) if known is None else known
            for module in context.index.binders(name, package, at):
                for each in (name, *_ends(name)):
                    callee = _callee(context.index, package, at, (module, each, method))
                    if callee is not None:
                        yield callee


def _callee(index: Index, package: str, at: int, what: tuple[str, str, str]) -> Callee | None:
    """Return a definition over all releases; None where the one in use is not there. What: see `_takes`."""
    if _takes(index, package, at, what) is None:
        return None
    module, name, method = what
    return Callee(
        package=package,
        at=at,
        module=module,
        called=name if method in ("", "__init__") else f"{name}.{method}",
        takes=tuple(_takes(index, package, place, what) for place in range(len(index.versions(package)))),
    )


def _ends(name: str) -> list[str]:
    """Return what a class of the same module may be derived from: `EngineArgs` for `AsyncEngineArgs`.

    The index holds no bases, and of a dataclass its own fields only.
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]+", name)
    return ["".join(words[start:]) for start in range(1, len(words) - 1)]


def _takes(index: Index, package: str, at: int, what: tuple[str, str, str]) -> Parameters | None:
    """Return what a function, or a method of a class, takes in a release; what: module, name, method."""
    module, name, method = what
    branches = [each for each in index.branches(module, name, package, at) if each.status == "defined"]
    signatures = {each.signature for each in branches if each.signature}
    if len(signatures) != 1:  # another one in each branch of an `if`: nothing tells which
        return None
    text = signatures.pop()
    if text.startswith("{"):  # a class: the parameters of its methods, by their names
        text = json.loads(text).get(method, "")
    elif method:
        return None
    return _parameters(text) if text else None


@lru_cache(maxsize=1_000)
def _parameters(text: str) -> Parameters | None:
    try:
        function = ast.parse(f"def f{text}: ...").body[0]
    except (SyntaxError, ValueError, RecursionError):
        return None
    if not isinstance(function, ast.FunctionDef):
        return None
    given = function.args
    positional = [each.arg for each in (*given.posonlyargs, *given.args)]
    keyword = [each.arg for each in given.kwonlyargs]
    required = positional[: len(positional) - len(given.defaults)]
    required += [name for name, default in zip(keyword, given.kw_defaults, strict=True) if default is None]
    return Parameters(
        names=(*positional, *keyword),
        required=frozenset(required) - {"self", "cls"},
        open=given.kwarg is not None,
        positional=None if given.vararg else len(positional),
    )
