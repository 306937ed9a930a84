"""The Python interface of `resolve`: find where one release defines a name."""

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
    """Resolves names in single releases; searches each name once for all releases, and caches the result.

    Args:
        path: the index file; by default the shipped one.

    Raises:
        IntegrityError: the index does not exist, or has another format.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        self._index = Index(path)
        self._release_index = lru_cache(maxsize=None)(self._index.release_index)
        self._history = lru_cache(maxsize=100_000)(self._search)

    def resolve(self, query: str, package: str, version: str) -> Found:
        """Return where a release defines the object of a name, path or import statement.

        Args:
            query: one name, path or import statement, as on the command line.
            package: the distribution: `sglang`, `vllm`, `sglang-kernel` or `sgl-kernel`.
            version: an indexed release of the package.

        Raises:
            UsageError: the query, package or release is not valid, or the path is in another package.
        """
        if package not in self._index.packages:
            raise UsageError(f"{package!r} is not indexed (indexed: {', '.join(self._index.packages)})")
        release_index = self._release_index(package, version, package)
        ends, found = self._history(query, package)
        return found[bisect_left(ends, release_index)]

    def _search(self, text: str, package: str) -> tuple[list[int], list[Found]]:
        """Return the answers of all releases, with the last release index to which each applies."""
        queries = parse_query(text)
        if len(queries) != 1:
            raise UsageError(f"{text!r} contains {len(queries)} names; pass one name per call")
        (query,) = queries
        if query.top not in (None, IMPORT_NAMES[package]):
            raise UsageError(f"{text!r} is a path in {query.top}, not in {package}")
        count = len(self._index.versions(package))
        environments = [alone(self._index, package, at) for at in range(count)]
        answers = ask_each(
            self._index, package, environments, lambda resolver: find(resolver, package, query)
        )
        ends, found = zip(*((releases[-1], each) for releases, each in answers), strict=True)
        return list(ends), list(found)


def resolve(query: str, package: str, version: str) -> Found:
    """Return where a release defines a name, from the shipped index; see `Resolver.resolve`."""
    return _shipped().resolve(query, package, version)


@lru_cache(maxsize=1)
def _shipped() -> Resolver:
    return Resolver()
