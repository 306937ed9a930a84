"""A rule for names that a third-party package lacks, if the log has no traceback of the import."""

import re

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import distribution_of, is_standard
from compat.explain.lookup.requirement_violations import of_release, requirement_named
from compat.explain.rules.violated_requirements import bounded_by, dated_by, of_unmet
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM, allows
from compat.model.symbols import location
from compat.requirements.graph import RequirementEdge, UnmetRequirement

_WHILE = re.compile(r"\b(?:loading|importing) ((?:vllm|sglang)(?:\.\w+)+): ")


def imported_by_a_release(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a missing name of another package that the known release, or some release, imports."""
    asked = wanted(exception)
    if asked is None or asked.partial or exception.frames:
        return None
    top = asked.module.partition(".")[0]
    if top in (SGLANG, VLLM) or is_standard(top):
        return None
    found = _loading(context, exception) or (_asking(context, asked) if asked.names else None)
    if not found:
        return None
    package, places, module = found
    distribution = requirement_named(context, top, distribution_of(top))
    needs = [
        need
        for at in reversed(places)
        if (need := next(of_release(context, package, at, distribution), None))
    ]
    need = needs[0] if needs else None
    known, there = context.known(package), context.known(distribution)
    lines = [exception.line, *_imported_by(context, found, needs)]
    if there:
        lines.append(f"{distribution} {there.version}: {there.source}")
    same = len(needs) == len(places) and len({each.requirement.specifier for each in needs}) == 1
    dated = dated_by(context, module.partition(".")[0]) if known else None
    text = f'Install the {distribution} that this release of {package} requires; "pip check" names it.'
    command = "pip check"
    if need is None:
        text = (
            f"{package} does not require {distribution} itself: install the version that fits its "
            "requirements."
        )
    elif need.requirement.specifier and (known or same):
        if there is None:
            return bounded_by(need, dated, lines, asked)
        if not allows(need.requirement.specifier, there.version):
            return of_unmet(UnmetRequirement(edge=need, installed=there.version), tuple(lines), asked)
        lines.append(f"{need}, which this version satisfies")
        if dated:
            text = (
                f"No requirement excludes this {distribution}: install one that is not newer than {dated[0]} "
                f"({dated[1]})."
            )
            command = f"uv pip install --exclude-newer {dated[1]} {distribution}"
    return Diagnosis(
        cause="requirement_violated",
        package=distribution,
        version=there.version if there else None,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=Fix(kind="install", text=text, command=command),
    )


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


def _asking(context: RuleContext, asked: FailedImport) -> tuple[str, list[int], str] | None:
    """Return the package that imports a name, its releases that do so, and the module in the last of them."""
    for package in sorted(context.index.packages, key=lambda name: name not in context.release_indexes):
        at = context.release_index(package)
        places, module = [], ""
        for place in context.candidate_releases(package) if at is None else [at]:
            homes = context.index.binders(asked.names[0], package, place)
            home = next((each for each in homes if _imports(context, (package, place), each, asked)), None)
            if home is not None:
                module = home
                places.append(place)
        if places:
            return package, places, module
    return None


def _imports(context: RuleContext, release: tuple[str, int], module: str, asked: FailedImport) -> bool:
    """Return whether a module of a release imports the name from the given module."""
    branches = context.index.branches(module, asked.names[0], *release)
    return any(branch.target == location(asked.module, asked.names[0]) for branch in branches)
