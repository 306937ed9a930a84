"""A rule for attributes and methods of the packages' classes that only other releases have."""

import re
from collections.abc import Iterator
from itertools import chain

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.rules.call_arguments import Ranged, by_ranges, caller_of
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM

_OBJECT = re.compile(r"^(?:type object )?'(\w{3,80})'(?: object)? has no attribute '(\w{2,80})'")


def attribute(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an attribute of a class of sglang or vllm that the class has in other releases only."""
    found = _OBJECT.search(exception.message.lstrip("`")) if exception.kind in ("AttributeError", "") else None
    if not found or context.signatures is None:
        return None
    name, wanted = found[1], found[2]
    every = [each for package in (VLLM, SGLANG) for each in _classes(context, package, name, wanted)]
    lacking = [each for each in every if each[3]]
    if len(lacking) == 1 and any(lacking[0][2]):
        package, module, flags, releases = lacking[0]
        where = f"{module}:{name} has {wanted}"
        ranged = Ranged(package, flags, releases, f"{name}.{wanted}", where, module)
        return by_ranges(exception, context, ranged, caller_of(exception, context, package))
    return _other_engine(exception, every, name, wanted)


def _classes(
    context: RuleContext, package: str, name: str, wanted: str
) -> Iterator[tuple[str, str, list[bool], list[int]]]:
    """Yield each class of a name: package, module, whether each release has the attribute, and those without."""
    assert context.signatures is not None  # noqa: S101 -- the caller has checked
    known = context.release_index(package)
    if known is None and context.known(package) is not None:
        return
    candidates = [known] if known is not None else context.candidate_releases(package)
    modules = dict.fromkeys(
        chain.from_iterable(context.index.binders(name, package, at) for at in candidates)
    )
    for module in modules:
        members = [
            context.signatures.members(package, module, name, at)
            for at in range(len(context.index.versions(package)))
        ]
        if any(members[at] is not None for at in candidates):
            flags = [each is not None and wanted in each for each in members]
            without = [at for at in candidates if (there := members[at]) is not None and wanted not in there]
            yield package, module, flags, without


def _other_engine(
    exception: ExceptionInfo, every: list[tuple[str, str, list[bool], list[int]]], name: str, wanted: str
) -> Diagnosis | None:
    """Return the diagnosis of a class that vllm has once for each engine, of which one has the attribute."""
    without = [module for _, module, _, lacking in every if lacking and ".v1." in module]
    having = [module for _, module, flags, lacking in every if any(flags) and ".v1." not in module]
    if not without or not having:
        return None
    return Diagnosis(
        cause="unknown",
        package=VLLM,
        module=without[0],
        symbol=f"{name}.{wanted}",
        evidence=(
            exception.line,
            f"{having[0]}:{name} has {wanted}, and {without[0]}:{name}, of the V1 engine, does not",
        ),
        fix=Fix(
            kind="edit",
            text="The V1 engine runs: its workers are other processes. Use its own interface, such as "
            "collective_rpc, or the older engine where the release still has it (VLLM_USE_V1=0).",
        ),
    )
