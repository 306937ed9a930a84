"""Requirements that the environment does not meet: what is asked for, extras and markers evaluated for it."""

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compat.doctor.inspected_environment import InspectedEnvironment
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import KERNELS, SGLANG, allows

RUNTIME_EXTRAS = {SGLANG: ("srt",)}
"""Extras without which a package has no run time: sglang's, up to 0.5.3; later ones have no such extra."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One requirement that is not met."""

    by: str
    """The distribution that asks, canonical."""
    by_version: str
    requirement: Requirement
    """Without its marker."""
    installed: str | None
    """The version that is there, if any."""

    @property
    def name(self) -> str:
        """The distribution that is asked for, canonical."""
        return canonicalize_name(self.requirement.name)

    def __str__(self) -> str:
        there = f"{self.installed} is installed" if self.installed else "it is not installed"
        wanted = f"{self.requirement.name}{self.requirement.specifier}"
        return f"{self.by} {self.by_version} requires {wanted}, {there}"

    def diagnosis(self, *evidence: str, fix: Fix | None = None) -> Diagnosis:
        """Return it as a finding."""
        wanted = f"{self.requirement.name}{self.requirement.specifier}"
        return Diagnosis(
            cause="requirement_violated" if self.installed else "package_missing",
            package=self.name,
            version=self.installed,
            evidence=(str(self), *evidence),
            fix=fix or Fix(kind="install", text=f"install {wanted}", command=f"pip install '{wanted}'"),
        )


def violations(examined: InspectedEnvironment) -> tuple[Violation, ...]:
    """Return the requirements that are not met, of the covered packages and of all that they bring along.

    What nobody asks for is not looked at, and neither are extras that nobody asks for.
    """
    queue: list[tuple[str, str]] = []
    for package in examined.releases:
        queue += [(package, extra) for extra in ("", *RUNTIME_EXTRAS.get(canonicalize_name(package), ()))]
    seen = set(queue)
    found: dict[tuple[str, str], Violation] = {}
    while queue:
        by, extra = queue.pop(0)
        for requirement in _asked(examined, by, extra):
            name = canonicalize_name(requirement.name)
            installed = examined.packages.version(name)
            if installed is None or not allows(requirement.specifier, installed):
                found.setdefault((by, str(requirement)), _violation(examined, by, requirement, installed))
            if installed is not None:
                wanted = [(name, each) for each in ("", *sorted(requirement.extras))]
                queue += [each for each in wanted if each not in seen]
                seen.update(wanted)
    return tuple(found.values())


def closure(examined: InspectedEnvironment) -> tuple[str, ...]:
    """Return the covered packages and all installed distributions that they ask for, the nearest first."""
    found = dict.fromkeys(examined.releases)
    queue = list(found)
    while queue:
        by = queue.pop(0)
        for requirement in examined.requires(by):
            name = str(canonicalize_name(requirement.name))
            if name not in found and examined.packages.version(name) is not None:
                found[name] = None
                queue.append(name)
    return tuple(found)


def demands(examined: InspectedEnvironment, by: str, name: str) -> tuple[Violation, ...]:
    """Return what a distribution asks of another one, met or not, with what is installed."""
    wanted = canonicalize_name(name)
    return tuple(
        _violation(examined, by, requirement, examined.packages.version(wanted))
        for extra in ("", *RUNTIME_EXTRAS.get(canonicalize_name(by), ()))
        for requirement in _asked(examined, by, extra)
        if canonicalize_name(requirement.name) == wanted
    )


def _asked(examined: InspectedEnvironment, by: str, extra: str) -> Iterator[Requirement]:
    """Yield what a distribution asks for in this environment: by itself, or for an extra beyond that."""
    for requirement in examined.requires(by):
        if requirement.url:
            continue
        plain = _holds(examined, requirement, "")
        if plain if not extra else (not plain and _holds(examined, requirement, extra)):
            yield requirement


def _holds(examined: InspectedEnvironment, requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**examined.markers, "extra": extra})
    except ValueError:  # a variable or a comparison that does not exist
        return False


def _violation(
    examined: InspectedEnvironment, by: str, requirement: Requirement, installed: str | None
) -> Violation:
    version = examined.packages.version(by) or ""
    return Violation(by=by, by_version=version, requirement=requirement, installed=installed)


def asked(examined: InspectedEnvironment) -> frozenset[str]:
    """Return the names of all distributions that the covered packages, or what they bring along, ask for."""
    return frozenset(
        str(canonicalize_name(requirement.name))
        for by in closure(examined)
        for extra in ("", *RUNTIME_EXTRAS.get(canonicalize_name(by), ()))
        for requirement in _asked(examined, by, extra)
    )


def matters(violation: Violation, examined: InspectedEnvironment) -> bool:
    """Return whether a violation matters by itself; another one does when an import stumbles over it.

    Kernels are made for one release of sglang: another build imports well, and fails when it is called.
    """
    return violation.name in KERNELS and violation.by in examined.releases
