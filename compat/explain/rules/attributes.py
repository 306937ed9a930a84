"""A rule for attributes and methods of the packages' classes that only other releases have."""

import re
from itertools import chain
from typing import NamedTuple

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.rules.call_arguments import Ranged, by_ranges, caller_of
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM

_OBJECT = re.compile(r"^(?:type object )?'(\w{3,80})'(?: object)? has no attribute '(\w{2,80})'")

MOST_BESIDE = 200
"""Most names of a module among which classes with an attribute are looked for."""


def attribute(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an attribute of a class of sglang or vllm that the class has in other releases only."""
    found = (
        _OBJECT.search(exception.message.lstrip("`")) if exception.kind in ("AttributeError", "") else None
    )
    if not found or context.signatures is None:
        return None
    name, wanted = found[1], found[2]
    every = [each for package in (VLLM, SGLANG) for each in _classes(context, package, name)]
    lacking = [each for each in every if each.lacking(wanted) and any(each.flags(wanted))]
    others = [each for each in every if each not in lacking]
    if len(lacking) == 1 and not any(_may_be(each, lacking[0], wanted) for each in others):
        only = lacking[0]
        where = f"{only.module}:{name} has {wanted}"
        ranged = Ranged(
            only.package, only.flags(wanted), only.lacking(wanted), f"{name}.{wanted}", where, only.module
        )
        return by_ranges(exception, context, ranged, caller_of(exception, context, only.package))
    return _other_engine(exception, every, name, wanted)


def in_no_release(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Tell of an attribute that no release of sglang or vllm gives a class, or that all of them give it.

    The cause is `unknown`: a class beside it may have the attribute, or the object was never initialized.
    """
    found = (
        _OBJECT.search(exception.message.lstrip("`")) if exception.kind in ("AttributeError", "") else None
    )
    if not found or context.signatures is None:
        return None
    name, wanted = found[1], found[2]
    every = [each for package in (VLLM, SGLANG) for each in _classes(context, package, name)]
    if not every or len({each.package for each in every}) > 1:
        return None
    only = every[0]
    known = context.known(only.package)
    lines = [exception.line]
    if any(any(each.flags(wanted)) for each in every):
        lines.append(f"{only.module}:{name} has {wanted} in all releases that may be in use")
        text = (
            f"The object is of another {name}, or was not initialized to the end: an earlier failure in the "
            f"log, or a subclass that does not call __init__ of {name}, explains it."
        )
    else:
        lines.append(f"no release of {only.package} has {wanted} in its {name}")
        beside = _beside(context, only, wanted)
        lines += [f"{only.module}:{each} has it" for each in beside]
        text = f"Leave {wanted} out: an object of another class was expected there."
        if beside:
            text = f"Leave {wanted} out, or use the class that has it: {' or '.join(beside)}."
    return Diagnosis(
        cause="unknown",
        package=only.package,
        version=known.version if known else None,
        module=only.module,
        symbol=f"{name}.{wanted}",
        evidence=tuple(lines),
        fix=Fix(kind="none", text=text),
    )


def _beside(context: RuleContext, only: "_Class", wanted: str) -> list[str]:
    """Return the other classes of a class's module that have an attribute in the newest possible release."""
    signatures, at = context.signatures, only.candidates[-1]
    if signatures is None:
        return []
    names = context.index.names(only.module, only.package, at)
    return [
        each
        for each in list(names)[:MOST_BESIDE]
        if wanted in (signatures.members(only.package, only.module, each, at) or ())
    ]


def _may_be(other: "_Class", only: "_Class", wanted: str) -> bool:
    """Return whether an error may be about another class of the same name."""
    return other.package != only.package or any(other.flags(wanted))


class _Class(NamedTuple):
    """A class, with the members that it has in each release."""

    package: str
    module: str
    members: list[frozenset[str] | None]
    """Oldest release first; None where the class is missing or not all of its members are known."""
    candidates: list[int]
    """The releases that may be in use."""

    def flags(self, wanted: str) -> list[bool]:
        """Return for each release whether the class has an attribute."""
        return [each is not None and wanted in each for each in self.members]

    def lacking(self, wanted: str) -> list[int]:
        """Return the releases that may be in use and whose class lacks an attribute."""
        found = []
        for at in self.candidates:
            members = self.members[at]
            if members is not None and wanted not in members:
                found.append(at)
        return found


def _classes(context: RuleContext, package: str, name: str) -> list[_Class]:
    """Return the classes of a name; one that moved from module to module is one class."""
    signatures = context.signatures
    if signatures is None:
        return []
    known = context.release_index(package)
    candidates = [known] if known is not None else context.candidate_releases(package)
    modules = chain.from_iterable(context.index.binders(name, package, at) for at in candidates)
    found: list[_Class] = []
    for module in dict.fromkeys(modules):
        count = len(context.index.versions(package))
        members = [signatures.members(package, module, name, at) for at in range(count)]
        if not any(members[at] is not None for at in candidates):
            continue
        for at, other in enumerate(found):
            if all(one is None or two is None for one, two in zip(other.members, members, strict=True)):
                both = [two if one is None else one for one, two in zip(other.members, members, strict=True)]
                found[at] = _Class(package, module, both, candidates)
                break
        else:
            found.append(_Class(package, module, members, candidates))
    return found


def _other_engine(exception: ExceptionInfo, every: list[_Class], name: str, wanted: str) -> Diagnosis | None:
    """Return the diagnosis of a class that vllm has once for each engine, and that differs between them."""
    vllm = [each for each in every if each.package == VLLM]
    newer = [each for each in vllm if ".v1." in each.module]
    older = [each for each in vllm if ".v1." not in each.module and any(each.flags(wanted))]
    if not newer or not older:
        return None
    missing = "does not" if newer[0].lacking(wanted) else "only in some modes"
    return Diagnosis(
        cause="unknown",
        evidence=(
            exception.line,
            f"{older[0].module}:{name} has {wanted}, and {newer[0].module}:{name}, of V1, {missing}",
        ),
        fix=Fix(
            kind="none",
            text="The V1 engine runs: its workers are other processes. Use its own interface, such as "
            "collective_rpc, or the older engine where the release still has it (VLLM_USE_V1=0).",
        ),
    )
