"""Put a comparison together: changes of names and of requirements, and what a tree uses of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from compat.diff.bisect import boundaries, lost
from compat.diff.changes import Change, Comparison
from compat.diff.requirement_changes import RequirementChange, requirement_changes
from compat.diff.sides import Sides
from compat.diff.used_names import Use, located, used_names
from compat.index.extended import open_index
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.model.symbols import UNUSABLE, split_location
from compat.sources.file_stores import CommitFiles
from compat.sources.git_objects import Commit, Repository
from compat.sources.opening import SourceFiles


class DiffReport(NamedTuple):
    """What changes between two releases of a package."""

    package: str
    old: str
    new: str
    changes: tuple[Change, ...]
    requirements: tuple[RequirementChange, ...]
    uses: Mapping[tuple[str, str], list[Use]] | None = None
    """The uses of each changed name; None if the comparison is not limited to what a tree uses."""

    @property
    def breaking(self) -> bool:
        """Whether code that works with the first release may fail with the second."""
        return any(change.breaking for change in self.changes)


def compare(sides: Sides, old: int, new: int, used_by: Sequence[str]) -> DiffReport:
    """Return what changes between two releases, or only what some files use of that."""
    comparison = Comparison(sides.reader, sides.package, old, new)
    labels = sides.label(old), sides.label(new)
    requirements = requirement_changes(sides.reader, sides.package, old, new)
    if not used_by:
        return DiffReport(sides.package, *labels, tuple(comparison.everything()), requirements)
    uses = located(used_names(used_by, sides.package), sides.reader, sides.package, old)
    found = (comparison.of(*place) for place in sorted(uses))
    changes = tuple(change for change in found if change is not None and change.sort != "added")
    return DiffReport(sides.package, *labels, changes, requirements, uses)


class CommitBreak(NamedTuple):
    """The first commit of a range that breaks something."""

    before: Commit
    commit: Commit
    names: tuple[str, ...]
    """The locations that the commit before has and this one lacks."""


class CommitRange:
    """The commits of a range, each read when it is asked for.

    Args:
        repository: the repository.
        commits: its commits, oldest first.
        package: the package in them.
        where: the text that names the range, for messages.
    """

    def __init__(self, repository: Repository, commits: Sequence[Commit], package: str, where: str) -> None:
        self._repository = repository
        self.commits = commits
        self._package = package
        self._where = where
        self._files = SourceFiles()
        self.read = 0
        """The number of commits that were read."""

    def index_file(self, place: int) -> str:
        """Return the index file of a commit."""
        self.read += 1
        store = CommitFiles(self._repository, self.commits[place])
        return str(self._files.file(store, self._package, self._where))

    def has(self, place: int, locations: Sequence[str]) -> frozenset[str]:
        """Return those of some locations that a commit has."""
        index = open_index([self.index_file(place)])
        resolver = NameResolver(index, alone(index, self._package, index.published(self._package)))
        return frozenset(
            each
            for each in locations
            if resolver.answer(*split_location(each)).status not in UNUSABLE
            and resolver.problem(split_location(each)[0]) is None
        )

    def first_break(self, locations: Sequence[str]) -> CommitBreak | None:
        """Return the first commit that lacks a location which the commit before it has; None if none does."""
        states: dict[int, frozenset[str]] = {}

        def state(place: int) -> frozenset[str]:
            states[place] = self.has(place, locations)
            return states[place]

        for before, after in boundaries(len(self.commits), state):
            gone = lost(states[before], states[after])
            if gone:
                return CommitBreak(self.commits[before], self.commits[after], tuple(gone))
        return None
