"""Calls that a release does not take: an argument that it has no longer, not yet, or asks for."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from compat.explain.context import RuleContext, foreign
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.call_errors import Callee, Complaint, callees, complaint_of
from compat.explain.lookup.module_paths import distribution_of, top_of
from compat.explain.lookup.symbol_history import runs
from compat.model.diagnosis import Diagnosis, Fix

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


def call(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """An argument that the definition in use does not take, or that it asks for, unlike other releases."""
    complaint = complaint_of(exception) if exception.kind in ("TypeError", "") else None
    if complaint is None:
        return None
    every = list(callees(exception, context, complaint))
    found = [callee for callee in every if _is_to_blame(callee, complaint)]
    inside = {context.owner(module) for frame in exception.frames if (module := context.module(frame))}
    likely = [callee for callee in found if callee.package in inside]
    line = exception.frames[-1].source if exception.frames else ""
    by_package = re.search(rf"\b(?:sgl|sglang|vllm)\.(?:\w+\.)*{complaint.function}\(", line)
    if complaint.owner or "_" in complaint.function or by_package:  # a mere `main` or `run` may be anybody's
        likely = likely or found
    if likely or found:
        return _diagnosis(exception, context, likely[0], complaint) if len(likely) == 1 else None
    others = [callee for callee in every if complaint.owner and _is_another(callee, complaint, context)]
    return _another(exception, context, others[0], complaint) if len(others) == 1 else None


def option(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """An option that the server of the release in use does not have, unlike that of other releases."""
    said = _OPTIONS.search(exception.message)
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
        for callee in callees(exception, context, complaint):
            if callee.module == module and _is_to_blame(callee, complaint):
                return _diagnosis(exception, context, callee, complaint)
    return None


def _is_to_blame(callee: Callee, complaint: Complaint) -> bool:
    """Return whether a definition makes the complaint, and did not or will not in another release.

    Of a dataclass only its own fields are known, not those of its bases: without one such nothing tells.
    """
    return complaint.comes_from(callee.takes[callee.at]) and any(map(complaint.fits, callee.takes))


def _is_another(callee: Callee, complaint: Complaint, context: RuleContext) -> bool:
    """Return whether the release that is said to be in use takes the call, as others do not."""
    if context.known(callee.package) is None or not complaint.fits(callee.takes[callee.at]):
        return False
    return any(map(complaint.comes_from, callee.takes))


def _another(
    exception: ExceptionInfo, context: RuleContext, callee: Callee, complaint: Complaint
) -> Diagnosis:
    """Return that what was imported is no copy of the release that is said to be in use."""
    package, versions = callee.package, context.index.versions(callee.package)
    known = context.known(package)
    fits = _told([complaint.fits(takes) for takes in callee.takes], versions)
    top = callee.module.partition(".")[0]
    return Diagnosis(
        cause="unknown",
        package=package,
        version=known.version if known else None,
        module=callee.module,
        evidence=(
            exception.line,
            f"{package} {versions[callee.at]}: {known.source}" if known else "",
            f"{callee.module}:{callee.called} is right with {complaint.asked} in {fits}",
        ),
        fix=Fix(
            kind="environment",
            text=f"{package} {versions[callee.at]} takes this: it is another one that was imported.",
            command=f'python -c "import {top}; print({top}.__version__, {top}.__file__)"',
        ),
    )


def _diagnosis(
    exception: ExceptionInfo, context: RuleContext, callee: Callee, complaint: Complaint
) -> Diagnosis:
    """Return where the call would have been right, and what to do here."""
    package, versions = callee.package, context.index.versions(callee.package)
    fits = [complaint.fits(takes) for takes in callee.takes]
    known, asked = context.known(package), " and ".join(complaint.names) or complaint.asked
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
            exception.line,
            source,
            f"{callee.module}:{callee.called} {does} {asked} in {_told(fits, versions)}",
        ),
        fix=_fix(_caller(exception, context, package), callee, complaint, versions),
    )


def _caller(exception: ExceptionInfo, context: RuleContext, package: str) -> str | None:
    """Return the distribution that calls, as far as it is not the package itself; None when the user does."""
    outside = (
        each for each in reversed(exception.frames) if context.owner(context.module(each) or "") != package
    )
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
