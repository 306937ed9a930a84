"""`resolve` for programs: where a name lives in one release, fast when many are asked."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

from compat.errors import UsageError
from compat.index.format import SHIPPED
from compat.index.query.single_release import alone, ask_each
from compat.index.reader import Index
from compat.model.package_names import IMPORT_NAMES
from compat.resolve.query import parse_query
from compat.resolve.search import Found, find

if TYPE_CHECKING:
    import os


class Resolver:
    """Answers for releases that stand alone; a name is searched once for the whole history.

    Args:
        path: the index; the shipped one unless told otherwise.

    Raises:
        IntegrityError: there is no index, or it is of another format.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        self._index = Index(path)
        self._release_index = lru_cache(maxsize=None)(self._index.release_index)
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
        release_index = self._release_index(package, version, package)
        ends, found = self._history(query, package)
        return found[bisect_left(ends, release_index)]

    def _search(self, text: str, package: str) -> tuple[list[int], list[Found]]:
        """Return the last release index of each range with one answer, and the answers."""
        queries = parse_query(text)
        if len(queries) != 1:
            raise UsageError(f"{text!r} asks for {len(queries)} names; ask for one at a time")
        (query,) = queries
        if query.top not in (None, IMPORT_NAMES[package]):
            raise UsageError(f"{text!r} leads into {query.top}, not into {package}")
        count = len(self._index.versions(package))
        environments = [alone(self._index, package, at) for at in range(count)]
        answers = ask_each(
            self._index, package, environments, lambda resolver: find(resolver, package, query)
        )
        ends, found = zip(*((releases[-1], each) for releases, each in answers), strict=True)
        return list(ends), list(found)


def resolve(query: str, package: str, version: str) -> Found:
    """Return where a name leads in one release, from the shipped index; see `Resolver.resolve`."""
    return _shipped().resolve(query, package, version)


@lru_cache(maxsize=1)
def _shipped() -> Resolver:
    return Resolver()
