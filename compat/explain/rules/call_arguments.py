"""Rules for arguments that a release does not accept or newly requires, in calls and on command lines."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from compat._cli.text import counted
from compat.explain.context import RuleContext, in_installed_package
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.call_errors import Callee, CallError, parse_call_error, possible_callees
from compat.explain.lookup.module_paths import distribution_of, top_of
from compat.explain.lookup.symbol_history import ranges
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
"""Program name of a server to the classes whose fields are its options."""


def call(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a call whose arguments fit the function's signature in another release only."""
    call_error = parse_call_error(exception) if exception.kind in ("TypeError", "") else None
    if call_error is None:
        return None
    every = list(possible_callees(exception, context, call_error))
    found = [callee for callee in every if _is_to_blame(callee, call_error)]
    inside = {context.owner(module) for frame in exception.frames if (module := context.module(frame))}
    likely = [callee for callee in found if callee.package in inside]
    line = exception.frames[-1].source if exception.frames else ""
    by_package = re.search(rf"\b(?:sgl|sglang|vllm)\.(?:\w+\.)*{call_error.function}\(", line)
    if (
        call_error.owner or "_" in call_error.function or by_package
    ):  # a mere `main` or `run` may be anybody's
        likely = likely or found
    if likely or found:
        return _diagnosis(exception, context, likely[0], call_error) if len(likely) == 1 else None
    others = [callee for callee in every if call_error.owner and _is_another(callee, call_error, context)]
    return _another(exception, context, others[0], call_error) if len(others) == 1 else None


def option(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a command-line option that the server has in another release only."""
    usage_error = _OPTIONS.search(exception.message)
    option_name = _OPTION.search(usage_error[2]) if usage_error else None
    if not usage_error or not option_name:
        return None
    for place in _SERVERS.get(usage_error[1], ()):
        module, _, name = place.partition(":")
        call_error = CallError(
            owner=name,
            function="__init__",
            names=(option_name[1].replace("-", "_"),),
            kind="unexpected",
            option=option_name[0],
        )
        for callee in possible_callees(exception, context, call_error):
            if callee.module == module and _is_to_blame(callee, call_error):
                return _diagnosis(exception, context, callee, call_error)
    return None


def _is_to_blame(callee: Callee, call_error: CallError) -> bool:
    """Return whether a definition rejects the call in the release in use and accepts it in another one.

    The index knows only the fields that a dataclass defines itself, so the other release must confirm that
    the argument belongs to this class.
    """
    return call_error.raised_by(callee.parameters[callee.release_index]) and any(
        map(call_error.accepted_by, callee.parameters)
    )


def _is_another(callee: Callee, call_error: CallError, context: RuleContext) -> bool:
    """Return whether the stated release accepts the call and another release rejects it."""
    if context.known(callee.package) is None or not call_error.accepted_by(
        callee.parameters[callee.release_index]
    ):
        return False
    return any(map(call_error.raised_by, callee.parameters))


def _another(
    exception: ExceptionInfo, context: RuleContext, callee: Callee, call_error: CallError
) -> Diagnosis:
    """Return the diagnosis that Python imported another copy than the stated release."""
    package, versions = callee.package, context.index.versions(callee.package)
    known = context.known(package)
    fits = _ranges([call_error.accepted_by(parameters) for parameters in callee.parameters], versions)
    top = callee.module.partition(".")[0]
    return Diagnosis(
        cause="unknown",
        package=package,
        version=known.version if known else None,
        module=callee.module,
        evidence=(
            exception.line,
            f"{package} {versions[callee.release_index]}: {known.source}" if known else "",
            f"{callee.module}:{callee.name} accepts {call_error.described} in {fits}",
        ),
        fix=Fix(
            kind="environment",
            text=f"{package} {versions[callee.release_index]} accepts this call, so Python imported another "
            "version: the command below prints it.",
            command=f'python -c "import {top}; print({top}.__version__, {top}.__file__)"',
        ),
    )


def _diagnosis(
    exception: ExceptionInfo, context: RuleContext, callee: Callee, call_error: CallError
) -> Diagnosis:
    """Return the diagnosis: the releases whose signature accepts the call, and the fix for this one."""
    package, versions = callee.package, context.index.versions(callee.package)
    fits = [call_error.accepted_by(parameters) for parameters in callee.parameters]
    known, asked = context.known(package), " and ".join(call_error.names) or call_error.described
    does = "does not require" if call_error.kind == "missing" else "accepts"
    source = (
        f"{package} {known.version}: {known.source}"
        if known
        else f"the release of {package} is unknown; assuming {versions[callee.release_index]}, the newest"
    )
    return Diagnosis(
        cause="symbol_removed" if any(fits[: callee.release_index]) else "not_yet_added",
        package=package,
        version=known.version if known else None,
        module=callee.module,
        symbol=f"{callee.name}({asked}=)" if len(call_error.names) == 1 else callee.name,
        evidence=(
            exception.line,
            source,
            f"{callee.module}:{callee.name} {does} {asked} in {_ranges(fits, versions)}",
        ),
        fix=_fix(_caller(exception, context, package), callee, call_error, versions),
    )


def _caller(exception: ExceptionInfo, context: RuleContext, package: str) -> str | None:
    """Return the distribution whose code calls the package, or None if the user's code does."""
    outside = (
        each for each in reversed(exception.frames) if context.owner(context.module(each) or "") != package
    )
    frame = next(outside, None)
    top = top_of(frame.path) if frame is not None and in_installed_package(frame) else None
    return distribution_of(top) if top is not None else None


def _fix(caller: str | None, callee: Callee, call_error: CallError, versions: Sequence[str]) -> Fix:
    package, release, asked = callee.package, versions[callee.release_index], call_error.described
    fits = [call_error.accepted_by(parameters) for parameters in callee.parameters]
    if caller is not None:
        text = (
            f"{caller} was written for another release of {package}: install a release of {caller} that "
            f"supports {package} {release}, or install {package} {_ranges(fits, versions)}."
        )
        return Fix(kind="install", text=text)
    if call_error.kind == "missing":
        return Fix(kind="edit", text=f"Pass {asked}: {package} {release} requires it.")
    if call_error.kind == "many":
        takes = call_error.most
        return Fix(
            kind="edit",
            text=f"Pass at most {counted(takes, 'positional argument')} for {package} {release}.",
        )
    near = _near(call_error.names[0], callee)
    near = f"--{near.replace('_', '-')}" if near and call_error.option else near
    nearest = f" The nearest name that it accepts is {near}." if near else ""
    later = [at for at in range(callee.release_index, len(fits)) if fits[at]]
    if later and not any(fits[: callee.release_index]):
        first = versions[later[0]]
        text = f"Leave {asked} out, or install {package} {first}, the first release that accepts it.{nearest}"
        return Fix(kind="install", text=text, command=f'pip install "{package}>={first}"')
    return Fix(kind="edit", text=f"Leave {asked} out: {package} {release} does not accept it.{nearest}")


def _near(asked: str, callee: Callee) -> str | None:
    """Return the accepted argument that may replace one: it shares some of its words, or is spelt alike."""
    here = callee.parameters[callee.release_index]
    names = here.names if here else ()
    words = set(asked.split("_"))
    within = [name for name in names if "_" in name and set(name.split("_")) < words]
    alike = get_close_matches(asked, names, n=1, cutoff=0.8)
    return max(within, key=len) if within else next(iter(alike), None)


def _ranges(fits: Sequence[bool], versions: Sequence[str]) -> str:
    """Return the releases with a true flag as text: `0.5.5 to 0.10.0, 0.12.0 and later`."""
    parts = []
    for first, last in ranges(fits):
        end = " and later" if last == len(fits) - 1 and first != last else f" to {versions[last]}"
        parts.append(versions[first] + ("" if first == last else end))
    return ", ".join(parts)
