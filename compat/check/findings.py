"""Find what cannot be imported in an environment: the root causes, where they stand, and what they break."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compat.check.collisions import find_shared
from compat.check.environment import CheckedEnvironment
from compat.check.presence import ForeignPresence, RootCause
from compat.companions.broken_pairs import SERVER_MODULES
from compat.companions.reader import Companions, PlacedDemand
from compat.index.query.answers import Facts
from compat.index.query.import_graph import always_imported
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import companions as pinned_kernels
from compat.index.reader import Index
from compat.index.records import Branch
from compat.model import guards
from compat.model.collisions import Collision
from compat.model.guards import Guard, evaluate
from compat.model.releases import IMPORT_NAMES, PACKAGES, SGLANG, VLLM
from compat.model.symbols import split_location
from compat.requirements.specifiers import pinned

ReleaseImports = dict[tuple[str, int], dict[str, list[Branch]]]
"""The imports of the modules of releases, by package and release index."""

_ATTRIBUTE = re.compile(r"\S+ cannot be imported here: (\S+)")
_MISSING = re.compile(r"(\S+) imports (\S+), which is missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line that asks for something that is lacking."""

    module: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One root cause: one thing that is lacking, with the modules that cannot be imported for it."""

    package: str
    """The package whose modules break."""
    version: str
    root: RootCause
    places: tuple[Place, ...]
    """The lines of the package that import it, or that import the distribution whose own import fails."""
    targets: tuple[str, ...]
    """The locations that these lines import."""
    breaks: tuple[str, ...]
    """All modules of the package that cannot be imported, sorted."""
    entry: tuple[str, ...]
    """The entries that break: `import` (of the package) and `serve`."""
    deferred: bool = False
    """Whether only functions import it: the modules can be imported, and calls of these functions fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result for one environment."""

    environment: CheckedEnvironment
    releases: Mapping[str, str]
    """The releases of sglang, vllm and their kernels."""
    findings: tuple[Finding, ...]
    collisions: tuple[Collision, ...]
    """The modules that several distributions bring in different forms."""
    left_out: tuple[Finding, ...]
    """Modules that need a distribution which nothing requires and which is not installed: no findings."""
    notes: tuple[str, ...]
    """What was chosen for want of a better release, and what is not judged."""

    @property
    def optional(self) -> dict[str, int]:
        """What nothing requires and is not installed, with the number of modules that need it."""
        counts: dict[str, int] = {}
        for each in self.left_out:
            name = _optional(each) or ""
            counts[name] = counts.get(name, 0) + len(each.breaks)
        return dict(sorted(counts.items()))


def check_environment(
    environment: CheckedEnvironment,
    index: Index,
    companions: Companions,
    entries: Sequence[str] = ("all",),
) -> CheckReport:
    """Return what cannot be imported in an environment.

    Args:
        environment: the releases in it.
        index: the index of sglang and vllm.
        companions: what they take from other distributions.
        entries: `all`, `serve` (what a server imports), or names of modules.
    """
    presence = ForeignPresence(environment, companions)
    releases = _indexed_releases(environment, index)
    broken = _Broken(index, companions, presence, releases)
    findings: list[Finding] = []
    left_out: list[Finding] = []
    for package in (each for each in (SGLANG, VLLM) if each in releases):
        modules = _roots(package, entries, releases, index)
        if "all" not in entries:
            findings += broken.deferred(package, modules)
        for finding in broken.findings(package, modules):
            optional = "all" in entries and _optional(finding) is not None
            (left_out if optional else findings).append(finding)
    versions = {package: index.versions(package)[at] for package, at in releases.items()}
    return CheckReport(
        environment=environment,
        releases=versions,
        findings=tuple(sorted(findings, key=_importance)),
        collisions=find_shared(environment, companions),
        left_out=tuple(left_out),
        notes=(*_told(index, releases), *environment.notes),
    )


def _told(index: Index, releases: Mapping[str, int]) -> Iterator[str]:
    """Yield what is known about those that are no releases."""
    for package, at in releases.items():
        build = index.addition(package, at)
        if build is not None:
            yield f"{package} is {build.label}; the nearest release is {build.distance}"


def _importance(finding: Finding) -> tuple[bool, bool, int, str, str]:
    entry = finding.entry
    return (
        "import" not in entry,
        "serve" not in entry,
        -len(finding.breaks),
        finding.package,
        finding.root.target,
    )


def _optional(finding: Finding) -> str | None:
    """Return what is missing if it is an optional dependency of some modules, else None."""
    root = finding.root
    if root.lack != "distribution" or finding.entry or root.by is not None:
        return None
    return root.distribution or split_location(root.target)[0].partition(".")[0]


def _indexed_releases(environment: CheckedEnvironment, index: Index) -> dict[str, int]:
    found: dict[str, int] = {
        str(package): index.release_index(package, environment.versions[package], package)
        for package in PACKAGES
        if package in environment.versions
        and package in index.packages
        and index.knows(package, environment.versions[package])
    }
    if SGLANG in found and not environment.complete:
        found = {**pinned_kernels(index, SGLANG, found[SGLANG]), **found}
    return found


def _roots(package: str, entries: Sequence[str], releases: Mapping[str, int], index: Index) -> Sequence[str]:
    """Return the modules of a package from which the search starts."""
    modules = index.modules(package, releases[package])
    top = IMPORT_NAMES[package]
    if "all" in entries:
        return tuple(modules)
    found: dict[str, None] = {}
    for entry in entries:
        if entry == "serve":
            found.update((each, None) for each in (top, *SERVER_MODULES[package]) if each in modules)
        elif entry in modules:
            found[entry] = None
    return tuple(found)


class _Broken:
    """Finds the broken modules of the releases of one environment."""

    def __init__(
        self,
        index: Index,
        companions: Companions,
        presence: ForeignPresence,
        releases: Mapping[str, int],
    ) -> None:
        self._index = index
        self._companions = companions
        self._presence = presence
        self._releases = releases
        self._imports: ReleaseImports = {}
        self._always: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        demands = {
            package: companions.demands(package, index.versions(package)[at])
            for package, at in releases.items()
        }
        here = {IMPORT_NAMES[package] for package in releases}
        self._facts = Facts(
            release_indexes=releases,
            absent=frozenset({IMPORT_NAMES[package] for package in PACKAGES} - here),
            foreign=presence.exists,
        )
        deciding = self._resolver()
        failing = {
            package: [
                (each, cause)
                for each in found
                if (cause := self._cause(each.target)) is not None and _runs(each.guard, deciding)
            ]
            for package, found in demands.items()
        }
        self._failing = {
            package: [(each, cause) for each, cause in found if each.form != "deferred"]
            for package, found in failing.items()
        }
        """What the modules of each package ask for in vain, and why."""
        self._deferred = {
            package: [(each, cause) for each, cause in found if each.form == "deferred"]
            for package, found in failing.items()
        }
        """What their functions ask for in vain."""
        self._all = self._resolver(self._broken_attributes())

    def findings(self, package: str, modules: Sequence[str]) -> list[Finding]:
        """Return the root causes for which some modules of a package cannot be imported."""
        scope = {*modules, *self._reached(package, tuple(modules))}
        breaks: dict[RootCause, set[str]] = {}
        for module in modules:
            root = self._root(self._all.problem(module))
            if root is not None:
                breaks.setdefault(root, set()).add(module)
        for demand, root in self._failing[package]:
            if demand.module in scope:
                breaks.setdefault(root, set()).add(demand.module)
        return [self._finding(package, root, found) for root, found in breaks.items()]

    def deferred(self, package: str, modules: Sequence[str]) -> list[Finding]:
        """Return the root causes for which functions of some modules, or of what these import, fail.

        Functions choose what they import by versions and devices, so what the package was released with is no
        finding: a release that it pins itself, a name that no release has, a distribution that is missing.
        """
        scope = {*modules, *self._reached(package, tuple(modules))}
        known = {cause for _, cause in self._failing[package]}
        found: dict[RootCause, list[PlacedDemand]] = {}
        for demand, cause in self._deferred[package]:
            if demand.module in scope and cause not in known and self._has_drifted(package, cause):
                found.setdefault(cause, []).append(demand)
        return [
            Finding(
                package=package,
                version=self._version(package),
                root=cause,
                places=tuple(Place(module=each.module, line=each.line) for each in demands),
                targets=tuple(sorted({each.target for each in demands})),
                breaks=(),
                entry=(),
                deferred=True,
            )
            for cause, demands in found.items()
        ]

    def _has_drifted(self, package: str, cause: RootCause) -> bool:
        """Return whether another release has what is lacking, and the package pins none itself."""
        name = str(cause.distribution)
        if cause.lack != "name" or name not in self._companions.read:
            return False
        pins = (
            pinned(specifier)
            for by, specifier in self._presence.environment.requirements.get(name, ())
            if by.partition("[")[0] == package
        )
        states = [state for _, _, state in self._companions.ranges(name, cause.target)]
        return any(state != "absent" for state in states) and not any(pins)

    def _version(self, package: str) -> str:
        return self._index.versions(package)[self._releases[package]]

    def _finding(self, package: str, root: RootCause, breaks: Iterable[str]) -> Finding:
        demands = [each for each, cause in self._failing[package] if cause == root]
        demands.sort(key=lambda each: (each.module, each.line))
        places = tuple(Place(module=each.module, line=each.line) for each in demands)
        inside = (Place(module=root.via, line=None),) if root.via is not None else ()
        entries = (("import", (IMPORT_NAMES[package],)), ("serve", SERVER_MODULES[package]))
        return Finding(
            package=package,
            version=self._version(package),
            root=root,
            places=tuple(dict.fromkeys(places)) or inside,
            targets=tuple(sorted({each.target for each in demands})),
            breaks=tuple(sorted(breaks)),
            entry=tuple(name for name, modules in entries if self._broken_by(root, package, modules)),
        )

    def _broken_by(self, root: RootCause, package: str, modules: Iterable[str]) -> bool:
        """Return whether one of some modules of a package cannot be imported for this cause.

        Another cause may come first in an import, and hide this one until it is mended: then it counts
        whether the modules always import one that asks for what is lacking.
        """
        there = [each for each in modules if self._index.module(each, package, self._releases[package])]
        if any(self._root(self._all.problem(each)) == root for each in there):
            return True
        asking = {demand.module for demand, cause in self._failing[package] if cause == root}
        return bool(asking) and not asking.isdisjoint(self._reached(package, tuple(there)))

    def _reached(self, package: str, modules: tuple[str, ...]) -> set[str]:
        key = package, modules
        if key not in self._always:
            release_index = self._releases[package]
            imports = self._all.release_imports(package, release_index)
            there = self._index.modules(package, release_index)
            self._always[key] = always_imported(modules, imports, there)
        return self._always[key]

    def _resolver(self, broken: Mapping[str, str] | None = None) -> "BulkResolver":
        return BulkResolver(self._index, self._facts._replace(broken=broken or {}), self._imports)

    def _broken_attributes(self) -> dict[str, str]:
        """Return the modules that read a lacking attribute while they are imported, with its location."""
        return {
            demand.module: demand.target
            for found in self._failing.values()
            for demand, _ in found
            if demand.form == "attribute"
        }

    def _cause(self, target: str) -> RootCause | None:
        return self._presence.cause(target) if self._presence.exists(target) is False else None

    def _root(self, reason: str | None) -> RootCause | None:
        """Return the root cause in a reason that the resolver gives; None inside of one package."""
        if reason is None:
            return None
        attribute = _ATTRIBUTE.fullmatch(reason)
        if attribute:
            return self._cause(attribute[1])
        named = _MISSING.match(reason)
        if named is None:
            return None
        module, target = named.groups()
        top = target.partition(":")[0].partition(".")[0]
        if top not in self._index.owners:
            return self._cause(target)
        if top == module.partition(".")[0]:
            return None
        name = next((each for each in self._index.owners[top] if each in self._releases), None)
        if name is None:
            return RootCause("distribution", target, self._index.owners[top][0], None, None, module)
        version = self._index.versions(name)[self._releases[name]]
        return RootCause("name", target, name, version, None, module)


def _runs(guard: str | None, resolver: "BulkResolver") -> bool:
    return guard is None or resolver.holds(guards.from_json(json.loads(guard)))


class BulkResolver(NameResolver):
    """A resolver for all modules of a release: it reads the imports of a release with one query."""

    def __init__(self, index: Index, facts: Facts, known: ReleaseImports) -> None:
        super().__init__(index, facts)
        self._known = known

    def holds(self, guard: Guard) -> bool:
        """Return whether a guard certainly holds in the environment."""
        return evaluate(guard, self._leaf) is True

    def _imports(self, module: str, package: str) -> Iterable[Branch]:
        release_index = self.environment.release_indexes[package]
        return self.release_imports(package, release_index).get(module, ())

    def release_imports(self, package: str, release_index: int) -> dict[str, list[Branch]]:
        """Return the imports of every module of a release."""
        key = package, release_index
        if key not in self._known:
            self._known[key] = self.index.release_imports(*key)
        return self._known[key]
