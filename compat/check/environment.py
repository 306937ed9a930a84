"""The environment to check: the releases that are named, and those that metadata adds to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat.companions.reader import Companions
from compat.errors import UsageError
from compat.index.reader import Index
from compat.model.releases import PACKAGES, SGLANG, VLLM, marker_variables
from compat.requirements.graph import RequirementGraph
from compat.requirements.release_requirements import requirements_of
from compat.requirements.release_summary import PYTHON

_ROUNDS = 8
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
            if chosen == before:
                break
        self._note_conflicts(chosen, asked)
        return CheckedEnvironment(
            versions=dict(sorted({**chosen, **self.named}.items())),
            assumed=frozenset(chosen),
            unread=frozenset(asked.keys() - chosen.keys() - self.named.keys() if not self.complete else ()),
            provided=self.provided,
            complete=self.complete,
            requirements=asked,
            notes=tuple(self.notes),
            python=self.python,
        )

    @property
    def _variables(self) -> dict[str, str]:
        return marker_variables(self.python, 0)

    def _asked(self, versions: Mapping[str, str]) -> dict[str, list[tuple[str, SpecifierSet]]]:
        """Return what the releases require, by distribution, each with the one that requires it."""
        found: dict[str, list[tuple[str, SpecifierSet]]] = {}
        for package in (SGLANG, VLLM):
            if package in versions and self.index.knows(package, versions[package]):
                for name, specifier in self._roots(package, versions[package]).items():
                    found.setdefault(name, []).append((package, specifier))
        others = {
            name: version
            for name, version in versions.items()
            if name in self.companions.distributions
            and self.companions.release_index(name, version) is not None
        }
        graph = RequirementGraph(others, lambda name: self._lines(name, others[name]), self._variables)
        for name in sorted(others):
            for edge in graph.edges(name):
                found.setdefault(edge.name, []).append((name, edge.requirement.specifier))
        return {name: each for name, each in found.items() if name not in PACKAGES}

    def _roots(self, package: str, version: str) -> Mapping[str, SpecifierSet]:
        at = self.index.release_index(package, version, package)
        key = package, at
        if key not in _ROOTS:
            row = self.index.releases(package)[at]
            wants = requirements_of(canonicalize_name(package), row, self.python).wants
            _ROOTS[key] = {str(name): specifier for name, specifier in wants.items()}
        return _ROOTS[key]

    def _lines(self, name: str, version: str) -> tuple[str, ...]:
        at = self.companions.release_index(name, version)
        return () if at is None else self.companions.requires_dist(name, at)

    def _newest(self, name: str, asked: Iterable[tuple[str, SpecifierSet]]) -> str | None:
        """Return the newest release that all requirements admit, or else one that sglang or vllm admits."""
        own = self.specifiers.get(name, SpecifierSet())
        for by in ((each for _, each in asked), (each for who, each in asked if who in PACKAGES), ()):
            specifier = SpecifierSet(",".join(str(each) for each in [own, *by] if str(each)))
            found = self._newest_in(name, specifier)
            if found is not None:
                return found
        return None

    def _newest_in(self, name: str, specifier: SpecifierSet) -> str | None:
        yanked = self.companions.yanked(name)
        pythons = self.companions.requires_python(name)
        versions = self.companions.versions(name)
        pinned = any(each.operator == "==" for each in specifier)
        for at in range(len(versions) - 1, -1, -1):
            version = Version(versions[at])
            if not specifier.contains(version, prereleases=True):
                continue
            if pinned or not (at in yanked or version.is_prerelease or not _runs(pythons[at], self.python)):
                return versions[at]
        return None

    def _note_conflicts(
        self, chosen: Mapping[str, str], asked: Mapping[str, list[tuple[str, SpecifierSet]]]
    ) -> None:
        for name, version in chosen.items():
            refused = [
                f"{by} requires {name}{specifier}"
                for by, specifier in asked.get(name, ())
                if not specifier.contains(Version(version), prereleases=True)
            ]
            if refused:
                self.notes.append(
                    f"no release of {name} meets all requirements; {version} is taken ({'; '.join(refused)})"
                )


_ROOTS: dict[tuple[str, int], Mapping[str, SpecifierSet]] = {}


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
        UsageError: a release of sglang or vllm does not exist.
    """
    named: dict[str, str] = {}
    specifiers: dict[str, SpecifierSet] = {}
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        pin = next((each for each in requirement.specifier if _is_pin(each.operator, each.version)), None)
        if name in PACKAGES and name in index.packages:
            named[name] = _indexed(name, requirement, index)
        elif pin is not None:
            named[name] = pin.version
        else:
            specifiers[name] = specifiers.get(name, SpecifierSet()) & requirement.specifier
    return named, specifiers


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
