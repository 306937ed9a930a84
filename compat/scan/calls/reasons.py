"""Say why a call does not fit what a release accepts, and what would fit."""

from collections.abc import Sequence

from compat._cli.text import counted
from compat.callables.by_release import AnswersByRelease
from compat.callables.parameters import Misfit, Parameters
from compat.scan.calls.callees import Accepted
from compat.scan.calls.fitting import Fitting

_LONGEST = 90
"""The longest list of parameters that is printed."""
_FEW = 3
"""The most argument names that a statement lists."""


def call_text(accepted: Accepted, wrong: Misfit) -> str:
    """Return a call with what is wrong about it: `EngineArgs(num_scheduler_steps=)`."""
    if wrong.kind in ("unexpected", "twice"):
        names = [f"{name}=" for name in wrong.names[:_FEW]]
        return f"{accepted.name}({', '.join([*names, *(['…'] if len(wrong.names) > _FEW else [])])})"
    return f"{accepted.name}(…)"


def why(accepted: Accepted, wrong: Misfit) -> str:
    """Return why a call does not fit."""
    name, names = accepted.name, " and ".join(wrong.names)
    if wrong.kind == "unexpected":
        return f"{name} does not take {names}"
    if wrong.kind == "missing":
        return f"{name} requires {names}"
    if wrong.kind == "twice":
        return f"{name} gets {names} by position and by name"
    return f"{name} takes at most {counted(wrong.most, 'positional argument')}"


def renamed(
    wrong: Misfit, answers: Sequence[AnswersByRelease[Accepted | None]], fitting: Fitting, at: int
) -> str:
    """Return the parameter that took the place of a missing one from one release to the next; else empty."""
    before = fitting.before(at)
    if wrong.kind != "unexpected" or len(wrong.names) != 1 or before is None:
        return ""
    for each in answers:
        old, new = each.at(before), each.at(before + 1)
        here = each.at(at)
        if (
            old is None
            or new is None
            or here is None
            or len(old.parameters.names) != len(new.parameters.names)
        ):
            continue
        pairs = zip(old.parameters.names, new.parameters.names, strict=True)
        changed = [pair for pair in pairs if pair[0] != pair[1]]
        if len(changed) == 1 and changed[0][0] == wrong.names[0] and changed[0][1] in here.parameters.names:
            return changed[0][1]
    return ""


def short(parameters: Parameters) -> str:
    """Return what a callee takes as the end of a sentence; empty if it is long."""
    text = parameters.text
    return f"; it takes {text}" if len(text) <= _LONGEST else ""
