"""Rules for arguments of calls that a release does not accept or newly requires."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

from compat._cli.text import counted
from compat.callables.parameters import Parameters
from compat.explain.context import RuleContext, in_installed_package
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.call_errors import (
    Callee,
    CallError,
    parse_call_error,
    possible_callees,
)
from compat.explain.lookup.module_paths import distribution_of, top_of
from compat.explain.lookup.symbol_history import ranges
from compat.model.diagnosis import Diagnosis, Fix


def call(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a call whose arguments fit the function's signature in another release only."""
    kinds = ("TypeError", "ValidationError", "")
    raised = exception.kind in kinds or "got an unexpected keyword argument" in exception.message
    call_error = parse_call_error(exception) if raised else None
    if call_error is None:
        return None
    every = list(possible_callees(exception, context, call_error))
    found = [each for each in every if each.rejecting(call_error) and any(each.accepting(call_error))]
    found = [each for each in found if context.release_index(each.package) is not None] or found
    inside = {context.owner(module) for frame in exception.frames if (module := context.module(frame))}
    likely = [callee for callee in found if callee.package in inside]
    line = exception.frames[-1].source if exception.frames else ""
    by_package = re.search(rf"\b(?:sgl|sglang|vllm)\.(?:\w+\.)*{call_error.function}\(", line)
    if (
        call_error.owner or "_" in call_error.function or by_package
    ):  # a mere `main` or `run` may be anybody's
        likely = likely or found
    if len(likely) == 1:
        return _diagnosis(exception, context, likely[0], call_error)
    if likely or found:
        return _one_of(exception, context, likely, call_error)
    others = [callee for callee in every if call_error.owner and _is_another(callee, call_error, context)]
    if len(others) == 1:
        return _another(exception, context, others[0], call_error)
    never = [callee for callee in every if call_error.owner and call_error.kind == "unexpected"]
    never = [callee for callee in never if callee.package in inside] or never
    last = exception.frames[-1] if exception.frames else None
    if not inside and in_installed_package(last):
        return None  # a class of the same name that another package makes
    return _never(exception, never, call_error) if never else None


def _one_of(
    exception: ExceptionInfo, context: RuleContext, callees: Sequence[Callee], call_error: CallError
) -> Diagnosis | None:
    """Return what is known of a call of which several definitions of one package may be meant."""
    packages = {each.package for each in callees}
    if len(packages) != 1 or call_error.kind != "unexpected" or not call_error.owner:
        return None
    package = packages.pop()
    versions = context.index.versions(package)
    asked = call_error.names[0]
    known = (
        f"{each.module}:{each.name} accepts {asked} in {ranges_text(each.accepting(call_error), versions)}"
        for each in callees
    )
    text = (
        f"Which {call_error.owner} is called, the text does not say: leave {asked} out, or install a release "
        "in which that one accepts it."
    )
    return Diagnosis(
        cause="unknown",
        package=package,
        evidence=(exception.line, *list(known)[:MOST_DEFINITIONS]),
        fix=Fix(kind="edit", text=text),
    )


def _is_another(callee: Callee, call_error: CallError, context: RuleContext) -> bool:
    """Return whether the stated release accepts the call and another release rejects it."""
    if context.known(callee.package) is None:
        return False
    accepted = call_error.accepted_by(callee.parameters[callee.releases[0]])
    return accepted and any(map(call_error.raised_by, callee.parameters))


def _another(
    exception: ExceptionInfo, context: RuleContext, callee: Callee, call_error: CallError
) -> Diagnosis:
    """Return the diagnosis that Python imported another copy than the stated release."""
    package, versions = callee.package, context.index.versions(callee.package)
    known, version = context.known(package), versions[callee.releases[0]]
    fits = ranges_text(callee.accepting(call_error), versions)
    top = callee.module.partition(".")[0]
    return Diagnosis(
        cause="unknown",
        package=package,
        version=known.version if known else None,
        module=callee.module,
        evidence=(
            exception.line,
            f"{package} {version}: {known.source}" if known else "",
            f"{callee.module}:{callee.name} accepts {call_error.described} in {fits}",
        ),
        fix=Fix(
            kind="environment",
            text=f"{package} {version} accepts this call, so Python imported another version: the command "
            "below prints it.",
            command=f'python -c "import {top}; print({top}.__version__, {top}.__file__)"',
        ),
    )


def _never(exception: ExceptionInfo, callees: Sequence[Callee], call_error: CallError) -> Diagnosis | None:
    """Return the diagnosis of an argument that no release has: it belongs to a patched or another class."""
    if not all(each.rejecting(call_error) for each in callees):
        return None
    package, name = callees[0].package, callees[0].name
    asked = call_error.names[0]
    here = callees[0].parameters[callees[0].releases[-1]]
    spelt = asked.replace("-", "_")
    if here is not None and spelt != asked and spelt in here.names:
        fix = Fix(kind="edit", text=f"The argument is spelt {spelt}.")
        return Diagnosis(cause="unknown", package=package, evidence=(exception.line,), fix=fix)
    text = f"Leave {asked} out, or use the {name} that takes it, of a fork or patched by another project."
    near = _near(asked, here)
    return Diagnosis(
        cause="unknown",
        package=package,
        module=callees[0].module if len(callees) == 1 else None,
        evidence=(exception.line, f"no release of {package} has a {name} that takes {asked}"),
        fix=Fix(kind="edit", text=text + (f" The nearest name that it accepts is {near}." if near else "")),
    )


MOST_DEFINITIONS = 4
"""Most definitions of one name that a diagnosis lists."""


class Ranged(NamedTuple):
    """Something that some releases have and the release in use does not."""

    package: str
    flags: Sequence[bool]
    """For each release whether it has it."""
    lacking: Sequence[int]
    """The releases without it that may be in use, oldest first."""
    asked: str
    where: str
    """A clause that the releases complete: `the server of sglang has the option --x`."""
    module: str
    names: frozenset[str] = frozenset()
    """What the newest of those releases has instead."""


def by_ranges(
    exception: ExceptionInfo, context: RuleContext, found: Ranged, caller: str | None = None
) -> Diagnosis:
    """Return the diagnosis of what other releases have, by ranges where the release is not known."""
    package, flags = found.package, found.flags
    versions, known = context.index.versions(package), context.known(package)
    exact = context.release_index(package)
    newer = _is_newer(found)
    spans = ranges_text(flags, versions)
    source = f"{package} {known.version}: {known.source}" if known else ""
    near = _nearest_name(found.asked, found.names)
    hint = f" The nearest name that it accepts is {near}." if near else ""
    if newer:
        last = versions[max(at for at, there in enumerate(flags) if there)]
        older = any(not any(flags[:at]) for at in found.lacking)
        side = f"older, or newer than {last}" if older else f"newer than {last}"
        text = f"Leave {found.asked} out: {package} has it in {spans}; yours is {side}.{hint}"
        if exact is not None:
            text = f"Leave {found.asked} out: {package} {versions[exact]} does not accept it.{hint}"
        fix = Fix(kind="edit", text=text)
    else:
        first = versions[next(ranges_from_end(flags))]
        mine = "" if exact is not None else f"Your {package} is older than {first}. "
        text = f"{mine}Leave {found.asked} out, or install {package} {first}, the first that has it.{hint}"
        fix = Fix(kind="install", text=text, command=f'pip install "{package}>={first}"')
    if caller is not None:
        text = (
            f"{caller} was written for another release of {package}: install a release of {caller} that "
            f"fits yours, or install {package} {spans}."
        )
        fix = Fix(kind="install", text=text)
    return Diagnosis(
        cause="symbol_removed" if newer else "not_yet_added",
        package=package,
        version=known.version if known else None,
        module=found.module or None,
        symbol=found.asked,
        evidence=tuple(each for each in (exception.line, source, f"{found.where} in {spans}") if each),
        fix=fix,
    )


def ranges_from_end(flags: Sequence[bool]) -> Iterator[int]:
    """Yield the first release of each range with a true flag, the newest range first."""
    yield from (first for first, _ in reversed(list(ranges(flags))))


def _is_newer(found: Ranged) -> bool:
    """Return whether the release in use is newer than those that have it, rather than older."""
    after = [any(found.flags[:at]) for at in found.lacking]
    return all(after) or (any(after) and not found.flags[-1])


def _diagnosis(
    exception: ExceptionInfo, context: RuleContext, callee: Callee, call_error: CallError
) -> Diagnosis:
    """Return the diagnosis: the releases whose signature accepts the call, and the fix for this one."""
    package, versions = callee.package, context.index.versions(callee.package)
    flags, asked = callee.accepting(call_error), " and ".join(call_error.names) or call_error.described
    does = "does not require" if call_error.kind == "missing" else "accepts"
    known, at = context.known(package), callee.rejecting(call_error)[-1]
    caller = caller_of(exception, context, package)
    here = callee.parameters[at]
    ranged = Ranged(
        package, flags, callee.rejecting(call_error), asked, f"{callee.module}:{callee.name} {does} {asked}",
        callee.module, frozenset(here.names if here else ()),
    )  # fmt: skip
    found = by_ranges(exception, context, ranged, caller)
    if call_error.kind != "unexpected" and caller is None:
        release = f"{package} {versions[at]}" if known else f"your {package}"
        text = f"Pass {asked}: {release} requires it."
        if call_error.kind == "many":
            text = f"Pass at most {counted(call_error.most, 'positional argument')} for {release}."
        found = replace(found, fix=Fix(kind="edit", text=text))
    symbol = f"{callee.name}({asked}=)" if len(call_error.names) == 1 else callee.name
    return replace(found, symbol=symbol)


def caller_of(exception: ExceptionInfo, context: RuleContext, package: str) -> str | None:
    """Return the distribution whose code calls the package, or None if the user's code does."""
    outside = (
        each for each in reversed(exception.frames) if context.owner(context.module(each) or "") != package
    )
    frame = next(outside, None)
    top = top_of(frame.path) if frame is not None and in_installed_package(frame) else None
    return distribution_of(top) if top is not None else None


def _near(asked: str, here: Parameters | None) -> str | None:
    return _nearest_name(asked, frozenset(here.names if here else ()))


def _nearest_name(asked: str, names: frozenset[str]) -> str | None:
    """Return the name that may replace one: it shares some of its words, or is spelt alike."""
    mark = "-" if asked.startswith("--") else "_"
    words = set(asked.strip("-").split(mark))
    ordered = sorted(names)
    within = [each for each in ordered if mark in each and set(each.strip("-").split(mark)) < words]
    alike = get_close_matches(asked, ordered, n=1, cutoff=0.8)
    return max(within, key=len) if within else next(iter(alike), None)


def ranges_text(fits: Sequence[bool], versions: Sequence[str]) -> str:
    """Return the releases with a true flag as text: `0.5.5 to 0.10.0, 0.12.0 and later`."""
    parts = []
    for first, last in ranges(fits):
        end = " and later" if last == len(fits) - 1 and first != last else f" to {versions[last]}"
        parts.append(versions[first] + ("" if first == last else end))
    return ", ".join(parts)
