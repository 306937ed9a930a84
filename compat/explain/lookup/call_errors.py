"""Parse a TypeError about a call's arguments, and find the signatures of the called function by release."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Literal

from compat.callables.parameters import Parameters, parsed
from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.source_outlines.extract import parameters as parameters_text

_UNEXPECTED = re.compile(
    r"\b((?:\w{1,80}\.){0,3})(\w{1,80})\(\) got an unexpected keyword argument '([\w-]{1,80})'"
)
_MISSING = re.compile(
    r"\b((?:\w{1,80}\.){0,3})(\w{1,80})\(\) missing \d{1,3} required (?:positional|keyword-only) arguments?: "
    r"(.{1,400})"
)
_MANY = re.compile(
    r"\b((?:\w{1,80}\.){0,3})(\w{1,80})\(\) takes (?:from \d{1,3} to )?(\d{1,3}) positional arguments? "
    r"but (\d{1,3}) (?:was|were) given"
)
_STRUCT = re.compile(r"(?:(Unexpected keyword)|Missing required) argument '(\w{1,80})'$")
_MODEL = re.compile(
    r"validation errors? for (\w{1,80})\n(\w{1,80})\n\s{0,8}"
    r"Unexpected keyword argument \[type=unexpected_keyword"
)
_CALLED = re.compile(r"\b(\w{1,80})\(")


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
    releases: tuple[int, ...]
    """The indexes of the releases that may be in use: one if the release is known."""
    module: str
    name: str
    """Its name, as text for people: `EngineArgs` or `Fp8Config.from_config`."""
    parameters: tuple[Parameters | None, ...]
    """The parameters in each release, oldest first; None where it is missing or its signature unknown."""

    def rejecting(self, call_error: CallError) -> list[int]:
        """Return the releases that may be in use and raise the error."""
        return [at for at in self.releases if call_error.raised_by(self.parameters[at])]

    def accepting(self, call_error: CallError) -> list[bool]:
        """Return for each release whether it accepts the call."""
        return [call_error.accepted_by(each) for each in self.parameters]


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
    return _of_struct(exception) or _of_model(exception)


def _of_struct(exception: ExceptionInfo) -> CallError | None:
    """Return the error of a msgspec struct, whose message names no class: the source line does."""
    found = _STRUCT.match(exception.message)
    if not found:
        return None
    called = _CALLED.findall(exception.frames[-1].source if exception.frames else exception.more)
    kind: Literal["unexpected", "missing"] = "unexpected" if found[1] else "missing"
    return CallError(owner=called[-1], function="__init__", kind=kind, names=(found[2],)) if called else None


def _of_model(exception: ExceptionInfo) -> CallError | None:
    """Return the error of a pydantic model or dataclass that does not take an argument."""
    found = _MODEL.search(exception.text)
    return found and CallError(owner=found[1], function="__init__", kind="unexpected", names=(found[2],))


def possible_callees(
    exception: ExceptionInfo, context: RuleContext, call_error: CallError
) -> Iterator[Callee]:
    """Yield the definitions that a failed call may refer to, by its message or else its source line."""
    method = call_error.function
    if not call_error.owner and method != "__init__":
        method = ""
    for name in dict.fromkeys(names[0] for names in called_names(exception, call_error)):
        for package in context.index.packages:
            known = context.release_index(package)
            releases = (known,) if known is not None else tuple(context.candidate_releases(package))
            yield from merged(_callees(context, package, releases, name, method))


def called_names(exception: ExceptionInfo, call_error: CallError) -> list[list[str]]:
    """Return what may have been called, each as the names of the class, if any, and the function."""
    if call_error.owner:
        inner = [] if call_error.function == "__init__" else [call_error.function]
        return [[call_error.owner, *inner]]
    if call_error.function != "__init__":
        return [[call_error.function]]
    # Python before 3.10 does not name the class.
    called = _CALLED.findall(exception.frames[-1].source) if exception.frames else []
    return [[each] for each in called or _CALLED.findall(exception.more)]


def _callees(
    context: RuleContext, package: str, releases: tuple[int, ...], name: str, method: str
) -> Iterator[Callee]:
    """Yield the definitions of a name in any of the releases that may be in use."""
    modules = (context.index.binders(name, package, at) for at in releases)
    for module in dict.fromkeys(chain.from_iterable(modules)):
        parameters = tuple(
            parameters_in(context, package, module, name, method, place)
            for place in range(len(context.index.versions(package)))
        )
        if any(parameters[at] is not None for at in releases):
            yield Callee(
                package=package,
                releases=releases,
                module=module,
                name=name if method in ("", "__init__") else f"{name}.{method}",
                parameters=parameters,
            )


def merged(callees: Iterable[Callee]) -> list[Callee]:
    """Return definitions with those joined that moved from module to module: no release has both."""
    found: list[Callee] = []
    for each in callees:
        for at, other in enumerate(found):
            pairs = list(zip(other.parameters, each.parameters, strict=True))
            if all(one is None or two is None for one, two in pairs):
                newer = each if each.parameters[-1] is not None else other
                both = tuple(two if one is None else one for one, two in pairs)
                found[at] = replace(newer, parameters=both)
                break
        else:
            found.append(each)
    return found


def parameters_in(  # noqa: PLR0917 -- they name one place
    context: RuleContext, package: str, module: str, name: str, method: str, at: int
) -> Parameters | None:
    """Return the parameters of a function or method in a release of the index."""
    if context.signatures is not None and package in context.signatures.packages:
        return context.signatures.parameters(package, module, name, method, at)
    branches = [
        each for each in context.index.branches(module, name, package, at) if each.status == "defined"
    ]
    signatures = {each.signature for each in branches if each.signature}
    if len(signatures) != 1:  # the branches of an `if` differ, and the one that ran is unknown
        return None
    text = context.index.signature(signatures.pop()) or ""
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
    return parsed(parameters_text(function.args)) if isinstance(function, ast.FunctionDef) else None
