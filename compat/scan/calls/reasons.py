"""Say why a call or an override does not fit a release, since when, and what would fit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from compat._cli.text import counted
from compat.callables.by_release import AnswersByRelease
from compat.callables.parameters import Misfit, Parameters
from compat.scan.calls.callees import Accepted
from compat.scan.findings import BrokenRange
from compat.scan.releases.index_lookup import ReleaseSet, ranges

if TYPE_CHECKING:
    from compat.model.diagnosis import Cause

_LONGEST = 90
"""The longest list of parameters that is printed."""
_FEW = 3
"""The most argument names that a statement lists."""


def call_ranges(  # noqa: PLR0917 -- they are one question
    release_set: ReleaseSet,
    versions: Sequence[str],
    unfit: Mapping[int, tuple[Accepted, Misfit]],
    reached: int,
    fitting: Sequence[bool],
    answers: Sequence[AnswersByRelease[Accepted | None]],
) -> tuple[str, tuple[BrokenRange, ...]]:
    """Return a call as text, and the ranges of releases in which it does not fit, with the reasons.

    Args:
        release_set: the selected releases.
        versions: all releases of the package.
        unfit: what is called and why the call does not fit, by slot of the release set.
        reached: the slots that count.
        fitting: for each release of the package whether the call fits.
        answers: what the callee accepts by release.
    """
    found: list[BrokenRange] = []
    text = ""
    for first, last in ranges(reached):
        for slot in range(first, last + 1):
            accepted, wrong = unfit[slot]
            at = release_set.release_indexes[slot]
            text = _statement(accepted, wrong)
            cause: Cause = "symbol_removed" if any(fitting[:at]) else "not_yet_added"
            reason = f"{_what(accepted, wrong)}; {_since(fitting, versions, at)}"
            renamed = _renamed(wrong, answers, fitting, at)
            reason += f"; {renamed} took its place" if renamed else _short(accepted.parameters)
            version = release_set.versions[slot]
            if found and slot > first and found[-1].reason == reason:
                found[-1] = found[-1]._replace(last=version)
            else:
                found.append(BrokenRange(version, version, cause, reason, None))
    return text, tuple(found)


def since(fitting: Sequence[bool], versions: Sequence[str], at: int) -> str:
    """Return which release near one, by its index, is the last or the first that fits."""
    return _since(fitting, versions, at)


def _statement(accepted: Accepted, wrong: Misfit) -> str:
    """Return a call with what is wrong about it: `EngineArgs(num_scheduler_steps=)`."""
    if wrong.kind in ("unexpected", "twice"):
        names = [f"{name}=" for name in wrong.names[:_FEW]]
        return f"{accepted.name}({', '.join([*names, *(['…'] if len(wrong.names) > _FEW else [])])})"
    return f"{accepted.name}(…)"


def _what(accepted: Accepted, wrong: Misfit) -> str:
    name, names = accepted.name, " and ".join(wrong.names)
    if wrong.kind == "unexpected":
        return f"{name} does not take {names}"
    if wrong.kind == "missing":
        return f"{name} requires {names}"
    if wrong.kind == "twice":
        return f"{name} gets {names} by position and by name"
    return f"{name} takes at most {counted(wrong.most, 'positional argument')}"


def _since(fitting: Sequence[bool], versions: Sequence[str], at: int) -> str:
    before = [release for release in range(at) if fitting[release]]
    if before:
        return f"the call fits up to {versions[before[-1]]}"
    after = next(release for release in range(at, len(fitting)) if fitting[release])
    return f"the call fits from {versions[after]}"


def _renamed(
    wrong: Misfit, answers: Sequence[AnswersByRelease[Accepted | None]], fitting: Sequence[bool], at: int
) -> str:
    """Return the parameter that took the place of a missing one from one release to the next; else empty."""
    before = [release for release in range(at) if fitting[release]]
    if wrong.kind != "unexpected" or len(wrong.names) != 1 or not before:
        return ""
    for each in answers:
        old, new = each.at(before[-1]), each.at(before[-1] + 1)
        here = each.at(at)
        if old is None or new is None or here is None or len(old.parameters.names) != len(new.parameters.names):
            continue
        pairs = zip(old.parameters.names, new.parameters.names, strict=True)
        changed = [pair for pair in pairs if pair[0] != pair[1]]
        if len(changed) == 1 and changed[0][0] == wrong.names[0] and changed[0][1] in here.parameters.names:
            return changed[0][1]
    return ""


def _short(parameters: Parameters) -> str:
    text = parameters.text
    return f"; it takes {text}" if len(text) <= _LONGEST else ""
