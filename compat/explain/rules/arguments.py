"""Calls that a release does not take: an argument that it has no longer, not yet, or asks for."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

from compat.diagnoses import Diagnosis, Fix
from compat.explain.case import Case, foreign
from compat.explain.failure import Raised
from compat.explain.history import runs
from compat.explain.places import distribution_of, top_of
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
_OPTIONS = re.compile(r"(\S{1,80}(?: serve)?): error: unrecognized arguments: ([^\n]{1,400})")
_OPTION = re.compile(r"(?<!\S)--([A-Za-z][\w-]{1,80})")
_SERVERS = {
    "launch_server.py": ("sglang.srt.server_args:ServerArgs",),
    "sglang serve": ("sglang.srt.server_args:ServerArgs",),
    "api_server.py": ("vllm.engine.arg_utils:EngineArgs", "vllm.engine.arg_utils:AsyncEngineArgs"),
    "vllm": ("vllm.engine.arg_utils:EngineArgs", "vllm.engine.arg_utils:AsyncEngineArgs"),
    "vllm serve": ("vllm.engine.arg_utils:EngineArgs", "vllm.engine.arg_utils:AsyncEngineArgs"),
}
"""What the servers call themselves, and the classes whose fields are their options."""
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


def call(raised: Raised, case: Case) -> Diagnosis | None:
    """An argument that the definition in use does not take, or that it asks for, unlike other releases."""
    complaint = _complaint(raised) if raised.kind in ("TypeError", "") else None
    if complaint is None:
        return None
    found = [callee for callee in _callees(raised, case, complaint) if _is_to_blame(callee, complaint)]
    inside = {case.owner(module) for frame in raised.frames if (module := case.module(frame))}
    likely = [callee for callee in found if callee.package in inside]
    line = raised.frames[-1].source if raised.frames else ""
    by_package = re.search(rf"\b(?:sgl|sglang|vllm)\.(?:\w+\.)*{complaint.function}\(", line)
    if complaint.owner or "_" in complaint.function or by_package:  # a mere `main` or `run` may be anybody's
        likely = likely or found
    return _diagnosis(raised, case, likely[0], complaint) if len(likely) == 1 else None


def option(raised: Raised, case: Case) -> Diagnosis | None:
    """An option that the server of the release in use does not have, unlike that of other releases."""
    said = _OPTIONS.search(raised.message)
    given = _OPTION.search(said[2]) if said else None
    if not said or not given:
        return None
    for place in _SERVERS.get(said[1], ()):
        module, _, name = place.partition(":")
        complaint = Complaint(
            owner=name,
            function="__init__",
            names=(given[1].replace("-", "_"),),
            wrong="unexpected",
            option=given[0],
        )
        for callee in _callees(raised, case, complaint):
            if callee.module == module and _is_to_blame(callee, complaint):
                return _diagnosis(raised, case, callee, complaint)
    return None


def _is_to_blame(callee: Callee, complaint: Complaint) -> bool:
    """Return whether a definition makes the complaint, and did not or will not in another release.

    Of a dataclass only its own fields are known, not those of its bases: without one such nothing tells.
    """
    return complaint.comes_from(callee.takes[callee.at]) and any(map(complaint.fits, callee.takes))


def _complaint(raised: Raised) -> Complaint | None:
    for pattern in (_UNEXPECTED, _MISSING, _MANY):
        found = pattern.search(raised.message)
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


def _callees(raised: Raised, case: Case, complaint: Complaint) -> Iterator[Callee]:
    """Yield the definitions that may have been called: by the message, else by the line that calls."""
    method = complaint.function
    if complaint.owner:
        wanted = [complaint.owner, *_ends(complaint.owner)]
    elif method == "__init__":  # so before Python 3.10
        named = _CALLED.findall(raised.frames[-1].source) if raised.frames else []
        wanted = [each for name in named for each in (name, *_ends(name))]
    else:
        wanted, method = [complaint.function], ""
    for name in dict.fromkeys(wanted):
        for package in case.index.packages:
            known = case.position(package)
            if known is None and case.known(package) is not None:
                continue
            places = range(len(case.index.versions(package)))
            at = places[-1] if known is None else known
            for module in case.index.binders(name, package, at):
                if _takes(case.index, package, at, (module, name, method)) is None:
                    continue
                takes = tuple(_takes(case.index, package, place, (module, name, method)) for place in places)
                called = name if method in ("", "__init__") else f"{name}.{method}"
                yield Callee(package=package, at=at, module=module, called=called, takes=takes)


def _ends(name: str) -> list[str]:
    """Return what a class may derive its fields from, by its name: `EngineArgs` for `AsyncEngineArgs`."""
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


def _diagnosis(raised: Raised, case: Case, callee: Callee, complaint: Complaint) -> Diagnosis:
    """Return where the call would have been right, and what to do here."""
    package, versions = callee.package, case.index.versions(callee.package)
    fits = [complaint.fits(takes) for takes in callee.takes]
    known, asked = case.known(package), " and ".join(complaint.names) or complaint.asked
    does = "does without" if complaint.wrong == "missing" else "takes"
    source = (
        f"{package} {known.version}: {known.source}"
        if known
        else f"nothing tells the release of {package}; taken: {versions[callee.at]}, the newest"
    )
    return Diagnosis(
        cause="symbol_removed" if any(fits[: callee.at]) else "not_yet_added",
        package=package,
        version=known.version if known else None,
        module=callee.module,
        symbol=f"{callee.called}({asked}=)" if len(complaint.names) == 1 else callee.called,
        evidence=(
            raised.line,
            source,
            f"{callee.module}:{callee.called} {does} {asked} in {_told(fits, versions)}",
        ),
        fix=_fix(_caller(raised, case, package), callee, complaint, versions),
    )


def _caller(raised: Raised, case: Case, package: str) -> str | None:
    """Return the distribution that calls, as far as it is not the package itself; None when the user does."""
    outside = (each for each in reversed(raised.frames) if case.owner(case.module(each) or "") != package)
    frame = next(outside, None)
    top = top_of(frame.path) if frame is not None and foreign(frame) else None
    return distribution_of(top) if top is not None else None


def _fix(caller: str | None, callee: Callee, complaint: Complaint, versions: Sequence[str]) -> Fix:
    package, release, asked = callee.package, versions[callee.at], complaint.asked
    fits = [complaint.fits(takes) for takes in callee.takes]
    if caller is not None:
        text = (
            f"{caller} is made for another {package}: install one that goes with {package} {release}, "
            f"or {package} {_told(fits, versions)}."
        )
        return Fix(kind="install", text=text)
    if complaint.wrong == "missing":
        return Fix(kind="edit", text=f"Give {asked}: {package} {release} asks for it.")
    if complaint.wrong == "many":
        takes = complaint.most
        return Fix(
            kind="edit", text=f"Call it as {package} {release} has it, with {takes} by position at the most."
        )
    near = _near(complaint.names[0], callee)
    near = f"--{near.replace('_', '-')}" if near and complaint.option else near
    nearest = f" The nearest that it takes is {near}." if near else ""
    later = [at for at in range(callee.at, len(fits)) if fits[at]]
    if later and not any(fits[: callee.at]):
        first = versions[later[0]]
        text = f"Leave {asked} out, or install {package} {first}, the first that takes it.{nearest}"
        return Fix(kind="install", text=text, command=f'pip install "{package}>={first}"')
    return Fix(kind="edit", text=f"Leave {asked} out: {package} {release} does not take it.{nearest}")


def _near(asked: str, callee: Callee) -> str | None:
    """Return what may have taken its place: a name of some of its words, else one spelt much alike."""
    here = callee.takes[callee.at]
    names = here.names if here else ()
    words = set(asked.split("_"))
    within = [name for name in names if "_" in name and set(name.split("_")) < words]
    alike = get_close_matches(asked, names, n=1, cutoff=0.8)
    return max(within, key=len) if within else next(iter(alike), None)


def _told(fits: Sequence[bool], versions: Sequence[str]) -> str:
    """Return releases for people: `0.5.5 to 0.10.0, 0.12.0 and later`."""
    told = []
    for first, last in runs(fits):
        end = " and later" if last == len(fits) - 1 and first != last else f" to {versions[last]}"
        told.append(versions[first] + ("" if first == last else end))
    return ", ".join(told)
