"""Which releases of a third package have what was missing, and which of them is the nearest to use."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from compat.companions.reader import Companions
from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport
from compat.explain.lookup.module_paths import shipped_companions
from compat.explain.lookup.requirement_violations import USUAL, of_release, ordered
from compat.model.release_ranges import ranges_of
from compat.model.releases import SGLANG, VLLM, allows
from compat.model.symbols import location, split_location
from compat.requirements.graph import RequirementEdge, edges_to, required_name
from compat.requirements.specifiers import pinned, python_specifier


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionReleases:
    """The releases of a distribution, and those of them that have a location."""

    distribution: str
    target: str
    """The location, as sglang or vllm ask for it."""
    versions: tuple[str, ...]
    """All known releases, oldest first."""
    having: tuple[int, ...]
    """The indexes of the releases that have the location."""
    withdrawn: Collection[int]
    """The indexes of the releases that were yanked, or that do not run on the Python of the log."""

    @property
    def span(self) -> str:
        """The releases that have the location, for people: `openai 1.66.0..1.99.9`."""
        return f"{self.distribution} {', '.join(self._spans())}"

    def _spans(self) -> Iterator[str]:
        newest = len(self.versions) - 1
        for first, last in ranges_of(self.having):
            if last == newest:
                yield f"{self.versions[first]} and later"
            else:
                yield self.versions[first] + (f"..{self.versions[last]}" if last != first else "")

    def admitted(self, specifiers: Sequence[SpecifierSet]) -> list[int]:
        """Return the indexes of the releases that requirements admit, with or without the location."""
        return [
            at
            for at, version in enumerate(self.versions)
            if at not in self.withdrawn and all(allows(each, version) for each in specifiers)
        ]

    def has(self, version: str) -> bool:
        """Return whether a version has the location; False as well if the version is not known."""
        at = self._position(version)
        return at in self.having and Version(self.versions[at]) == Version(version.partition("+")[0])

    def is_older(self, version: str) -> bool:
        """Return whether a version without the location is older than the last release that has it."""
        return self._position(version) <= self.having[-1]

    def spec(self, choice: Collection[int], installed: str | None) -> str:
        """Return the nearest release of some as a requirement: `openai==1.99.9`, `openai>=1.66.0`.

        Without an installed version, it is the oldest or newer if the newest release is among them, and else
        the newest of them. Final releases precede others.
        """
        final = [at for at in sorted(choice) if not Version(self.versions[at]).is_prerelease]
        places = final or sorted(choice)
        if installed is not None:
            here = self._position(installed)
            nearest = min(places, key=lambda at: (abs(at - here), at))
            return f"{self.distribution}=={self.versions[nearest]}"
        first, last = list(ranges_of(self.having))[-1]
        if last == len(self.versions) - 1 and places[-1] >= max(self.admitted(()), default=last):
            start = next((at for at in places if at >= first), places[-1])
            return f"{self.distribution}>={self.versions[start]}"
        return f"{self.distribution}=={self.versions[places[-1]]}"

    def _position(self, version: str) -> int:
        """Return the index of a version, or where it would stand."""
        try:
            wanted = Version(version.partition("+")[0])
        except InvalidVersion:
            return len(self.versions)
        return next(
            (at for at, each in enumerate(self.versions) if Version(each) >= wanted), len(self.versions)
        )


def releases_with(context: RuleContext, distribution: str, asked: FailedImport) -> CompanionReleases | None:
    """Return the releases of a distribution that have what an import asks for.

    None if sglang and vllm do not ask for it, or if not some of its releases have it and others lack it.
    """
    companions = shipped_companions()
    if companions is None or distribution not in companions.read:
        return None
    for target in _targets(asked):
        ranges = companions.ranges(distribution, target)
        if ranges:
            return _some(context, companions, distribution, target, ranges)
    if not asked.absent:
        return None
    below = companions.within(distribution, asked.absent)
    every = [
        each
        for target in below
        for each in companions.ranges(distribution, target)
        if each[2] == "present"  # one name is enough for the module to be there
    ]
    return _some(context, companions, distribution, f"what is imported of {asked.absent}", every)


def _some(
    context: RuleContext,
    companions: Companions,
    distribution: str,
    target: str,
    ranges: list[tuple[int, int, str]],
) -> CompanionReleases | None:
    """Return the releases in which a location is not absent, or None if these are all or none."""
    having = {at for first, last, state in ranges if state != "absent" for at in range(first, last + 1)}
    versions = companions.versions(distribution)
    certain = any(state == "present" for _, _, state in ranges)
    if not certain or len(having) == len(versions):
        return None
    return CompanionReleases(
        distribution=distribution,
        target=target,
        versions=versions,
        having=tuple(sorted(having)),
        withdrawn=companions.yanked(distribution) | _for_other_python(companions, distribution, context),
    )


def in_every_release(distribution: str, asked: FailedImport) -> str | None:
    """Return the location that an import asks for, if every known release of a distribution has it."""
    companions = shipped_companions()
    if companions is None or distribution not in companions.read:
        return None
    for target in _targets(asked):
        ranges = companions.ranges(distribution, target)
        if ranges:
            everywhere = all(state == "present" for _, _, state in ranges)
            return target if everywhere and _covered(ranges, len(companions.versions(distribution))) else None
    return None


def _covered(ranges: list[tuple[int, int, str]], count: int) -> bool:
    return sum(last - first + 1 for first, last, _ in ranges) == count


def releases_with_model(context: RuleContext, model: str) -> CompanionReleases | None:
    """Return the releases of transformers that have a model, by its type or the name of its config.

    sglang and vllm ask transformers for the configs of models; the first release that has one of a model
    registers that model itself. None if they ask for none of this model, or if every release has it.
    """
    companions, name = shipped_companions(), "transformers"
    if companions is None:
        return None
    plain = re.sub(r"[_-]|Config$", "", model.rpartition(".")[2]).lower()
    wanted = re.compile(rf"{re.escape(plain)}(?:text|vision|audio)?config")
    ranges = [
        each
        for target in companions.within(name, name)
        if wanted.fullmatch(split_location(target)[1].replace("_", "").lower())
        for each in companions.ranges(name, target)
    ]
    return _some(context, companions, name, model, ranges)


def releases_with_name(context: RuleContext, distribution: str, name: str) -> CompanionReleases | None:
    """Return the releases of a distribution from which sglang or vllm import a name, by the name alone.

    None if they do not, or if every release has it.
    """
    companions = shipped_companions()
    places = companions.named(name) if companions is not None else []
    targets = sorted((target for owner, target in places if owner == distribution), key=len)
    if companions is None or not targets:
        return None
    ranges = companions.ranges(distribution, targets[0])
    return _some(context, companions, distribution, targets[0], ranges)


def newest_of_its_time(context: RuleContext, distribution: str, package: str, at: int) -> str | None:
    """Return the newest version of a distribution on the day of a release, as a line for people, or None."""
    companions, release = shipped_companions(), context.index.releases(package)[at]
    if companions is None or not release.uploaded:
        return None
    date = release.uploaded[:10]
    newest = companions.newest_at(distribution, date)
    when = f"when {package} {release.version} was released ({date})"
    return f"{distribution} {newest} was the newest {when}" if newest else None


def _targets(asked: FailedImport) -> Iterator[str]:
    """Yield the locations that an import may mean, the most exact first."""
    module = asked.module
    for name in asked.names:
        yield location(module, name)
        yield f"{module}.{name}"
    parents = module.split(".")
    for name in asked.names if asked.attribute else ():
        for end in range(len(parents) - 1, 0, -1):
            yield location(".".join(parents[:end]), ".".join([*parents[end:], name]))
    if asked.absent:
        yield asked.absent


def _for_other_python(companions: Companions, distribution: str, context: RuleContext) -> frozenset[int]:
    running = context.contents.facts.python
    if running is None:
        return frozenset()
    texts = companions.requires_python(distribution)
    return frozenset(
        at for at, text in enumerate(texts) if not allows(python_specifier(text), f"{running}.99")
    )


def importing_releases(context: RuleContext, package: str, target: str) -> list[int]:
    """Return the indexes of the releases of sglang or vllm that ask for a location."""
    companions = shipped_companions()
    if companions is None:
        return []
    known, versions = companions.indexed(package), context.index.versions(package)
    asking = {
        known[at]
        for first, last, _ in companions.demands_on(target, package)
        for at in range(first, last + 1)
    }
    return [at for at, version in enumerate(versions) if version in asking]


def asking_lines(context: RuleContext, distribution: str, target: str) -> Iterator[str]:
    """Yield the releases of sglang and vllm that ask for a location, and what their ends require."""
    for package in (SGLANG, VLLM):
        asking = importing_releases(context, package, target)
        versions = context.index.versions(package)
        spans = [
            versions[first] if first == last else f"{versions[first]}..{versions[last]}"
            for first, last in ranges_of(asking)
        ]
        if spans:
            yield f"{package} {', '.join(spans)} asks for it; the release of {package} is unknown"
            for at in dict.fromkeys((asking[0], asking[-1])):
                edges = ordered(of_release(context, package, at, distribution))
                yield from (str(each) for each in edges[:1] if each.extra in USUAL)


def indirect_needs(context: RuleContext, distribution: str) -> list[RequirementEdge]:
    """Return what the packages that the known releases require demand of a distribution.

    Only packages count whose version is known, or pinned by the release.
    """
    companions, found = shipped_companions(), []
    for package, at in context.release_indexes.items() if companions else ():
        for name in dict.fromkeys(map(required_name, context.index.requires_dist(package, at))):
            if companions is None or name not in companions.read or name == distribution:
                continue
            edges = [each for each in of_release(context, package, at, name) if each.extra in USUAL]
            pins = [pin for each in edges if (pin := pinned(each.requirement.specifier)) is not None]
            known = context.known(name)
            version = known.version if known else str(pins[0]) if pins else None
            if version is not None:
                place = companions.release_index(name, version)
                lines = companions.requires_dist(name, place) if place is not None else ()
                found += [each for each in edges_to(distribution, name, version, lines) if not each.extra]
    return found
