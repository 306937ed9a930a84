"""Build the file of companions: collect the demands, read the releases that can meet them, and write it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from compat._cli.progress import Progress, Silent
from compat._cli.text import counted
from compat.companions.broken_pairs import find_broken_pairs
from compat.companions.candidates import carriers, directly_required, selected, tops_of
from compat.companions.demands import DEMANDING, Demand, read_demands
from compat.companions.extract.read_releases import CompanionRelease, ReleasePool
from compat.companions.extract.shared_modules import find_shared_modules
from compat.companions.extract.supply import Supply
from compat.companions.find_candidates import Candidate, find_candidates
from compat.companions.told import needed_by, told, with_attributes
from compat.companions.writer import CompanionsContent, write_companions
from compat.index.build.parse_pool import processes
from compat.index.reader import Index
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.source_cache import SourceCache


@dataclass(slots=True, kw_only=True)
class CompanionsReport:
    """The counts of a build, updated while it runs."""

    distributions: int = 0
    releases: int = 0
    targets: int = 0
    demands: int = 0
    fetched: int = 0
    """The number of downloaded bytes."""


def build_companions(
    target: Path,
    index: Index,
    progress: Progress | None = None,
    *,
    registry: Registry | None = None,
    only: Iterable[str] = (),
) -> CompanionsReport:
    """Write the file of companions for the releases of an index to `target`.

    Whatever was read is kept in the user's cache, so an interrupted build can be resumed.

    Args:
        target: the file to replace.
        index: the index of sglang and vllm.
        progress: advanced by one for each release.
        registry: the package index; by default the configured one.
        only: the distributions to read; by default all that can meet a demand.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel of sglang or vllm differs from its digests.
    """
    progress, registry = progress or Silent(), registry or Registry()
    report = CompanionsReport()
    versions = {package: index.versions(package) for package in DEMANDING if package in index.packages}
    with processes() as pool:
        demands = read_demands(registry, SourceCache(), pool, versions, progress)
    candidates = find_candidates(index, registry, progress)
    with ReleasePool() as pool:
        reading = Reading(
            candidates=candidates,
            direct=directly_required(index),
            only=frozenset(only),
            pool=pool,
            report=report,
            progress=progress,
        )
        read = reading.run(demands)
    read = with_attributes(demands, read)
    report.distributions = len(read)
    report.releases = sum(map(len, read.values()))
    report.targets = len({name for each in read.values() for one in each for name in one.supply.states})
    kept = tuple(told(demands, read))
    report.demands = len(kept)
    rest = {name: _unread(each) for name, each in candidates.items() if name not in read}
    progress.note("looking for modules that several distributions bring, and for pairs that cannot work")
    needed = [needed_by(one.supply.needs) for each in read.values() for one in each]
    demanded = {each.target for each in demands}.union(*needed)
    wheels = {name: each.wheels for name, each in candidates.items()}
    folders = {name: each.folders for name, each in candidates.items()}
    shared = find_shared_modules(wheels, folders, demanded, registry, progress)
    broken = tuple(find_broken_pairs(index))
    write_companions(target, CompanionsContent(versions, kept, read, rest, broken, shared, folders))
    return report


def _unread(candidate: Candidate) -> CompanionRelease:
    """Return the newest release of a distribution of which nothing is demanded: its modules and metadata."""
    return CompanionRelease(
        version=str(candidate.newest.version),
        uploaded=None,
        yanked=False,
        requires_python=candidate.newest.requires_python,
        requires_dist=candidate.lines,
        imports=candidate.imports,
        supply=Supply({}, {}),
        checks=(),
    )


class ReleaseReader(Protocol):
    """Reads releases; see `ReleasePool`."""

    def read(
        self, wheels: Sequence[WheelFile], targets: Iterable[str], folders: Sequence[str] = ()
    ) -> Iterator[tuple[CompanionRelease, int]]:
        """Yield the releases of one distribution, each with the bytes that were fetched for it."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """Reads the releases of every distribution of which enough is demanded."""

    candidates: Mapping[str, Candidate]
    direct: frozenset[str]
    only: frozenset[str]
    """The distributions to read; if empty, `selected` decides."""
    pool: ReleaseReader
    report: CompanionsReport
    progress: Progress
    read: dict[str, list[CompanionRelease]] = field(default_factory=dict)

    def run(self, demands: Iterable[Demand]) -> dict[str, list[CompanionRelease]]:
        """Return the releases of each distribution, oldest first.

        What the import of one distribution needs from another is a demand as well, and may be what makes the
        other worth reading. So those that require others come first, and those of which more was demanded
        later are read again.
        """
        tops = carriers({name: (*each.imports, *each.moved) for name, each in self.candidates.items()})
        # Distributions that carry parts of one package in a common folder do not make it a namespace package.
        own = carriers(
            {name: set(each.imports).difference(each.placed) for name, each in self.candidates.items()}
        )
        targets: dict[str, set[str]] = {}
        _demand({each.target for each in demands}, tops, targets)
        order = _dependents_first(self.candidates)
        asked: dict[str, frozenset[str]] = {}
        while True:
            wanted = self.only or selected(self.direct, targets, own)
            unread = [
                each
                for each in order
                if each in wanted and asked.get(each) != frozenset(targets.get(each, ()))
            ]
            if not unread:
                return {name: self.read[name] for name in sorted(self.read)}
            name = unread[0]
            asked[name] = frozenset(targets.get(name, ()))
            _demand(self._read(name, asked[name], len(wanted)), tops, targets)

    def _read(self, name: str, targets: frozenset[str], wanted: int) -> set[str]:
        """Read the releases of one distribution, and return what they need from others."""
        wheels, folders = self.candidates[name].wheels, self.candidates[name].folders
        again = " again" if name in self.read else ""
        count = f"{len({*self.read, name})} of {counted(wanted, 'distribution')}{again}"
        what = f"{counted(len(wheels), 'release')}, {counted(len(targets), 'name')}"
        self.progress.note(f"{count}: {name}, {what}")
        self.read[name] = []
        needed: set[str] = set()
        for release, fetched in self.pool.read(wheels, targets, folders):
            self.read[name].append(release)
            self.report.fetched += fetched
            self.progress.advance()
            needed |= needed_by(release.supply.needs) | needed_by(release.supply.attributes)
        return needed


def _demand(wanted: Iterable[str], tops: Mapping[str, Sequence[str]], targets: dict[str, set[str]]) -> None:
    """Add locations to the targets of the distributions that carry their top-level modules."""
    for target in wanted:
        for name in tops.get(next(iter(tops_of([target])), ""), ()):
            targets.setdefault(name, set()).add(target)


def _dependents_first(candidates: Mapping[str, Candidate]) -> list[str]:
    """Return the distributions in an order in which each comes before what it requires, if possible."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        seen.add(name)
        for required in sorted(candidates[name].requires):
            if required in candidates and required not in seen:
                visit(required)
        order.append(name)

    for name in sorted(candidates):
        if name not in seen:
            visit(name)
    return order[::-1]
