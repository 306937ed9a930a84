"""Rules for failures in third-party packages whose version violates a requirement."""

import re
from collections.abc import Iterator
from dataclasses import replace

from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.importers import possible_releases
from compat.explain.lookup.module_paths import distribution_of, is_standard, top_of
from compat.explain.lookup.requirement_violations import (
    demands,
    excluded_above,
    later_bound,
    of_release,
    ordered,
    own_needs,
    requirement_named,
    violated,
)
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM, allows
from compat.model.symbols import split_location
from compat.requirements.graph import RequirementEdge, UnmetRequirement
from compat.requirements.specifiers import python_specifier

_NO_ATTRIBUTE = re.compile(r"has no attribute '?(\w{2,80})'?")
_UNEXPECTED = re.compile(r"^(\w{1,80})\(\) got an unexpected keyword argument")
_HIDDEN = re.compile(r"Could not import module '\w{1,80}'\. Are this object's requirements defined correctly")
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
    return of_unmet(broken, evidence(exception, context), asked) if broken else None


def third_party_package(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a failure in a package that is not indexed and whose version violates a requirement."""
    asked = wanted(exception)
    for distribution in _suspects(exception, context, asked):
        broken = violated(context, distribution)
        if broken:
            return of_unmet(broken, evidence(exception, context), asked)
    for distribution in _suspects(exception, context, asked):
        broken = own_needs(context, distribution)
        if broken:
            return of_unmet(broken, evidence(exception, context), asked)
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
    lines = [*evidence(exception, context), *(str(each) for each in found[:3])]
    lines.append(
        f"{distribution} {known.version}: {known.source}"
        if known
        else f"the installed version of {distribution} is unknown"
    )
    bounded = next((each for each in found if each.requirement.specifier), None)
    dated = dated_by(context, importer)
    if bounded and not known:
        return bounded_by(bounded, dated, lines, asked)
    if inner and any(possible_releases(context, owner) for owner in context.index.owners.get(importer, ())):
        limit = _limited_later(exception, context, distribution, lines, asked)
        if limit is not None:
            return limit
    if importer in context.index.owners and not bounded:
        return None  # the releases that import the name may tell more
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


def _limited_later(
    exception: ExceptionInfo, context: RuleContext, distribution: str, lines: list[str], asked: FailedImport
) -> Diagnosis | None:
    """Return the diagnosis of an installed version that only a later release excludes, or None."""
    known = context.known(distribution)
    fix = older_or_newer(context, exception, distribution, bound=True)
    if known is None or fix.kind == "none":
        return None
    return Diagnosis(
        cause="requirement_violated",
        package=distribution,
        version=known.version,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=fix,
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


def older_or_newer(
    context: RuleContext, exception: ExceptionInfo, distribution: str, *, bound: bool = False
) -> Fix:
    """Return the fix for a distribution that is newer than a release of sglang or vllm expects.

    Args:
        context: the log and what is known about it.
        exception: the failure.
        distribution: the distribution that is too new.
        bound: whether the first upper bound of a later release may be given.
    """
    modules = [module for frame in exception.frames if (module := context.module(frame))]
    owners = [owner for module in reversed(modules) if (owner := context.owner(module))]
    for package in dict.fromkeys((*owners, *context.release_indexes)):
        releases = possible_releases(context, package)
        if not releases:
            continue
        edge = later_bound(context, package, releases, distribution) if bound else None
        known = context.known(distribution)
        if edge is not None and known is not None and not excluded_above(edge, known.version):
            edge = None
        if edge is not None:
            spec = f"{distribution}{edge.requirement.specifier}"
            text = (
                f"{package} limits {distribution} since {edge.version}, to {spec}: install that, or a newer "
                f"{package}."
            )
            return Fix(kind="install", text=text, command=f'pip install "{spec}"')
        release = context.index.releases(package)[max(releases)]
        if release.uploaded:
            date = release.uploaded[:10]
            text = (
                f"Install a {distribution} that is not newer than {package} {release.version} ({date}), or a "
                f"newer {package}."
            )
            command = f"uv pip install --exclude-newer {date} {distribution}"
            return Fix(kind="install", text=text, command=command)
    return Fix(kind="none", text=f"Install the {distribution} that your release requires.")


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


def attribute(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an attribute that sglang or vllm reads of a third package's object, and that it lacks."""
    found = _NO_ATTRIBUTE.search(exception.message) if exception.kind == "AttributeError" else None
    if not found or len(exception.frames) < 2:
        return None
    top, ours = top_of(exception.frames[-1].path), exception.frames[-2]
    if top is None or top in context.index.owners or is_standard(top) or not context.module(ours):
        return None
    if "torch.ops" in ours.source:
        return None  # an operator, which an extension registers
    if not re.search(rf"\.{found[1]}\b", ours.source):
        return None
    distribution = requirement_named(context, top, distribution_of(top))
    broken = violated(context, distribution)
    if broken:
        return of_unmet(broken, evidence(exception, context), None)
    known, needs = context.known(distribution), ordered(demands(context, distribution))
    return Diagnosis(
        cause="requirement_violated",
        package=distribution,
        version=known.version if known else None,
        module=context.module(ours),
        evidence=(*evidence(exception, context), *(str(each) for each in needs[:2])),
        fix=older_or_newer(context, exception, distribution, bound=True),
    )


def call(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a call in sglang or vllm of a third package's function that does not take an argument."""
    found = _UNEXPECTED.search(exception.message) if exception.kind == "TypeError" else None
    frame = exception.frames[-1] if exception.frames else None
    module = context.module(frame) if frame else None
    package = context.owner(module) if module else None
    if not found or module is None or package is None:
        return None
    for at in reversed(context.candidate_releases(package)):
        for branch in context.index.branches(module, found[1], package, at):
            top = split_location(branch.target or "")[0].partition(".")[0]
            if not top or top in context.index.owners or is_standard(top):
                continue
            distribution = requirement_named(context, top, distribution_of(top))
            return _of_call(exception, context, (package, at), distribution)
    return None


def _of_call(
    exception: ExceptionInfo, context: RuleContext, release: tuple[str, int], distribution: str
) -> Diagnosis | None:
    broken = violated(context, distribution)
    if broken:
        return of_unmet(broken, evidence(exception, context), None)
    package, at = release
    need = next(iter(ordered(demands(context, distribution))), None)
    need = need or next(iter(ordered(of_release(context, package, at, distribution))), None)
    if need is None or not need.requirement.specifier:
        return None
    return of_unmet(UnmetRequirement(edge=need, installed=None), evidence(exception, context), None)


def model_code(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a model's own code that imports what the release's transformers does not have."""
    asked = wanted(exception)
    frame = exception.frames[-1] if exception.frames else None
    if asked is None or frame is None or "/transformers_modules/" not in frame.path:
        return None
    name = asked.module.partition(".")[0]
    lines = [exception.line, f"the code of the model asks for it: {frame.path}"]
    others: list[str] = []
    for package in (SGLANG, VLLM):
        releases = possible_releases(context, package)
        if not releases:
            continue
        need = next(iter(ordered(of_release(context, package, releases[-1], name))), None)
        if need is not None:
            lines.append(str(need))
            others += _other_needs(context, package, releases[-1], need)
    if len(lines) == 2:
        return None
    text = f"The model's code is for another {name} than this release requires"
    text += f": use a release that requires another one ({', '.join(others)})." if others else "."
    return Diagnosis(
        cause="requirement_violated",
        package=name,
        module=asked.module,
        symbol=asked.names[0] if asked.names else None,
        evidence=tuple(lines),
        fix=Fix(kind="install", text=text),
    )


def _other_needs(context: RuleContext, package: str, at: int, need: RequirementEdge) -> Iterator[str]:
    """Yield the nearest releases before and after one whose requirement on a distribution is another."""
    count = len(context.index.versions(package))
    for places in (range(at - 1, -1, -1), range(at + 1, count)):
        for place in places:
            other = next(iter(ordered(of_release(context, package, place, need.name))), None)
            if other is not None and other.requirement.specifier != need.requirement.specifier:
                yield str(other)
                break


def hidden_import(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a lazy import that hides its cause by the listed versions that a known release excludes."""
    if not _HIDDEN.search(exception.text):
        return None
    for name in context.contents.facts.versions():
        broken = violated(context, name)
        if broken:
            return of_unmet(broken, (exception.line,), None)
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


def evidence(exception: ExceptionInfo, context: RuleContext) -> tuple[str, ...]:
    """Return the line of an exception, and the module of sglang or vllm that led there."""
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
