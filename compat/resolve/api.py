"""`resolve` for programs: where a name lives in one release, fast when many are asked."""

from bisect import bisect_left
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from compat.errors import UsageError
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone, stretches
from compat.index.reader import Index
from compat.index.writer import SHIPPED
from compat.model.package_names import IMPORT_NAMES
from compat.resolve.query import parse_query
from compat.resolve.search import Found, find


class Stretch(NamedTuple):
    """An answer that holds over an interval of releases."""

    last: int
    """Position of the last release."""
    found: Found


class Resolver:
    """Answers for releases that stand alone; a name is searched once for the whole history.

    Args:
        path: the index; the shipped one unless told otherwise.

    Raises:
        IntegrityError: there is no index, or it is of another format.
    """

    def __init__(self, path: Path = SHIPPED) -> None:
        self._index = Index(path)
        self._worlds = lru_cache(maxsize=None)(self._make_worlds)
        self._position = lru_cache(maxsize=None)(self._index.release_index)
        self._history = lru_cache(maxsize=100_000)(self._search)

    def resolve(self, query: str, package: str, version: str) -> Found:
        """Return where a name, path or import statement leads in one release.

        Args:
            query: as on the command line, for one name.
            package: the distribution: `sglang`, `vllm`, `sglang-kernel` or `sgl-kernel`.
            version: an indexed release of it.

        Raises:
            UsageError: no such query, package or release, or a path that leads into another package.
        """
        if package not in self._index.packages:
            raise UsageError(f"{package!r} is not indexed; {', '.join(self._index.packages)} are")
        position = self._position(package, version, package)
        history = self._history(query, package)
        return history[bisect_left(history, position, key=_last)].found

    def _search(self, text: str, package: str) -> list[Stretch]:
        queries = parse_query(text)
        if len(queries) != 1:
            raise UsageError(f"{text!r} asks for {len(queries)} names; ask for one at a time")
        (query,) = queries
        if query.top not in (None, IMPORT_NAMES[package]):
            raise UsageError(f"{text!r} leads into {query.top}, not into {package}")
        found: list[Stretch] = []
        for place, each in stretches(
            self._index, package, self._worlds(package), lambda world: find(world, package, query)
        ):
            if found and found[-1].found is each:
                found.pop()
            found.append(Stretch(place, each))
        return found

    def _make_worlds(self, package: str) -> list[NameResolver]:
        count = len(self._index.versions(package))
        return [NameResolver(self._index, alone(self._index, package, at)) for at in range(count)]


def resolve(query: str, package: str, version: str) -> Found:
    """Return where a name leads in one release, from the shipped index; see `Resolver.resolve`."""
    return _shipped().resolve(query, package, version)


@lru_cache(maxsize=1)
def _shipped() -> Resolver:
    return Resolver()


def _last(stretch: Stretch) -> int:
    return stretch.last
