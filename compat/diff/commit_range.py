"""Find the first commit of a range that breaks what is used, by reading only the commits that this needs."""

from collections.abc import Sequence
from typing import NamedTuple

from compat.diff.bisect import boundaries
from compat.diff.commit_index import CommitIndex
from compat.index.build.merge_releases import MergedModule
from compat.index.extended import open_index
from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.model.package_names import IMPORT_NAMES
from compat.model.symbols import UNUSABLE, split_location
from compat.sources.opening import SourceFiles, cache_folder
from compat.sources.read_source import SourceReader
from compat.sources.stores.file_stores import CommitFiles
from compat.sources.stores.git_objects import Commit, Repository
from compat.sources.stores.package_roots import find_package


class CommitBreak(NamedTuple):
    """The first commit of a range that breaks something."""

    before: Commit
    commit: Commit
    names: tuple[str, ...]
    """The locations that the commit before has and this one lacks."""


class CommitRange:
    """The commits of a range, each read when it is asked for.

    What only a build makes is taken to be the same in all of them as in the first.

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
        self._reader = SourceReader(cache_folder())
        self.read = 0
        """The number of commits that were read."""
        first = CommitFiles(repository, commits[0])
        self.index = open_index([str(SourceFiles().file(first, package, where))])
        """The shipped index with the first commit."""
        self._lent = self._generated()

    def _generated(self) -> list[MergedModule]:
        """Return the modules that only a build makes."""
        at = self.index.published(self._package)
        facts = self.index.addition(self._package, at)
        rows, names = self.index.modules(self._package, at), self.index.release_names(self._package, at)
        return [
            MergedModule(each, rows[each].form, names.get(each, {}), rows[each].open)
            for each in (facts.generated if facts is not None else ())
        ]

    def resolver(self, place: int) -> NameResolver:
        """Return a resolver for a commit alone."""
        self.read += 1
        store = CommitFiles(self._repository, self.commits[place])
        root = find_package(store, self._package, self._where)
        own = self._reader.read(store, root, self._package)
        modules = {each.name: each for each in (*self._lent, *own)}
        index = CommitIndex(self._package, IMPORT_NAMES[self._package], modules)
        return NameResolver(index, Facts(release_indexes={self._package: 0}))

    def has(self, place: int, locations: Sequence[str]) -> frozenset[str]:
        """Return those of some locations that a commit has."""
        resolver = self.resolver(place)
        return frozenset(each for each in locations if is_there(resolver, *split_location(each)))

    def first_break(self, locations: Sequence[str]) -> CommitBreak | None:
        """Return the first commit that lacks what the first of all has; None if none does."""
        there = sorted(self.has(0, locations))
        states: dict[int, frozenset[str]] = {0: frozenset(there)}

        def state(place: int) -> frozenset[str]:
            if place not in states:
                states[place] = self.has(place, there)
            return states[place]

        for before, after in boundaries(len(self.commits), state):
            gone = sorted(states[before] - states[after])
            if gone:
                return CommitBreak(self.commits[before], self.commits[after], tuple(gone))
        return None


def is_there(resolver: NameResolver, module: str, name: str) -> bool:
    """Return whether a location can be imported and is no stub."""
    answer = resolver.answer(module, name)
    imported = f"{module}.{name}" if name and answer.status == "submodule" else module
    return answer.status not in UNUSABLE and resolver.problem(imported) is None
