"""Failures inside other packages, put down to the requirement that their version violates."""

import re
from collections.abc import Iterator

from packaging.utils import canonicalize_name

from compat.diagnoses import Diagnosis, Fix
from compat.explain.case import Case
from compat.explain.failure import Raised
from compat.explain.messages import Wanted, wanted
from compat.explain.places import distribution_of, is_standard, top_of
from compat.explain.requirements import Demand, demands, own_needs, requirement_named, violated

_CLASH = re.compile(
    r"\b([\w.-]{1,80}) (\d\S{0,40}) requires ([\w.-]{1,80})(?:\[[^\]]{0,80}\])?"
    r"([^,]\S{0,80}(?:,\S{1,80}){0,4}), "
    r"but you have ([\w.-]{1,80}) (\S{1,40}) which is incompatible"
)
_NORMAL = re.compile(
    r"\b([\w.-]{1,80}?)([<>=!~]\S{1,80}) is required for a normal functioning of this module, "
    r"but found ([\w.-]{1,80}?)==(\d[\w.+!-]{0,40}\w)"
)
_CORE = re.compile(
    r"installed ([\w.-]+) version \((\d[\w.+!-]*)\) is incompatible with the current ([\w.-]+) version, "
    r"which requires (\d[\w.+!-]*)"
)
_NUMPY = re.compile(
    r"compiled using NumPy 1\.x|_ARRAY_API not found|numpy\.dtype size changed|numpy\.ufunc size changed"
    r"|numpy\.core\.multiarray failed to import"
)
_PYTHON_SYNTAX = ("SyntaxError", "IndentationError")


def said(raised: Raised, case: Case) -> Diagnosis | None:
    """A message that names the requirement itself: pip's complaint, or transformers' check of its own."""
    found = _NORMAL.search(raised.text) if "for a normal functioning" in raised.text else None
    if found:
        checker = top_of(raised.frames[-1].path) if raised.frames else None
        broken = violated(case, distribution_of(checker)) if checker else None
        if broken:
            return _of_demand(broken[0], broken[1], (raised.line,), None)
        return _violation(found[1], found[4], f"{found[1]}{found[2]}", (raised.line,))
    found = _CORE.search(raised.text)
    if found:
        version = found[4].rstrip(".")
        return _violation(found[1], found[2], f"{found[1]}=={version}", (raised.line,))
    found = _CLASH.search(raised.text) if "but you have" in raised.text else None
    if found:
        spec = f"{found[3]}{found[4].strip()}"
        return _violation(found[3], found[6], spec, (f"{found[1]} {found[2]} requires {spec}",))
    return None


def numpy(raised: Raised, case: Case) -> Diagnosis | None:
    """Compiled code that was built for another generation of numpy."""
    found = _NUMPY.search(raised.text)
    if not found:
        return None
    broken = violated(case, "numpy")
    if broken:
        return _of_demand(broken[0], broken[1], (raised.line,), None)
    return Diagnosis(
        cause="abi_mismatch",
        package="numpy",
        version=known.version if (known := case.known("numpy")) else None,
        evidence=(raised.line, f"“{found[0]}”: an extension was built for another generation of numpy"),
        fix=Fix(
            kind="install",
            text="Install the numpy that the extension was built for, or a newer build of the extension.",
            command='pip install "numpy<2"',
        ),
    )


def python(raised: Raised, case: Case) -> Diagnosis | None:
    """Syntax that is too new for the Python that runs it."""
    if raised.kind not in _PYTHON_SYNTAX and "unsupported operand type(s) for |" not in raised.message:
        return None
    frame = next((frame for frame in reversed(raised.frames) if case.module(frame)), None)
    module = case.module(frame) if frame else None
    package = case.owner(module) if module else None
    at = case.position(package) if package else None
    running = case.report.facts.python
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


def importer(raised: Raised, case: Case) -> Diagnosis | None:
    """A package that lacks something of its own needs, and is itself not the version that is required."""
    asked = wanted(raised)
    top = top_of(raised.frames[-1].path) if raised.frames else None
    if asked is None or not asked.absent or top is None or top in case.index.owners:
        return None
    broken = violated(case, requirement_named(case, top, distribution_of(top)))
    return _of_demand(broken[0], broken[1], _evidence(raised, case), asked) if broken else None


def third_party(raised: Raised, case: Case) -> Diagnosis | None:
    """A failure in a package that is not indexed, when its version is not what a release requires."""
    asked = wanted(raised)
    for distribution in _suspects(raised, case, asked):
        broken = violated(case, distribution)
        if broken:
            return _of_demand(broken[0], broken[1], _evidence(raised, case), asked)
    for distribution in _suspects(raised, case, asked):
        broken = own_needs(case, distribution)
        if broken:
            return _of_demand(broken[0], broken[1], _evidence(raised, case), asked)
    return _unbounded(raised, case, asked)


def _unbounded(raised: Raised, case: Case, asked: Wanted | None) -> Diagnosis | None:
    """What another package lacks although nothing forbids its version: it is newer or older than meant."""
    if asked is None or (asked.absent and "." not in asked.absent) or not raised.frames:
        return None
    top = asked.module.partition(".")[0]
    if top in case.index.owners or is_standard(top):
        return None
    importer = top_of(raised.frames[-1].path)
    if importer is None or importer == top:
        return None
    distribution = requirement_named(case, top, distribution_of(top))
    known = case.known(distribution)
    found = list(demands(case, distribution))
    lines = [*_evidence(raised, case), *(str(each) for each in found[:3])]
    lines.append(
        f"{distribution} {known.version} is {known.source}"
        if known
        else f"nothing tells which {distribution} is installed"
    )
    bounded = next((each for each in found if each.requirement.specifier), None)
    if bounded and not known:
        return _of_demand(bounded, None, tuple(lines), asked)
    dated = _dated(case, importer)
    if dated is None and importer in case.index.owners:
        text = (
            f"Install the {distribution} that this release of {importer} requires; `pip check` tells which."
        )
        return Diagnosis(
            cause="requirement_violated",
            package=distribution,
            module=asked.module,
            symbol=asked.names[0] if asked.names else None,
            evidence=tuple(lines),
            fix=Fix(kind="install", text=text, command="pip check"),
        )
    if dated is None:
        return None
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


def _dated(case: Case, importer: str) -> tuple[str, str] | None:
    """Return a known release whose time the environment should be of, and its day."""
    packages = [p for p in case.index.owners.get(importer, []) if p in case.positions]
    for package in (*packages, *case.positions):
        release = case.index.releases(package)[case.positions[package]]
        if release.uploaded:
            return f"{package} {release.version}", release.uploaded[:10]
    return None


def _suspects(raised: Raised, case: Case, asked: Wanted | None) -> Iterator[str]:
    """Yield the distributions that may be to blame: what was asked, then who asked, from the inside out."""
    tops = (
        [asked.module.partition(".")[0]] if asked and not (asked.absent and "." not in asked.absent) else []
    )
    tops += [top for frame in reversed(raised.frames) if (top := top_of(frame.path))]
    for top in dict.fromkeys(tops):
        if top not in case.index.owners and not is_standard(top):
            yield requirement_named(case, top, distribution_of(top))


def _evidence(raised: Raised, case: Case) -> tuple[str, ...]:
    asking = next((frame for frame in reversed(raised.frames) if case.module(frame)), None)
    led = (f"{case.module(asking)} leads there: `{asking.source}`",) if asking and asking.source else ()
    return (raised.line, *led)


def _of_demand(
    demand: Demand, version: str | None, evidence: tuple[str, ...], asked: Wanted | None
) -> Diagnosis:
    name = canonicalize_name(demand.requirement.name)
    spec = f"{name}{demand.requirement.specifier}"
    line = f"{demand}; installed is {version}" if version else str(demand)
    return _violation(name, version, spec, (*evidence, line), asked)


def _violation(
    name: str, version: str | None, spec: str, evidence: tuple[str, ...], asked: Wanted | None = None
) -> Diagnosis:
    return Diagnosis(
        cause="requirement_violated",
        package=canonicalize_name(name),
        version=version,
        module=asked.module if asked else None,
        symbol=asked.names[0] if asked and asked.names else None,
        evidence=evidence,
        fix=Fix(kind="install", text=f"Install what is required: {spec}.", command=f'pip install "{spec}"'),
    )
