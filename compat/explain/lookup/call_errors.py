"""Parse a TypeError about a call's arguments, and find the signatures of the called function by release."""

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
    """The parameters of a function or method in one release."""

    names: tuple[str, ...]
    required: frozenset[str]
    open: bool
    """Whether it accepts arbitrary keyword arguments."""
    positional: int | None
    """The number of positional arguments that it accepts, `self` included; None for any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallError:
    """What a TypeError says about the arguments of a call."""

    owner: str
    """The class of the method, if the message names it, else empty."""
    function: str
    kind: Literal["unexpected", "missing", "many"]
    names: tuple[str, ...] = ()
    option: str = ""
    """The command-line option that stands for the argument, if any."""
    most: int = 0
    """The number of positional arguments that the function accepts."""
    given: int = 0
    """The number of positional arguments that the call passed."""

    @property
    def described(self) -> str:
        """The arguments, as text for people."""
        return self.option or " and ".join(self.names) or f"{self.given} positional arguments"

    def accepted_by(self, parameters: Parameters | None) -> bool:
        """Return whether a signature accepts the call."""
        if parameters is None:
            return False
        if self.kind == "unexpected":
            return parameters.open or self.names[0] in parameters.names
        if self.kind == "many":
            return parameters.positional is None or parameters.positional >= self.given
        return not set(self.names) & parameters.required

    def raised_by(self, parameters: Parameters | None) -> bool:
        """Return whether calling a function of this signature raises the TypeError."""
        if parameters is None or self.accepted_by(parameters):
            return False
        if self.kind == "many":
            return parameters.positional == self.most
        return self.kind == "unexpected" or set(self.names) <= parameters.required


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A function, method or class that may have been called, with its parameters in all releases."""

    package: str
    release_index: int
    """The release_index of the release in use."""
    module: str
    name: str
    """Its name, as text for people: `EngineArgs` or `Fp8Config.from_config`."""
    parameters: tuple[Parameters | None, ...]
    """The parameters in each release, oldest first; None where it is missing or its signature unknown."""


def parse_call_error(exception: ExceptionInfo) -> CallError | None:
    """Return what an exception says about the arguments of a call, or None if it is another error."""
    for pattern in (_UNEXPECTED, _MISSING, _MANY):
        found = pattern.search(exception.message)
        if found:
            owner, function = found[1].rstrip(".").rpartition(".")[2], found[2]
            if pattern is _UNEXPECTED:
                return CallError(owner=owner, function=function, kind="unexpected", names=(found[3],))
            if pattern is _MANY:
                most, given = int(found[3]), int(found[4])
                return CallError(owner=owner, function=function, kind="many", most=most, given=given)
            names = tuple(re.findall(r"'(\w{1,80})'", found[3]))
            return CallError(owner=owner, function=function, kind="missing", names=names) if names else None
    return None


def possible_callees(
    exception: ExceptionInfo, context: RuleContext, call_error: CallError
) -> Iterator[Callee]:
    """Yield the definitions that a failed call may refer to, by its message or else its source line."""
    method = call_error.function
    if call_error.owner:
        wanted = [call_error.owner]
    elif method == "__init__":  # Python before 3.10 does not name the class
        wanted = _CALLED.findall(exception.frames[-1].source) if exception.frames else []
    else:
        wanted, method = [call_error.function], ""
    for name in dict.fromkeys(wanted):
        for package in context.index.packages:
            known = context.release_index(package)
            if known is None and context.known(package) is not None:
                continue
            at = context.newest_release(package) if known is None else known
            for module in context.index.binders(name, package, at):
                for each in (name, *_possible_bases(name)):
                    callee = _callee(context.index, package, at, (module, each, method))
                    if callee is not None:
                        yield callee


def _callee(index: Index, package: str, at: int, what: tuple[str, str, str]) -> Callee | None:
    """Return a definition in all releases, or None if the release in use lacks it."""
    if _parameters_in(index, package, at, what) is None:
        return None
    module, name, method = what
    return Callee(
        package=package,
        release_index=at,
        module=module,
        name=name if method in ("", "__init__") else f"{name}.{method}",
        parameters=tuple(
            _parameters_in(index, package, place, what) for place in range(len(index.versions(package)))
        ),
    )


def _possible_bases(name: str) -> list[str]:
    """Return names of possible base classes in the same module: `EngineArgs` for `AsyncEngineArgs`.

    The index does not record bases, and records only the fields that a dataclass defines itself.
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]+", name)
    return ["".join(words[start:]) for start in range(1, len(words) - 1)]


def _parameters_in(index: Index, package: str, at: int, what: tuple[str, str, str]) -> Parameters | None:
    """Return the parameters of a function or method in a release; `what` is module, name and method."""
    module, name, method = what
    branches = [each for each in index.branches(module, name, package, at) if each.status == "defined"]
    signatures = {each.signature for each in branches if each.signature}
    if len(signatures) != 1:  # the branches of an `if` differ, and the one that ran is unknown
        return None
    text = index.signature(signatures.pop()) or ""
    if text.startswith("{"):  # a class: method name to signature
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
    arguments = function.args
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    keyword = [each.arg for each in arguments.kwonlyargs]
    required = positional[: len(positional) - len(arguments.defaults)]
    required += [
        name for name, default in zip(keyword, arguments.kw_defaults, strict=True) if default is None
    ]
    return Parameters(
        names=(*positional, *keyword),
        required=frozenset(required) - {"self", "cls"},
        open=arguments.kwarg is not None,
        positional=None if arguments.vararg else len(positional),
    )
