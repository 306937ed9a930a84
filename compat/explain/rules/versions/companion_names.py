"""A rule for names and modules of a third-party package that only some of its releases have."""

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from compat.explain.context import Known, RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.companion_releases import (
    CompanionReleases,
    asking_lines,
    importing_releases,
    in_every_release,
    indirect_needs,
    releases_with,
)
from compat.explain.lookup.module_paths import distribution_of, is_standard, top_of
from compat.explain.lookup.requirement_violations import (
    USUAL,
    demands,
    of_release,
    ordered,
    requirement_named,
    violated,
)
from compat.explain.rules.versions.violated_requirements import evidence
from compat.model.diagnosis import Diagnosis, Fix
from compat.requirements.graph import RequirementEdge


def in_other_releases(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a name or module of another package that only some of its releases have."""
    asked = wanted(exception)
    top = asked.module.partition(".")[0] if asked else ""
    if asked is None or asked.partial or asked.absent == top or top in context.index.owners:
        return None
    if is_standard(top):
        return None
    distribution = requirement_named(context, top, distribution_of(top))
    found = releases_with(context, distribution, asked)
    there = context.known(distribution)
    if there is not None and found is not None and found.has(there.version):
        if not context.is_only_claimed(distribution):
            return None
        there = None  # the text speaks of another one
    if found is None:
        return _in_all_releases(exception, context, distribution, asked)
    importer = _third_party_importer(exception, context, top)
    if importer and violated(context, importer) and not violated(context, distribution):
        return None  # the version of what imports it is the cause
    needs = [
        each
        for each in ordered(demands(context, distribution))
        if each.extra in USUAL and each.requirement.specifier
    ]
    more = [*needs, *(each for each in indirect_needs(context, distribution) if each.requirement.specifier)]
    specifiers = [each.requirement.specifier for each in more]
    if not needs or not set(found.admitted(specifiers)).isdisjoint(found.having):
        needs = more
    lines = [*evidence(exception, context), f"{found.target} is in {found.span}"]
    if there:
        side = "older" if found.is_older(there.version) else "newer"
        lines.append(f"{distribution} {there.version}: {there.source}; it is {side} than those")
    lines += [str(each) for each in needs[:2]]
    if not context.release_indexes:
        lines += asking_lines(context, found.distribution, found.target)
    return Diagnosis(
        cause="requirement_violated",
        package=distribution,
        version=there.version if there else None,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=_within(context, found, needs, importer, there),
    )


def _in_all_releases(
    exception: ExceptionInfo, context: RuleContext, distribution: str, asked: FailedImport
) -> Diagnosis | None:
    """Diagnose a name that every release of a package has: what Python imports is not whole or another."""
    target = in_every_release(distribution, asked)
    top = asked.module.partition(".")[0]
    if target is None or (exception.frames and top_of(exception.frames[-1].path) == top):
        return None
    there, hidden = context.known(distribution), asked.attribute and asked.module == top
    name = asked.names[0] if asked.names else ""
    statement = f"from {asked.module} import {name}" if name else f"import {asked.module}"
    fix = Fix(
        kind="environment",
        text=f"{asked.module} hides why: it imports its parts when they are asked for, and one of them "
        f"failed, or the installation of {distribution} is incomplete. The command shows the first error.",
        command=f'python -c "{statement}"',
    )
    if hidden:
        fix = Fix(
            kind="environment",
            text=f"Python imports another {top} than that of {distribution}, or what an aborted installation "
            "left of it: the command prints which. Rename a file or folder of that name, or uninstall "
            f"{distribution}, delete its folder, and install it again.",
            command=f'python -c "import {top}; print({top}.__file__, {top}.__path__)"',
        )
    return Diagnosis(
        cause="shadowed_module" if hidden else "unknown",
        package=distribution,
        version=there.version if there else None,
        module=asked.module,
        symbol=name or None,
        evidence=(*evidence(exception, context), f"every known release of {distribution} has {target}"),
        fix=fix,
    )


def _third_party_importer(exception: ExceptionInfo, context: RuleContext, top: str) -> str | None:
    """Return the distribution of the failing line if that is neither ours nor the package itself."""
    inner = top_of(exception.frames[-1].path) if exception.frames else None
    if inner is None or inner == top or inner in context.index.owners or is_standard(inner):
        return None
    return requirement_named(context, inner, distribution_of(inner))


def _within(
    context: RuleContext,
    found: CompanionReleases,
    needs: list[RequirementEdge],
    importer: str | None,
    there: Known | None,
) -> Fix:
    """Return the fix: the nearest release that has the location and that the requirements admit."""
    installed = there.version if there else None
    end = _no_longer(context, found)
    if importer:
        end = f" Or install a release of {importer}, which imports it, for the present {found.distribution}."
    admitted = found.admitted([each.requirement.specifier for each in needs])
    choice = set(admitted).intersection(found.having)
    if not choice:
        return _disjoint(context, found, needs)
    spec = found.spec(choice, installed)
    if not needs:
        known = [f"{name} {context.index.versions(name)[at]}" for name, at in context.release_indexes.items()]
        text = f"Install {spec}, which has it: no requirement of {' or '.join(known)} limits it.{end}"
        if not known:
            text = (
                f"Install {spec}, which has it, if your release of sglang or vllm admits it; with "
                f"--sglang or --vllm, the answer takes that release into account.{end}"
            )
        return Fix(kind="install", text=text, command=f'pip install "{spec}"')
    by = next((each for each in needs if set(found.admitted([each.requirement.specifier])) <= choice), None)
    if by is not None:  # each release that the requirement admits has it
        text = f"Install the required {by.wanted}.{end}"
        return Fix(kind="install", text=text, command=f'pip install "{by.wanted}"')
    text = f"Install {spec}: it has what is missing, and {needs[0].by} admits it.{end}"
    return Fix(kind="install", text=text, command=f'pip install "{spec}"')


def _disjoint(context: RuleContext, found: CompanionReleases, needs: list[RequirementEdge]) -> Fix:
    """Return the fix where no release that has the location fits the requirements: one side must change."""
    usable = [at for at in found.having if at not in found.withdrawn] or list(found.having)
    needed = found.spec(usable, None)
    if not needs:
        running = context.contents.facts.python
        text = f"What imports it needs {needed}, which does not run on Python {running}: use another Python."
        return Fix(kind="environment", text=text)
    excluding = (
        each for each in needs if set(usable).isdisjoint(found.admitted([each.requirement.specifier]))
    )
    text = (
        f"What imports it needs {needed}, but {next(excluding, needs[0])}: install a release of it that is "
        "made for the required version"
    )
    for by in needs:
        if by.by not in context.release_indexes:
            continue
        versions = context.index.versions(by.by)
        here = context.release_indexes[by.by]
        fitting = [
            at
            for at in range(len(versions))
            if not Version(versions[at]).is_prerelease
            and not set(usable).isdisjoint(
                found.admitted(_specifiers(context, by.by, at, found.distribution))
            )
        ]
        if fitting:
            other = versions[min(fitting, key=lambda at: (abs(at - here), at))]
            text += f", or {by.by} {other}, which admits {needed}"
        break
    return Fix(kind="environment", text=f"{text}.")


def _specifiers(context: RuleContext, package: str, at: int, distribution: str) -> list[SpecifierSet]:
    edges = of_release(context, package, at, distribution)
    return [each.requirement.specifier for each in edges if each.extra in USUAL]


def _no_longer(context: RuleContext, found: CompanionReleases) -> str:
    """Return which release no longer asks for a location that a known release asks for, as a sentence."""
    for package, at in context.release_indexes.items():
        asking = importing_releases(context, package, found.target)
        versions = context.index.versions(package)
        later = (each for each in range(at + 1, len(versions)) if each not in asking)
        free = next((versions[each] for each in later if not Version(versions[each]).is_prerelease), None)
        if at in asking and free is not None:
            return f" {package} {free} no longer imports it."
    return ""
