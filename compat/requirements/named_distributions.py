"""Which distributions may be named for an installation: those that the metadata of a release names.

A module has no owner on a package index: whoever is first can publish a distribution under its name. The
module `mooncake` that sglang imports, for example, is not in the distribution `mooncake`.
"""

from functools import lru_cache

from packaging.utils import NormalizedName, canonicalize_name

from compat.index.reader import Index
from compat.requirements.graph import required_name


def is_named(distribution: str, index: Index) -> bool:
    """Return whether the metadata of an indexed release names a distribution, or is that of one itself."""
    return canonicalize_name(distribution) in _named(index)


@lru_cache(maxsize=1)
def _named(index: Index) -> frozenset[NormalizedName]:
    lines = (
        line for package in index.packages for row in index.releases(package) for line in row.requires_dist
    )
    return frozenset(map(required_name, lines)).union(map(canonicalize_name, index.packages))
