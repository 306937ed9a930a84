"""Describe the current environment to the name resolver: installed releases and importable packages."""

import importlib.util
import sys
from collections.abc import Container
from functools import cache

from compat.index.query.answers import Facts
from compat.index.query.installed_releases import installed_index, installed_versions
from compat.index.query.name_resolution import NameResolver
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES


def here(shipped: Index) -> NameResolver:
    """Return a name resolver for the installed releases, without importing them.

    If the index lacks one of the releases, all of them are read from their files: a resolver has one
    index. Guards that depend on a CUDA device stay undecided.

    Args:
        shipped: the index of the published releases.

    Raises:
        IntegrityError: an installed release is neither in the index nor has files.
        OSError: a file of such a release cannot be read.
    """
    present = installed_versions()
    tops = {IMPORT_NAMES[package] for package in present}
    absent = frozenset(top for top in IMPORT_NAMES.values() if top not in tops and not importable(top))
    if all(shipped.knows(package, version) for package, version in present.items()):
        index = shipped
        release_indexes = {
            package: index.release_index(package, version, package) for package, version in present.items()
        }
    else:
        index = installed_index(tuple(present))
        release_indexes = dict.fromkeys(present, 0)
    return NameResolver(index, Facts(release_indexes=release_indexes, absent=absent, provided=Importable()))


class Importable(Container[str]):
    """The importable top-level names; each is looked up on demand, since a complete list takes long."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and importable(name)


@cache
def importable(top: str) -> bool:
    """Return whether this interpreter finds a top-level module, without running it."""
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):  # ValueError: the loaded module has no spec
        return top in sys.modules
