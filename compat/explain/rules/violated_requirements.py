"""Rules for failures in third-party packages whose version violates a requirement."""

from collections.abc import Iterator
from dataclasses import replace

from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import distribution_of, is_standard, top_of
from compat.explain.lookup.requirement_violations import (
    demands,
    own_needs,
    requirement_named,
    violated,
)
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import allows
from compat.requirements.graph import RequirementEdge, UnmetRequirement
from compat.requirements.specifiers import python_specifier

_PYTHON_SYNTAX = ("SyntaxError", "IndentationError")


def python_too_old(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose syntax that is too new for the running Python."""
    if exception.kind not in _PYTHON_SYNTAX and "unsupported operand type(s) for |" not in exception.message:
        return None
    frame = next((frame for frame in reversed(exception.frames) if context.module(frame)), None)
    module = context.module(frame) if frame else None
    package = context.owner(module) if module else None
    at = context.release_index(package) if package else None
    running = context.contents.facts.python
    if package is None or at is None or running is None:
        return None
    release = context.index.releases(package)[at]
    spec = python_specifier(release.requires_python)
    if allows(spec, f"{running}.99"):
        return None
    asked = f"{package} {release.version} requires python{spec}"
    return Diagnosis(
        cause="requirement_violated",
        package="python",
        version=running,
        module=module,
        evidence=(exception.line, f"{asked}; the paths in the log belong to Python {running}"),
        fix=Fix(kind="environment", text=f"Use Python {spec}."),
    )


def importing_package(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a package that fails to import a dependency, and whose own version violates a requirement."""
    asked = wanted(exception)
    top = top_of(exception.frames[-1].path) if exception.frames else None
    if asked is None or not asked.absent or top is None or top in context.index.owners:
        return None
    broken = violated(context, requirement_named(context, top, distribution_of(top)))
    return of_unmet(broken, _evidence(exception, context), asked) if broken else None


def third_party_package(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a failure in a package that is not indexed and whose version violates a requirement."""
    asked = wanted(exception)
    for distribution in _suspects(exception, context, asked):
        broken = violated(context, distribution)
        if broken:
            return of_unmet(broken, _evidence(exception, context), asked)
    for distribution in _suspects(exception, context, asked):
        broken = own_needs(context, distribution)
        if broken:
            return of_unmet(broken, _evidence(exception, context), asked)
    return _unbounded(exception, context, asked)


def _unbounded(
    exception: ExceptionInfo, context: RuleContext, asked: FailedImport | None
) -> Diagnosis | None:
    """Diagnose a name that a package lacks although its version violates no requirement."""
    if asked is None or (asked.absent and "." not in asked.absent) or not exception.frames:
        return None
    top = asked.module.partition(".")[0]
    if top in context.index.owners or is_standard(top):
        return None
    inner = context.module(exception.frames[-1])
    importer = top_of(exception.frames[-1].path) or (inner.partition(".")[0] if inner else None)
    if importer is None or importer == top:
        return None
    distribution = requirement_named(context, top, distribution_of(top))
    known = context.known(distribution)
    found = list(demands(context, distribution))
    lines = [*_evidence(exception, context), *(str(each) for each in found[:3])]
    lines.append(
        f"{distribution} {known.version}: {known.source}"
        if known
        else f"the installed version of {distribution} is unknown"
    )
    bounded = next((each for each in found if each.requirement.specifier), None)
    dated = dated_by(context, importer)
    if bounded and not known:
        return bounded_by(bounded, dated, lines, asked)
    if dated is None and importer in context.index.owners:
        text = f'Install the {distribution} that this release of {importer} requires; "pip check" names it.'
        return _to_check(distribution, text, lines, asked)
    if dated is None:
        text = (
            f"The installed versions of {importer} and {distribution} do not go together; "
            '"pip check" lists what they require.'
        )
        return _to_check(distribution, text, lines, asked)
    package, date = dated
    subject = distribution if importer in context.index.owners else distribution_of(importer)
    text = f"No requirement limits {subject}: install a version that is not newer than {package} ({date})."
    return Diagnosis(
        cause="requirement_violated",
        package=subject,
        version=known_subject.version if (known_subject := context.known(subject)) else None,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=Fix(kind="install", text=text, command=f"uv pip install --exclude-newer {date} {subject}"),
    )


def bounded_by(
    edge: RequirementEdge, dated: tuple[str, str] | None, lines: list[str], asked: FailedImport
) -> Diagnosis:
    """Return the diagnosis of a violated requirement; without an upper bound, the fix limits the date."""
    found = of_unmet(UnmetRequirement(edge=edge, installed=None), tuple(lines), asked)
    spec = edge.requirement.specifier
    if dated is None or any(each.operator not in (">=", ">", "!=") for each in spec):
        return found
    package, date = dated
    name = f"{edge.name}{spec}"
    text = (
        f"Install a {name} that is not newer than {package} ({date}): no requirement excludes later "
        "versions, which may lack the name."
    )
    command = f'uv pip install --exclude-newer {date} "{name}"'
    return replace(found, fix=Fix(kind="install", text=text, command=command))


def _to_check(distribution: str, text: str, lines: list[str], asked: FailedImport) -> Diagnosis:
    return Diagnosis(
        cause="requirement_violated",
        package=distribution,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=Fix(kind="install", text=text, command="pip check"),
    )


def dated_by(context: RuleContext, importer: str) -> tuple[str, str] | None:
    """Return a known release, as text, and its release date, preferring a release of the importer."""
    packages = [p for p in context.index.owners.get(importer, []) if p in context.release_indexes]
    for package in (*packages, *context.release_indexes):
        release = context.index.releases(package)[context.release_indexes[package]]
        if release.uploaded:
            return f"{package} {release.version}", release.uploaded[:10]
    return None


def _suspects(exception: ExceptionInfo, context: RuleContext, asked: FailedImport | None) -> Iterator[str]:
    """Yield the distributions that may be at fault: the imported one, then importing ones from the inside."""
    tops = (
        [asked.module.partition(".")[0]] if asked and not (asked.absent and "." not in asked.absent) else []
    )
    tops += [top for frame in reversed(exception.frames) if (top := top_of(frame.path))]
    for top in dict.fromkeys(tops):
        if top not in context.index.owners and not is_standard(top):
            yield requirement_named(context, top, distribution_of(top))


def _evidence(exception: ExceptionInfo, context: RuleContext) -> tuple[str, ...]:
    asking = next((frame for frame in reversed(exception.frames) if context.module(frame)), None)
    led = (f"reached from {context.module(asking)}: `{asking.source}`",) if asking and asking.source else ()
    return (exception.line, *led)


def of_unmet(unmet: UnmetRequirement, evidence: tuple[str, ...], asked: FailedImport | None) -> Diagnosis:
    """Return the diagnosis of an unmet requirement."""
    edge, version = unmet.edge, unmet.installed
    spec = f"{edge.name}{edge.requirement.specifier}"
    line = f"{edge}; {version} is installed" if version else str(edge)
    return violation(edge.name, version, spec, tuple(dict.fromkeys((*evidence, line))), asked)


def violation(
    name: str, version: str | None, spec: str, evidence: tuple[str, ...], asked: FailedImport | None = None
) -> Diagnosis:
    """Return the diagnosis of a distribution whose version violates a requirement."""
    return Diagnosis(
        cause="requirement_violated",
        package=canonicalize_name(name),
        version=version,
        module=asked.module if asked else None,
        symbol=asked.names[0] if asked and asked.names else None,
        evidence=evidence,
        fix=Fix(kind="install", text=f"Install the required {spec}.", command=f'pip install "{spec}"'),
    )
