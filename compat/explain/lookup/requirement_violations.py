"""Find the requirements of the known releases on a distribution, and those that its version violates."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from compat.explain.context import RuleContext
from compat.explain.lookup.module_paths import ALIASES, carriers, shipped_companions
from compat.model.releases import allows
from compat.requirements.graph import RequirementEdge, UnmetRequirement, edges_to, required_name
from compat.requirements.specifiers import disjoint, pinned

_EXTRA = re.compile(r"\bextra == ['\"]([\w.-]+)['\"]")
USUAL = ("", "srt", "runtime-common", "all", "openai")
"""The extras that people install, the most common first; the empty one stands for no extra."""


def demands(context: RuleContext, distribution: str) -> Iterator[RequirementEdge]:
    """Yield the requirements on a distribution: of known releases, then of distributions in tracebacks."""
    wanted = canonicalize_name(distribution)
    for package, at in context.release_indexes.items():
        yield from of_release(context, package, at, wanted)
    for package, releases in context.fitting_releases.items():
        if package not in context.release_indexes and releases:
            yield from agreed(context, package, releases, wanted)
    if context.environment is not None and context.environment_matches:
        for name, version in context.environment.versions.items():
            if name not in context.release_indexes and name in context.distributions_in_tracebacks:
                yield from edges_to(wanted, name, version, context.environment.requires(name))


def of_release(context: RuleContext, package: str, at: int, distribution: str) -> Iterator[RequirementEdge]:
    """Yield the requirements of one release on a distribution, without those of extras for other platforms.

    Such an extra has the name of another extra and a suffix: `srt-hip` beside `srt`.
    """
    lines = context.index.requires_dist(package, at)
    extras = {each for line in lines for each in _EXTRA.findall(line)}
    for edge in edges_to(
        canonicalize_name(distribution), package, context.index.versions(package)[at], lines
    ):
        base, _, suffix = edge.extra.rpartition("-")
        if base not in extras or (suffix == "hip" and context.contents.facts.platform == "ROCm"):
            yield edge


def agreed(
    context: RuleContext, package: str, releases: Sequence[int], distribution: str
) -> Iterator[RequirementEdge]:
    """Yield the requirements on a distribution that all of some releases have, joined where they differ."""
    found = [{each.extra: each for each in of_release(context, package, at, distribution)} for at in releases]
    versions = context.index.versions(package)
    for extra in found[0]:
        if not all(extra in each for each in found):
            continue
        specifiers = [each[extra].requirement.specifier for each in found]
        if any(disjoint(one, two) for one, two in combinations(dict.fromkeys(specifiers), 2)):
            continue
        requirement = Requirement(distribution)
        requirement.specifier = SpecifierSet(",".join(dict.fromkeys(map(str, specifiers))))
        span = f">={versions[releases[0]]},<={versions[releases[-1]]}"
        yield RequirementEdge(by=package, version=span, requirement=requirement, extra=extra)


def bounded_above(specifiers: SpecifierSet) -> bool:
    """Return whether specifiers exclude every version that is new enough."""
    return any(each.operator in ("<", "<=", "==", "===", "~=") for each in specifiers)


def excluded_above(edge: RequirementEdge, version: str) -> bool:
    """Return whether the upper bound of a requirement excludes a version."""
    above = [str(each) for each in edge.requirement.specifier if each.operator in ("<", "<=")]
    pin = pinned(edge.requirement.specifier)
    try:
        return not allows(SpecifierSet(",".join(above)), version) or (
            pin is not None and Version(version) > pin
        )
    except InvalidVersion:
        return False


def later_bound(
    context: RuleContext, package: str, releases: Sequence[int], distribution: str
) -> RequirementEdge | None:
    """Return the first requirement with an upper bound that a later release has, or None."""
    for at in range(max(releases) + 1, len(context.index.versions(package))):
        for edge in ordered(of_release(context, package, at, distribution)):
            if edge.extra in USUAL and bounded_above(edge.requirement.specifier):
                return edge
    return None


def next_need(
    context: RuleContext, package: str, releases: Sequence[int], distribution: str
) -> RequirementEdge | None:
    """Return the first requirement of a later release whose `<` or `<=` excludes a known version, or None."""
    companions = shipped_companions()
    versions = companions.versions(distribution) if companions is not None else ()
    for at in range(max(releases) + 1, len(context.index.versions(package))):
        for edge in ordered(of_release(context, package, at, distribution)):
            bounds = [str(each) for each in edge.requirement.specifier if each.operator in ("<", "<=")]
            upper = SpecifierSet(",".join(bounds))
            if edge.extra in USUAL and bounds and not all(allows(upper, each) for each in versions):
                return edge
    return None


def changed_needs(context: RuleContext, edge: RequirementEdge, at: int) -> Iterator[RequirementEdge]:
    """Yield the requirements of the releases after one that differ from those before them, in order."""
    last = edge
    for place in range(at + 1, len(context.index.versions(edge.by))):
        found = ordered(of_release(context, edge.by, place, edge.name))[:1]
        for other in found:
            if other.extra in USUAL and other.requirement.specifier != last.requirement.specifier:
                yield other
                last = other


def violated(context: RuleContext, distribution: str) -> UnmetRequirement | None:
    """Return the first requirement that the known version of a distribution violates."""
    known = context.known(distribution)
    if known is None:
        return None
    for edge in ordered(demands(context, distribution)):
        if not allows(edge.requirement.specifier, known.version) and not _nearly(edge, known.version):
            return UnmetRequirement(edge=edge, installed=known.version)
    return None


def own_needs(context: RuleContext, distribution: str) -> UnmetRequirement | None:
    """Return the first requirement of an installed distribution that another installed version violates."""
    environment = context.environment
    version = (
        environment.version(distribution) if environment is not None and context.environment_matches else None
    )
    if environment is None or version is None:
        return None
    lines = environment.requires(distribution)
    for name in dict.fromkeys(map(required_name, lines)):
        installed = environment.version(name)
        if installed is None:
            continue
        for edge in edges_to(name, distribution, version, lines):
            if not edge.extra and not allows(edge.requirement.specifier, installed):
                return UnmetRequirement(edge=edge, installed=installed)
    return None


def ordered(found: Iterable[RequirementEdge]) -> list[RequirementEdge]:
    """Return the requirements, those without an extra first, then those of common extras, then the others."""
    return sorted(found, key=lambda each: USUAL.index(each.extra) if each.extra in USUAL else len(USUAL))


def requirement_named(context: RuleContext, top: str, default: str) -> str:
    """Return the distribution that provides an import name, preferring one that the releases require."""
    plain = canonicalize_name(top)
    required = [
        [required_name(line) for line in context.index.requires_dist(package, at)]
        for package, at in context.release_indexes.items()
    ]
    stated = context.known(plain)
    # What a text calls `flashinfer` is also the known version of `flashinfer-python`.
    if stated is not None and context.known(default) in (None, stated):
        return default if any(default in names for names in required) else plain
    for names in required:
        if default in names:
            return default
        close = [
            name for name in names if name in (plain, f"{plain}-python", f"python-{plain}", f"py{plain}")
        ]
        if close:
            return close[0]
        carried = sorted(set(names).intersection(carriers(top)))
        if carried and top not in ALIASES:
            return carried[0]
    return default


def _nearly(edge: RequirementEdge, version: str) -> bool:
    """Return whether a version differs from a pin only in its patch release, which keeps all names."""
    pin = pinned(edge.requirement.specifier)
    try:
        return pin is not None and pin.major > 0 and pin.release[:2] == Version(version).release[:2]
    except InvalidVersion:
        return False
