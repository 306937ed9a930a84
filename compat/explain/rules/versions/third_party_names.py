"""A rule for names that a third-party package lacks, by the releases of sglang and vllm that import them."""

import re
from collections.abc import Iterable

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.importers import first_without_import, imports
from compat.explain.lookup.module_paths import distribution_of, is_standard
from compat.explain.lookup.requirement_violations import (
    bounded_above,
    excluded_above,
    later_bound,
    of_release,
    ordered,
    requirement_named,
)
from compat.explain.rules.versions.violated_requirements import dated_by
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM, allows
from compat.requirements.graph import RequirementEdge

_WHILE = re.compile(r"\b(?:loading|importing) ((?:vllm|sglang)(?:\.\w+)+): ")


def imported_by_a_release(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a missing name of another package that the known release, or some release, imports."""
    asked = wanted(exception)
    if asked is None or asked.partial or (exception.frames and not context.module(exception.frames[-1])):
        return None
    top = asked.module.partition(".")[0]
    if top in (SGLANG, VLLM) or is_standard(top):
        return None
    found = _loading(context, exception) or (_asking(context, exception, asked) if asked.names else None)
    if not found:
        return None
    package, places, module = found
    distribution = requirement_named(context, top, distribution_of(top))
    needs = [
        need
        for at in reversed(places)
        if (need := next(iter(ordered(of_release(context, package, at, distribution))), None))
    ]
    there = context.known(distribution)
    lines = [exception.line, *_imported_by(context, found, needs)]
    if there:
        lines.append(f"{distribution} {there.version}: {there.source}")
    known = context.known(package)
    newer = (
        first_without_import(context, package, places, asked.module, asked.names[0]) if asked.names else None
    )
    dated = dated_by(context, module.partition(".")[0]) if known else None
    return Diagnosis(
        cause="requirement_violated",
        package=distribution,
        version=there.version if there else None,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=_fix(context, (package, places, distribution), needs, newer, dated),
    )


def _fix(
    context: RuleContext,
    what: tuple[str, list[int], str],
    needs: list[RequirementEdge],
    newer: str | None,
    dated: tuple[str, str] | None,
) -> Fix:
    """Return the fix: the version that the importing releases require, newest of them first in `needs`."""
    package, places, distribution = what
    there = context.known(distribution)
    end = f" {package} {newer} and later no longer import it." if newer else ""
    if not needs and there:
        text = (
            f"The {distribution} that Python imports lacks the name, and no requirement limits it: reinstall "
            f"{distribution} {there.version}, since another copy may hide it.{end}"
        )
        return Fix(kind="environment", text=text)
    if not needs:
        text = (
            f"{package} does not require {distribution} itself: install the version that fits its "
            f"requirements.{end}"
        )
        return Fix(kind="install", text=text, command="pip check")
    broken = next((each for each in needs if there and not _allowed(each, there.version)), None)
    later = None if broken else later_bound(context, package, places, distribution)
    if later is not None and (there is None or not excluded_above(later, there.version)):
        later = None
    if broken and there and context.known(package) is None:
        broken = _range_without(context, distribution, there.version) or broken
    if broken or later:
        by = broken or later or needs[0]
        spec = by.wanted
        text = f"Install {spec}, as {by.by} {by.version} requires.{end}"
        return Fix(kind="install", text=text, command=f'pip install "{spec}"')
    if there and dated:
        text = (
            f"No requirement excludes this {distribution}: install one that is not newer than {dated[0]} "
            f"({dated[1]}), or reinstall it: Python may import another copy than {there.version}.{end}"
        )
        command = f"uv pip install --exclude-newer {dated[1]} {distribution}"
        return Fix(kind="install", text=text, command=command)
    oldest = needs[-1]
    lowest = next(
        (each.version for each in oldest.requirement.specifier if each.operator in (">=", "==", "~=")), ""
    )
    if there is None and lowest:
        spec = f"{distribution}>={lowest}"
        if len(needs) == 1 or dated:
            spec = oldest.wanted
        date = (
            f" --exclude-newer {dated[1]}"
            if dated and not bounded_above(oldest.requirement.specifier)
            else ""
        )
        text = f"Install {spec}: {oldest.by} {oldest.version} imports it and requires {oldest.wanted}.{end}"
        command = f'uv pip install{date} "{spec}"' if date else f'pip install "{spec}"'
        return Fix(kind="install", text=text, command=command)
    text = f'Install the {distribution} that your release of {package} requires; "pip check" names it.{end}'
    return Fix(kind="install", text=text, command="pip check")


def _range_without(context: RuleContext, distribution: str, version: str) -> RequirementEdge | None:
    """Return the newest requirement of any release that is a range and excludes a version, or None."""
    for package in (VLLM, SGLANG):
        for at in reversed(range(len(context.index.versions(package)))):
            for edge in of_release(context, package, at, distribution):
                is_range = any(each.operator == "<" for each in edge.requirement.specifier)
                if is_range and excluded_above(edge, version):
                    return edge
    return None


def _allowed(edge: RequirementEdge, version: str) -> bool:
    return allows(edge.requirement.specifier, version)


def _imported_by(
    context: RuleContext, found: tuple[str, list[int], str], needs: list[RequirementEdge]
) -> list[str]:
    """Return the evidence: the release that imports the name, or all that do with their requirements."""
    package, places, module = found
    known, versions = context.known(package), context.index.versions(package)
    if known:
        return [f"{module} of {package} {versions[places[-1]]} imports it ({known.source})"]
    span = " to ".join(dict.fromkeys((versions[places[0]], versions[places[-1]])))
    line = f"{module} imports it in {package} {span}; the release of {package} is unknown"
    return [line, *dict.fromkeys(str(each) for each in (*needs[-1:], *needs[:1]))]


def _loading(context: RuleContext, exception: ExceptionInfo) -> tuple[str, list[int], str] | None:
    """Return the same as `_asking`, for a message that names the module being loaded."""
    found = _WHILE.search(exception.text)
    package = context.owner(found[1]) if found else None
    if package is None or not found:
        return None
    at = context.release_index(package)
    there = context.history.flags(package, found[1], "")
    places = [
        place for place in (context.candidate_releases(package) if at is None else [at]) if there[place]
    ]
    return (package, places, found[1]) if places else None


def _asking(
    context: RuleContext, exception: ExceptionInfo, asked: FailedImport
) -> tuple[str, list[int], str] | None:
    """Return the package that imports a name, its releases that do so, and the module in the last of them."""
    module = context.module(exception.frames[-1]) if exception.frames else None
    asking = context.owner(module) if module else None
    packages = sorted(
        context.index.packages, key=lambda name: (name != asking, name not in context.release_indexes)
    )
    chosen = {name: context.release_index(name) for name in packages}
    for package in packages:
        at = chosen[package]
        found = _among(context, package, context.candidate_releases(package) if at is None else [at], asked)
        if found:
            return found
    for (
        package
    ) in packages:  # the release in use does not import it: another project does, as other releases do
        found = _among(context, package, range(len(context.index.versions(package))), asked)
        if found:
            return found
    return None


def _among(
    context: RuleContext, package: str, releases: Iterable[int], asked: FailedImport
) -> tuple[str, list[int], str] | None:
    places, module = [], ""
    for place in releases:
        home = imports(context, package, place, asked.module, asked.names[0])
        if home is not None:
            module = home
            places.append(place)
    return (package, places, module) if places else None
