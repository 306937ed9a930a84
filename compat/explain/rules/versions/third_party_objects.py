"""Rules for attributes and arguments that an object of a third package lacks, by the releases that use it."""

import builtins
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.call_errors import called_names, parse_call_error
from compat.explain.lookup.companion_releases import asking_lines, newest_of_its_time
from compat.explain.lookup.module_paths import carriers, distribution_of, is_standard, top_of
from compat.explain.lookup.object_owners import ObjectOwner, object_owner, using_releases
from compat.explain.lookup.requirement_violations import (
    USUAL,
    agreed,
    bounded_above,
    changed_needs,
    demands,
    excluded_above,
    next_need,
    of_release,
    ordered,
    requirement_named,
    violated,
)
from compat.explain.rules.versions.violated_requirements import evidence, of_unmet, older_or_newer
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM
from compat.requirements.graph import RequirementEdge, UnmetRequirement

_ATTRIBUTE = re.compile(r"^(?:type object )?'?(\w{3,80})'?(?: object)? has no attribute '?(\w{2,80})'?")

_ARGUMENTS = re.compile(
    r"\b((?:\w{1,80}\.){0,3})(\w{1,80})\(\)(?: (?:got|takes|missing) |: incompatible \w+ arguments)"
)

_BINDING = re.compile(r"\bwhen calling: [`']?(\w{2,60})\.|\(self: (\w{2,60})\.")
"""Matches the package in the message of a compiled binding: of tvm-ffi, and of pybind11 or nanobind."""
_VALIDATED = re.compile(r"^\d{1,4} validation errors? for (\w{2,80})")
_BUILTINS = (str, bytes, dict, list, set)
"""Python's own types in whose place another object may stand; few other classes have their methods."""
_OF_PYTHON = ("AttributeError", "ImportError", "KeyError", "ModuleNotFoundError", "NameError", "TypeError")
MOST_LATER = 3
"""Most requirements of later releases that are listed."""


def attribute(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an attribute or method that a class of a third package does not have in the version in use."""
    if exception.kind not in ("AttributeError", ""):
        return None
    found = _ATTRIBUTE.search(exception.message.lstrip("`"))
    if not found or hasattr(builtins, found[1]) or found[1] in ("NoneType", "module", "function"):
        return None
    owner = object_owner(exception, context, [found[1]])
    if owner is None:
        return None
    expected = next((each for each in _BUILTINS if _is_method(each, found[2])), None)
    if expected is not None and violated(context, owner.distribution) is None:
        return _in_place_of(expected, found[1], found[2], owner, evidence(exception, context))
    return _diagnosis(exception, context, owner)


def _is_method(each: type, name: str) -> bool:
    return not name.startswith("_") and hasattr(each, name)


def _in_place_of(
    expected: type, name: str, method: str, owner: ObjectOwner, lines: tuple[str, ...]
) -> Diagnosis:
    """Return the diagnosis of an object that was passed where one of Python's own types is expected.

    The cause is `unknown`: its class never had such a method, so no version of its package is at fault.
    """
    text = (
        f"{method} is a method of {expected.__name__}: an object of {name} stands where a "
        f"{expected.__name__} is expected. Pass that instead; if your code does not pass it, what does is "
        f"made for another {owner.distribution}."
    )
    return Diagnosis(
        cause="unknown",
        package=owner.distribution,
        symbol=f"{name}.{method}",
        evidence=(*lines, owner.reason),
        fix=Fix(kind="none", text=text),
    )


def call(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a call of a function or class of a third package whose arguments do not fit it."""
    for each in _called(exception) if exception.kind in ("TypeError", "") else ():
        owner = object_owner(exception, context, each)
        if owner is not None:
            return _diagnosis(exception, context, owner)
    return None


def listed(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a failure inside a third package by a version that the log lists and a release excludes.

    The version must be of that package, of one whose name is in its name, or the only one that is excluded.
    """
    top = top_of(exception.frames[-1].path) if exception.frames else None
    if exception.kind not in _OF_PYTHON or top is None or top in context.index.owners or is_standard(top):
        return None
    facts = context.contents.facts
    names = dict.fromkeys((*facts.versions(), *facts.others))
    found = [broken for name in names if (broken := violated(context, name))]
    near = [each for each in found if each.edge.name in canonicalize_name(top)]
    chosen = near or (found if len(found) == 1 else [])
    return of_unmet(chosen[0], evidence(exception, context), None) if chosen else None


def raised_inside(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Tell which package raised an error, and what the possible releases require of it.

    The cause is `unknown`: the package may rightly refuse what it was given.
    """
    top = top_of(exception.frames[-1].path) if exception.frames and exception.kind else None
    if top is None or top in context.index.owners or is_standard(top):
        return None
    distribution = requirement_named(context, top, distribution_of(top))
    lines = [
        line
        for package, places in using_releases(context, exception)
        if (need := _need(context, distribution, package, places)) is not None
        for line in (str(need), newest_of_its_time(context, distribution, package, max(places)))
        if line is not None
    ]
    there = context.known(distribution)
    if not lines:
        return None
    if there:
        lines.append(f"{distribution} {there.version}: {there.source}")
    broken = violated(context, distribution)
    checked = _VALIDATED.search(exception.message)
    owner = next(
        (each for each in (VLLM, SGLANG) if checked and context.index.class_ever(checked[1], each)), ""
    )
    if checked and owner:
        lines.append(f"{checked[1]} is a class of {owner}: it refused a value that it was given")
    text = (
        f"{distribution} raised it. If its version is another one than the release was made with, install "
        "that one; else the input is at fault, such as the model or its configuration."
    )
    if broken is not None:
        text = (
            f"{distribution} raised it, and {broken.edge} excludes the {broken.installed} of this log: "
            "install the required one first. If the error stays, the input is at fault."
        )
    return Diagnosis(
        cause="unknown",
        package=distribution,
        version=there.version if there else None,
        evidence=(*evidence(exception, context), *lines),
        fix=Fix(kind="none", text=text),
    )


def named(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Name the package of an import that fails, and what the known releases require of it.

    The cause is `unknown`: which of its releases have the name is not known.
    """
    asked = wanted(exception)
    top = asked.module.partition(".")[0] if asked else ""
    if (
        asked is None
        or asked.partial
        or asked.absent == top
        or top in context.index.owners
        or is_standard(top)
    ):
        return None
    distribution = requirement_named(context, top, distribution_of(top))
    needs = ordered(each for each in demands(context, distribution) if each.extra in USUAL)
    there = context.known(distribution)
    if not needs and there is None and top not in carriers(top):
        return None
    line = [f"{distribution} {there.version}: {there.source}"] if there else []
    text = (
        f"What imports it is made for another {distribution} than the installed one: find the version that "
        "it asks for."
    )
    return Diagnosis(
        cause="unknown",
        package=distribution,
        version=there.version if there else None,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=(*evidence(exception, context), *line, *map(str, needs[:2])),
        fix=Fix(kind="none", text=text, command="pip check"),
    )


def _called(exception: ExceptionInfo) -> list[list[str]]:
    """Return what a TypeError may be about, each as the names of the class, if any, and the function."""
    error = parse_call_error(exception)
    if error is not None:
        return called_names(exception, error)
    bound = _BINDING.search(exception.text)
    if bound:
        return [[bound[1] or bound[2]]]
    found = _ARGUMENTS.search(exception.message)
    return [[*filter(None, found[1].split(".")[-2:-1]), found[2]]] if found else []


def _diagnosis(exception: ExceptionInfo, context: RuleContext, owner: ObjectOwner) -> Diagnosis:
    """Return the diagnosis of an object that differs from what sglang or vllm expect of its package."""
    distribution = owner.distribution
    lines = (*evidence(exception, context), owner.reason)
    broken = violated(context, distribution)
    if broken:
        return of_unmet(broken, lines, None)
    there = context.known(distribution)
    if there:
        lines = (*lines, f"{distribution} {there.version}: {there.source}")
    using = list(using_releases(context, exception))
    for package, releases in using:
        found = _limited(context, distribution, package, releases)
        if found is not None and (owner.certain or there is not None):
            return replace(found, evidence=(*lines, *found.evidence))
    asked = asking_lines(context, distribution, owner.target) if owner.target and not using else ()
    needs = [
        line
        for package, places in using
        for line in (
            _need(context, distribution, package, places),
            newest_of_its_time(context, distribution, package, max(places)),
        )
    ]
    belongs = "is of" if owner.certain else "may be of the code of a model, of another project, or of"
    text = (
        f"The object {belongs} {distribution}: compare its version with the one that your release of "
        'sglang or vllm requires; "pip check" names a violated requirement.'
    )
    fix = Fix(kind="none", text=text, command="pip check")
    dated = older_or_newer(context, exception, distribution) if there is None else fix
    if dated.kind != "none":  # no requirement says so: what is installed may have been right for the release
        fix = Fix(kind="none", text=f"{text} {dated.text}", command=fix.command)
    return Diagnosis(
        cause="unknown",
        package=distribution,
        version=there.version if there else None,
        evidence=(*lines, *(str(each) for each in needs if each), *asked),
        fix=fix,
    )


def _limited(
    context: RuleContext, distribution: str, package: str, places: Sequence[int]
) -> Diagnosis | None:
    """Return the diagnosis by an upper bound of the possible releases of a package, or of a later one.

    None if neither limits the distribution, or if the version in use is within the limits.
    """
    need = _need(context, distribution, package, places)
    there = context.known(distribution)
    if there is None and need is not None and bounded_above(need.requirement.specifier):
        found = of_unmet(UnmetRequirement(edge=need, installed=None), (), None)
        others = tuple(map(str, islice(changed_needs(context, need, max(places)), MOST_LATER)))
        text = found.fix.text
        text += f" If it is installed already, a newer {package} fits another one." if others else ""
        return replace(found, evidence=(*found.evidence, *others), fix=replace(found.fix, text=text))
    later = next_need(context, package, places, distribution)
    if later is None or (there is not None and not excluded_above(later, there.version)):
        return None
    spec = f"{distribution}{_with_upper(need, later)}"
    dated = newest_of_its_time(context, distribution, package, max(places)) if there is None else None
    text = (
        f"{package} limits {distribution} since {later.version}, to {later.wanted}: install {spec}, or a "
        f"newer {package}."
    )
    return Diagnosis(
        cause="requirement_violated",
        package=distribution,
        version=there.version if there else None,
        evidence=tuple(str(each) for each in (need, later, dated) if each is not None),
        fix=Fix(kind="install", text=text, command=f'pip install "{spec}"'),
    )


def _need(
    context: RuleContext, distribution: str, package: str, places: Sequence[int]
) -> RequirementEdge | None:
    """Return what the possible releases of a package all require of a distribution, or None."""
    found = (
        of_release(context, package, places[0], distribution)
        if len(places) == 1
        else agreed(context, package, places, distribution)
    )
    return next((each for each in ordered(found) if each.extra in USUAL), None)


def _with_upper(need: RequirementEdge | None, later: RequirementEdge) -> SpecifierSet:
    """Return the upper bound of a later requirement with the lower one of the release in use."""
    upper = [each for each in later.requirement.specifier if each.operator in ("<", "<=")]
    lower = list(need.requirement.specifier) if need is not None else []
    return SpecifierSet(",".join(map(str, [*upper, *lower])))
