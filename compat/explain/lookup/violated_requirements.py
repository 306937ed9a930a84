"""What the releases at hand require of other distributions, and which of it is violated."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from compat.explain.context import RuleContext
from compat.model.releases import allows

_EXTRA = re.compile(r"extra == ['\"]([\w.-]+)['\"]")

USUAL = ("", "srt", "runtime-common", "all", "openai")
"""The extras that people install, the most usual first; empty for what is always required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One requirement of one release."""

    package: str
    version: str
    requirement: Requirement
    extra: str = ""
    """The extra that it belongs to; empty when the release always requires it."""

    def __str__(self) -> str:
        extra = f"[{self.extra}]" if self.extra else ""
        spec = str(self.requirement.specifier) or ", any version"
        return f"{self.package}{extra} {self.version} requires {self.requirement.name}{spec}"

    @classmethod
    def of_python(cls, package: str, version: str, spec: str) -> "Demand":
        """Return the Requires-Python of a release as a requirement."""
        return cls(package=package, version=version, requirement=Requirement(f"python{spec}"))

    def violated_by(self, version: str) -> bool:
        """Return whether a version of the distribution is not what is required."""
        return not allows(self.requirement.specifier, version)

    def nearly(self, version: str) -> bool:
        """Return whether a pin is missed by no more than a patch release, in which no name comes or goes."""
        pins = [
            Version(each.version)
            for each in self.requirement.specifier
            if each.operator == "==" and "*" not in each.version
        ]
        try:
            there = Version(version)
        except InvalidVersion:
            return False
        return bool(pins) and all(pin.release[:2] == there.release[:2] and pin.major > 0 for pin in pins)


def demands(case: RuleContext, distribution: str) -> Iterator[Demand]:
    """Yield what is required of a distribution: by the known releases, then by what else is installed."""
    wanted = canonicalize_name(distribution)
    for package, at in case.release_indexes.items():
        yield from of_release(case, package, at, wanted)
    if case.environment is not None and case.fits:
        for name, version in case.environment.versions.items():
            if name not in case.release_indexes and name in case.involved:
                yield from _matching(name, version, case.environment.requires(name), wanted)


def of_release(case: RuleContext, package: str, at: int, distribution: str) -> Iterator[Demand]:
    """Yield what one release requires of a distribution."""
    lines = case.index.requires_dist(package, at)
    yield from _matching(package, case.index.versions(package)[at], lines, canonicalize_name(distribution))


def violated(case: RuleContext, distribution: str) -> tuple[Demand, str] | None:
    """Return the first requirement that the known version of a distribution violates, with that version."""
    known = case.known(distribution)
    if known is None:
        return None
    found = ordered(demands(case, distribution))
    broken = (each for each in found if each.violated_by(known.version) and not each.nearly(known.version))
    return next(((each, known.version) for each in broken), None)


def own_needs(case: RuleContext, distribution: str) -> tuple[Demand, str] | None:
    """Return what an installed distribution requires and does not have, with the version that is there."""
    environment = case.environment
    version = environment.version(distribution) if environment is not None and case.fits else None
    if environment is None or version is None:
        return None
    lines = environment.requires(distribution)
    for name in dict.fromkeys(_name(line) for line in lines):
        installed = environment.version(name)
        for demand in _matching(distribution, version, lines, name):
            if not demand.extra and installed is not None and demand.violated_by(installed):
                return demand, installed
    return None


def ordered(found: Iterable[Demand]) -> list[Demand]:
    """Return demands by how usual they are: always required, by the usual extras, by any other."""
    return sorted(found, key=lambda each: USUAL.index(each.extra) if each.extra in USUAL else len(USUAL))


def requirement_named(case: RuleContext, top: str, default: str) -> str:
    """Return the distribution that provides an import name, by the names that the releases require."""
    plain = canonicalize_name(top)
    for package, at in case.release_indexes.items():
        names = [_name(line) for line in case.index.requires_dist(package, at)]
        if default in names:
            return default
        close = [
            name for name in names if name in (plain, f"{plain}-python", f"python-{plain}", f"py{plain}")
        ]
        if close:
            return close[0]
    return default


def _matching(package: str, version: str, lines: tuple[str, ...], wanted: str) -> Iterator[Demand]:
    for line in lines:
        if _name(line) != wanted:
            continue
        extras = _EXTRA.findall(line)
        try:
            requirement = Requirement(line)
            marker = requirement.marker
            applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
        except ValueError:  # no requirement, or a marker that cannot be decided
            continue
        if applies:
            yield Demand(
                package=package, version=version, requirement=requirement, extra=extras[0] if extras else ""
            )


def _name(line: str) -> str:
    found = re.match(r"[\w.-]+", line)
    return canonicalize_name(found[0]) if found else ""
