"""Failures inside other packages, put down to the requirement that their version violates."""

from collections.abc import Iterator
from dataclasses import replace

from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import distribution_of, is_standard, top_of
from compat.explain.lookup.violated_requirements import (
    Demand,
    demands,
    own_needs,
    requirement_named,
    violated,
)
from compat.model.diagnosis import Diagnosis, Fix

_PYTHON_SYNTAX = ("SyntaxError", "IndentationError")


def python(raised: ExceptionInfo, case: RuleContext) -> Diagnosis | None:
    """Syntax that is too new for the Python that runs it."""
    if raised.kind not in _PYTHON_SYNTAX and "unsupported operand type(s) for |" not in raised.message:
        return None
    frame = next((frame for frame in reversed(raised.frames) if case.module(frame)), None)
    module = case.module(frame) if frame else None
    package = case.owner(module) if module else None
    at = case.release_index(package) if package else None
    running = case.contents.facts.python
    if package is None or at is None or running is None:
        return None
    release = case.index.releases(package)[at]
    demand = Demand.of_python(package, release.version, release.requires_python or "")
    if not demand.violated_by(f"{running}.99"):
        return None
    return Diagnosis(
        cause="requirement_violated",
        package="python",
        version=running,
        module=module,
        evidence=(raised.line, f"{demand}; the paths in the log are of Python {running}"),
        fix=Fix(kind="environment", text=f"Use a Python that is {demand.requirement.specifier}."),
    )


def importer(raised: ExceptionInfo, case: RuleContext) -> Diagnosis | None:
    """A package that lacks something of its own needs, and is itself not the version that is required."""
    asked = wanted(raised)
    top = top_of(raised.frames[-1].path) if raised.frames else None
    if asked is None or not asked.absent or top is None or top in case.index.owners:
        return None
    broken = violated(case, requirement_named(case, top, distribution_of(top)))
    return of_demand(broken[0], broken[1], _evidence(raised, case), asked) if broken else None


def third_party(raised: ExceptionInfo, case: RuleContext) -> Diagnosis | None:
    """A failure in a package that is not indexed, when its version is not what a release requires."""
    asked = wanted(raised)
    for distribution in _suspects(raised, case, asked):
        broken = violated(case, distribution)
        if broken:
            return of_demand(broken[0], broken[1], _evidence(raised, case), asked)
    for distribution in _suspects(raised, case, asked):
        broken = own_needs(case, distribution)
        if broken:
            return of_demand(broken[0], broken[1], _evidence(raised, case), asked)
    return _unbounded(raised, case, asked)


def _unbounded(raised: ExceptionInfo, case: RuleContext, asked: FailedImport | None) -> Diagnosis | None:
    """What another package lacks although nothing forbids its version: it is newer or older than meant."""
    if asked is None or (asked.absent and "." not in asked.absent) or not raised.frames:
        return None
    top = asked.module.partition(".")[0]
    if top in case.index.owners or is_standard(top):
        return None
    inner = case.module(raised.frames[-1])
    importer = top_of(raised.frames[-1].path) or (inner.partition(".")[0] if inner else None)
    if importer is None or importer == top:
        return None
    distribution = requirement_named(case, top, distribution_of(top))
    known = case.known(distribution)
    found = list(demands(case, distribution))
    lines = [*_evidence(raised, case), *(str(each) for each in found[:3])]
    lines.append(
        f"{distribution} {known.version}: {known.source}"
        if known
        else f"nothing tells which {distribution} is installed"
    )
    bounded = next((each for each in found if each.requirement.specifier), None)
    dated = dated_by(case, importer)
    if bounded and not known:
        return bounded_by(bounded, dated, lines, asked)
    if dated is None and importer in case.index.owners:
        text = (
            f"Install the {distribution} that this release of {importer} requires; `pip check` tells which."
        )
        return _to_check(distribution, text, lines, asked)
    if dated is None:
        text = (
            f"{importer} and {distribution} do not go together; `pip check` tells what is required of either."
        )
        return _to_check(distribution, text, lines, asked)
    package, date = dated
    subject = distribution if importer in case.index.owners else distribution_of(importer)
    text = f"Nothing bounds {subject}; take one of the time of {package} ({date})."
    return Diagnosis(
        cause="requirement_violated",
        package=subject,
        version=known_subject.version if (known_subject := case.known(subject)) else None,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=Fix(kind="install", text=text, command=f"uv pip install --exclude-newer {date} {subject}"),
    )


def bounded_by(
    demand: Demand, dated: tuple[str, str] | None, lines: list[str], asked: FailedImport
) -> Diagnosis:
    """Return that another version is required; where nothing bounds it from above, one of that time."""
    found = of_demand(demand, None, tuple(lines), asked)
    spec = demand.requirement.specifier
    if dated is None or any(each.operator not in (">=", ">", "!=") for each in spec):
        return found
    package, date = dated
    name = f"{canonicalize_name(demand.requirement.name)}{spec}"
    text = (
        f"Install {name} of the time of {package} ({date}): nothing keeps out later ones, which may lack it."
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


def dated_by(case: RuleContext, importer: str) -> tuple[str, str] | None:
    """Return a known release whose time the environment should be of, and its day."""
    packages = [p for p in case.index.owners.get(importer, []) if p in case.release_indexes]
    for package in (*packages, *case.release_indexes):
        release = case.index.releases(package)[case.release_indexes[package]]
        if release.uploaded:
            return f"{package} {release.version}", release.uploaded[:10]
    return None


def _suspects(raised: ExceptionInfo, case: RuleContext, asked: FailedImport | None) -> Iterator[str]:
    """Yield the distributions that may be to blame: what was asked, then who asked, from the inside out."""
    tops = (
        [asked.module.partition(".")[0]] if asked and not (asked.absent and "." not in asked.absent) else []
    )
    tops += [top for frame in reversed(raised.frames) if (top := top_of(frame.path))]
    for top in dict.fromkeys(tops):
        if top not in case.index.owners and not is_standard(top):
            yield requirement_named(case, top, distribution_of(top))


def _evidence(raised: ExceptionInfo, case: RuleContext) -> tuple[str, ...]:
    asking = next((frame for frame in reversed(raised.frames) if case.module(frame)), None)
    led = (f"{case.module(asking)} leads there: `{asking.source}`",) if asking and asking.source else ()
    return (raised.line, *led)


def of_demand(
    demand: Demand, version: str | None, evidence: tuple[str, ...], asked: FailedImport | None
) -> Diagnosis:
    """Return that a demand is violated, by the version that is there as far as it is known."""
    name = canonicalize_name(demand.requirement.name)
    spec = f"{name}{demand.requirement.specifier}"
    line = f"{demand}; installed is {version}" if version else str(demand)
    return violation(name, version, spec, tuple(dict.fromkeys((*evidence, line))), asked)


def violation(
    name: str, version: str | None, spec: str, evidence: tuple[str, ...], asked: FailedImport | None = None
) -> Diagnosis:
    """Return that what is there of a distribution is not what is required."""
    return Diagnosis(
        cause="requirement_violated",
        package=canonicalize_name(name),
        version=version,
        module=asked.module if asked else None,
        symbol=asked.names[0] if asked and asked.names else None,
        evidence=evidence,
        fix=Fix(kind="install", text=f"Install what is required: {spec}.", command=f'pip install "{spec}"'),
    )
