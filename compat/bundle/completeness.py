"""Whether a site is complete: every requirement of what it holds is in it, or is the runner's."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat.bundle.provided import Package, find
from compat.model.releases import marker_variables

LAST = 99
"""The release of the runner's Python that is assumed: the last."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Unmet:
    """A requirement that neither the bundle nor the runner meets."""

    package: NormalizedName
    """Who asks."""
    requirement: str
    found: Version | None
    """What the runner has instead; None when there is nothing."""


def unmet(
    site: Path,
    roots: Collection[Requirement],
    provided: tuple[Package, ...],
    *,
    python: str,
    excused: Collection[str] = (),
) -> list[Unmet]:
    """Return what is missing, sorted.

    Args:
        site: the folder with the installed distributions.
        roots: what the pair asks for, with extras.
        provided: what the runner has.
        python: `X.Y` of the runner.
        excused: names that the pair overrides, so that their absence is meant.
    """
    carried = {canonicalize_name(one.name): one for one in distributions(path=[str(site)])}
    environment = marker_variables(python, LAST)
    asked = _with_extras(carried, roots, environment)
    found = set()
    for name, extras in asked.items():
        for requirement in _requires(carried[name], extras, environment):
            needed = canonicalize_name(requirement.name)
            if needed in carried or needed in excused:
                continue  # the lock settled which version of it
            has = find(needed, provided)
            if has is None:
                found.add(Unmet(package=name, requirement=str(requirement), found=None))
            elif has.version and not requirement.specifier.contains(has.version, prereleases=True):
                found.add(Unmet(package=name, requirement=str(requirement), found=has.version))
    return sorted(found, key=lambda one: (one.package, one.requirement))


def _with_extras(
    carried: Mapping[NormalizedName, Distribution],
    roots: Collection[Requirement],
    environment: Mapping[str, str],
) -> dict[NormalizedName, frozenset[str]]:
    """Return every carried package with the extras that the roots, or others for them, ask of it."""
    asked: dict[NormalizedName, frozenset[str]] = dict.fromkeys(carried, frozenset())
    waiting = list(roots)
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = frozenset(requirement.extras)
        if name not in carried or (name, extras) in seen:
            continue
        seen.add((name, extras))
        asked[name] |= extras
        waiting += _requires(carried[name], extras, environment)
    return asked


def _requires(
    distribution: Distribution, extras: Collection[str], environment: Mapping[str, str]
) -> list[Requirement]:
    kept = []
    for line in distribution.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # an installer has read it in its own way, or the lock would not be there
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            kept.append(requirement)
    return kept
