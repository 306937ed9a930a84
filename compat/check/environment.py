"""The environment to check: the releases that are named, and those that metadata adds to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat._cli.text import listed
from compat.companions.reader import Companions
from compat.errors import UsageError
from compat.index.reader import Index
from compat.model.releases import PACKAGES, SGLANG, VLLM, allows, marker_variables
from compat.requirements.graph import RequirementGraph, edges_to, required_name
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of
from compat.requirements.release_summary import PYTHON
from compat.requirements.specifiers import pinned

_ROUNDS = 12
"""How often the releases are chosen again, as each choice changes the requirements of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedEnvironment:
    """The releases of an environment, as far as they are known."""

    versions: Mapping[str, str]
    """Canonical distribution name to version."""
    assumed: frozenset[str] = frozenset()
    """The distributions that nobody named: their versions are the newest that metadata admits."""
    unread: frozenset[str] = frozenset()
    """Required distributions whose releases are not known."""
    provided: frozenset[str] | None = None
    """All top-level modules that are installed; None if not known."""
    complete: bool = False
    """Whether nothing else is installed."""
    requirements: Mapping[str, Sequence[tuple[str, SpecifierSet]]] = field(default_factory=dict)
    """What the releases require, by required distribution: each with the distribution that requires it."""
    notes: tuple[str, ...] = ()
    python: str = PYTHON


@dataclass(slots=True)
class Completion:
    """Adds to named releases what their metadata requires, in the newest release that all of it admits."""

    named: Mapping[str, str]
    specifiers: Mapping[str, SpecifierSet]
    """Further restrictions that the user gives: `transformers>=4.50`."""
    index: Index
    companions: Companions
    python: str
    complete: bool = False
    """Whether the named releases are all that is installed: then nothing is added."""
    provided: frozenset[str] | None = None
    """All top-level modules that are installed; None if not known."""
    notes: list[str] = field(default_factory=list)
    excluded: dict[str, set[str]] = field(default_factory=dict)
    _extras: dict[str, frozenset[str]] = field(default_factory=dict)
    _pinned: set[str] = field(default_factory=set)
    """What sglang or vllm pin: that is not changed for the sake of others."""
    """Releases of distributions that nobody named, which refuse a release that others require."""

    def run(self) -> CheckedEnvironment:
        """Return the completed environment."""
        chosen: dict[str, str] = {}
        asked: dict[str, list[tuple[str, SpecifierSet]]] = {}
        for _ in range(1 if self.complete else _ROUNDS):
            asked = self._asked({**chosen, **self.named})
            wanted = sorted(
                {*asked, *self.specifiers} & self.companions.distributions.keys() - self.named.keys()
            )
            before, chosen = chosen, {}
            for name in () if self.complete else wanted:
                version = self._newest(name, asked.get(name, []))
                if version is not None:
                    chosen[name] = version
            if not self._exclude(chosen, asked) and chosen == before:
                break
        self._note_conflicts(chosen, asked)
        self._note_refused(asked)
        self._note_unjudged(chosen, asked)
        return CheckedEnvironment(
            versions=dict(sorted({**chosen, **self.named}.items())),
            assumed=frozenset(chosen),
            unread=frozenset() if self.complete else self._unread(chosen, asked),
            provided=self.provided,
            complete=self.complete,
            requirements=asked,
            notes=tuple(self.notes),
            python=self.python,
        )

    def _unread(self, chosen: Mapping[str, str], asked: Iterable[str]) -> frozenset[str]:
        """Return what may be installed in a release that is not known.

        A release that is not known requires about what the newest one does.
        """
        versions = {**chosen, **self.named}
        implied = {
            required_name(line)
            for name, version in versions.items()
            if name in self.companions.distributions and self.companions.release_index(name, version) is None
            for line in self.companions.requires_dist(name, len(self.companions.versions(name)) - 1)
        }
        return frozenset({*asked, *implied} - versions.keys())

    @property
    def _variables(self) -> dict[str, str]:
        return marker_variables(self.python, 0)

    def _asked(self, versions: Mapping[str, str]) -> dict[str, list[tuple[str, SpecifierSet]]]:
        """Return what the releases require, by distribution, each with the one that requires it."""
        found: dict[str, list[tuple[str, SpecifierSet]]] = {}
        for package in (SGLANG, VLLM):
            if package in versions and self.index.knows(package, versions[package]):
                wants = self._roots(package, versions[package])
                self._extras.update((str(name), each) for name, each in wants.extras_of.items())
                for name, specifier in wants.wants.items():
                    found.setdefault(name, []).append((package, specifier))
                    if pinned(specifier) is not None:
                        self._pinned.add(name)
        others = {
            name: version
            for name, version in versions.items()
            if name in self.companions.distributions
            and self.companions.release_index(name, version) is not None
        }
        graph = RequirementGraph(others, lambda name: self._lines(name, others[name]), self._variables)
        extras = [(name, extra) for name, each in self._extras.items() for extra in sorted(each)]
        start = [*((name, "") for name in sorted(others)), *extras]
        # Of a release that does not fit the others, an installer would take another, without its extras.
        for edge in graph.walk(start, met_extras=not self.complete):
            if edge.by in others:
                found.setdefault(edge.name, []).append((edge.by, edge.requirement.specifier))
        return {name: each for name, each in found.items() if name not in PACKAGES}

    def _roots(self, package: str, version: str) -> ReleaseRequirements:
        at = self.index.release_index(package, version, package)
        key = package, at, self.python
        if key not in _ROOTS:
            row = self.index.releases(package)[at]
            _ROOTS[key] = requirements_of(canonicalize_name(package), row, self.python)
        return _ROOTS[key]

    def _lines(self, name: str, version: str) -> tuple[str, ...]:
        at = self.companions.release_index(name, version)
        return () if at is None else self.companions.requires_dist(name, at)

    def _newest(self, name: str, asked: Sequence[tuple[str, SpecifierSet]]) -> str | None:
        """Return the newest release that all requirements admit, or else one that sglang or vllm admits."""
        if name not in self.companions.read:
            pins = [each for _, specifier in asked if (each := pinned(specifier)) is not None]
            return str(pins[0]) if pins else self.companions.versions(name)[-1]
        own = self.specifiers.get(name, SpecifierSet())
        firm = {*PACKAGES, *self.named, *self._pinned}
        stages = (
            [specifier for _, specifier in asked],
            [specifier for by, specifier in asked if by in firm],
            [specifier for by, specifier in asked if by in PACKAGES],
        )
        for stage in stages:
            found = self._newest_in(name, _joined([own, *stage]))
            if found is not None:
                return found
        # Where sglang and vllm exclude each other, the newer side is taken, as `compat pairs` does.
        sides = [self._newest_in(name, _joined([own, each])) for each in stages[-1]]
        known = max(filter(None, sides), key=Version, default=None)
        is_pinned = any(pinned(each) is not None for each in stages[-1])
        return known if known is not None or is_pinned else self._newest_in(name, own)

    def _exclude(
        self, chosen: Mapping[str, str], asked: Mapping[str, list[tuple[str, SpecifierSet]]]
    ) -> bool:
        """Exclude releases of unnamed distributions that refuse a chosen one; return whether any does."""
        before = sum(map(len, self.excluded.values()))
        for name, version in {**chosen, **self.named}.items():
            for by, specifier in asked.get(name, ()):
                if by in chosen.keys() - self._pinned and not allows(specifier, version):
                    refusing = {
                        each
                        for each in self.companions.versions(by)
                        if self._refuses(by, each, name, version)
                    }
                    if len(refusing) < len(self.companions.versions(by)):
                        self.excluded.setdefault(by, set()).update(refusing)
        return sum(map(len, self.excluded.values())) > before

    def _refuses(self, by: str, at: str, name: str, version: str) -> bool:
        edges = edges_to(name, by, at, self._lines(by, at))
        return any(not edge.extra and not allows(edge.requirement.specifier, version) for edge in edges)

    def _newest_in(self, name: str, specifier: SpecifierSet) -> str | None:
        yanked = self.companions.yanked(name)
        pythons = self.companions.requires_python(name)
        versions = self.companions.versions(name)
        exact = any(each.operator == "==" for each in specifier)
        for at in range(len(versions) - 1, -1, -1):
            version = Version(versions[at])
            if not specifier.contains(version, prereleases=True) or versions[at] in self.excluded.get(
                name, ()
            ):
                continue
            if exact or not (at in yanked or version.is_prerelease or not _runs(pythons[at], self.python)):
                return versions[at]
        return None

    def _note_conflicts(
        self, chosen: Mapping[str, str], asked: Mapping[str, list[tuple[str, SpecifierSet]]]
    ) -> None:
        for name, version in chosen.items():
            if name not in self.companions.read:
                continue  # only its newest release is known
            refused = [
                f"{by} requires {name}{specifier}"
                for by, specifier in asked.get(name, ())
                if not specifier.contains(Version(version), prereleases=True)
            ]
            if refused:
                self.notes.append(
                    f"no release of {name} meets all requirements; {version} is taken ({'; '.join(refused)})"
                )

    def _note_refused(self, asked: Mapping[str, list[tuple[str, SpecifierSet]]]) -> None:
        """Say which named releases another distribution does not admit, which many imports survive.

        What sglang and vllm ask for is judged by what they import.
        """
        refused = [
            f"{by} requires {name}{specifier}, not {self.named[name]}"
            for name in sorted(self.named.keys() & asked.keys() - {*PACKAGES})
            for by, specifier in asked[name]
            if by not in PACKAGES and not allows(specifier, self.named[name])
        ]
        if refused:
            self.notes.append(
                f"requirements of metadata that are not met, with unknown effect: {listed(refused, 8)}"
            )

    def _note_unjudged(
        self, chosen: Mapping[str, str], asked: Mapping[str, list[tuple[str, SpecifierSet]]]
    ) -> None:
        """Say of which named releases nothing is known, and what metadata says of them."""
        exact = {name: f" {version}" for name, version in self.named.items() if name not in PACKAGES}
        pins = () if self.complete else self._pinned
        free = {
            name: str(each)
            for name, each in [
                *(
                    (name, specifier)
                    for name in pins
                    for by, specifier in asked.get(name, ())
                    if by in PACKAGES
                ),
                *self.specifiers.items(),
            ]
            if name not in {*chosen, *self.named}
        }
        for name, version in sorted({**free, **exact}.items()):
            if name not in asked or name not in self.companions.read:
                continue  # nothing that is read imports from it
            if name in exact and self.companions.release_index(name, self.named[name]) is not None:
                continue
            known = self.companions.versions(name)
            refused = [
                f"{by} requires {name}{specifier}"
                for by, specifier in asked[name]
                if name in exact and by in PACKAGES and not allows(specifier, self.named[name])
            ]
            since = f"the known releases are {known[0]} to {known[-1]}" if known else "no release is known"
            why = [f"since {since}", *refused]
            self.notes.append(f"not judged: what is imported from {name}{version}, {'; '.join(why)}")


_ROOTS: dict[tuple[str, int, str], ReleaseRequirements] = {}


def _joined(specifiers: Iterable[SpecifierSet]) -> SpecifierSet:
    return SpecifierSet(",".join(filter(None, map(str, specifiers))))


def _runs(requires_python: str | None, python: str) -> bool:
    try:
        return SpecifierSet(requires_python or "").contains(f"{python}.99", prereleases=True)
    except ValueError:
        return True


def select_releases(
    requirements: Iterable[Requirement], index: Index
) -> tuple[dict[str, str], dict[str, SpecifierSet]]:
    """Return the versions that requirements name, and the specifiers that leave a choice.

    A requirement for sglang or vllm without an exact version selects the newest release that it admits.

    Raises:
        UsageError: a release of sglang or vllm does not exist, or two requirements contradict each other.
    """
    named: dict[str, str] = {}
    specifiers: dict[str, SpecifierSet] = {}
    together: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        together.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    for name, (first, *more) in together.items():
        requirement = _all_at_once(first, more) if more else first
        pins = {each.version for each in requirement.specifier if _is_pin(each.operator, each.version)}
        refused = pins and not any(requirement.specifier.contains(pin, prereleases=True) for pin in pins)
        if refused:
            raise UsageError(f"{requirement}: no release meets these requirements together; keep one")
        if name in PACKAGES and name in index.packages:
            named[name] = _indexed(name, requirement, index)
        elif pins:
            named[name] = min(pins)
        else:
            specifiers[name] = requirement.specifier
    return named, specifiers


def _all_at_once(first: Requirement, more: Iterable[Requirement]) -> Requirement:
    """Return one requirement for several of the same name."""
    every = {str(each) for requirement in (first, *more) for each in requirement.specifier}
    return Requirement(f"{first.name}{','.join(sorted(every))}")


def _is_pin(operator: str, version: str) -> bool:
    return operator in ("==", "===") and not version.endswith(".*")


def _indexed(name: str, requirement: Requirement, index: Index) -> str:
    versions = index.versions(name)
    admitted = [each for each in versions if requirement.specifier.contains(Version(each), prereleases=True)]
    final = [each for each in admitted if not Version(each).is_prerelease]
    if not admitted:
        pins = [each.version for each in requirement.specifier if _is_pin(each.operator, each.version)]
        if pins:
            return versions[index.release_index(name, pins[0], str(requirement))]
        raise UsageError(f"{requirement}: no indexed release of {name} meets it (newest: {versions[-1]})")
    return (final or admitted)[-1]
