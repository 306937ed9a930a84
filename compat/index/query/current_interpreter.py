"""The world of this interpreter: the releases that are really installed, and what else can be imported."""

import importlib.util
import sys
from collections.abc import Container
from functools import cache

from compat.index.query.installed_releases import installed_index, installed_versions
from compat.index.query.name_resolution import Facts, NameResolver
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES


def here(shipped: Index) -> NameResolver:
    """Return what is installed here as a world; nothing is imported.

    When the index lacks one of the releases, all of them are read from their files: a pair belongs into one
    index. Whether there is a CUDA device is left open.

    Args:
        shipped: the index of the published releases.

    Raises:
        IntegrityError: a release that the index lacks is installed without files.
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
    """The top-level names that can be imported here: asked one by one, for listing all takes long."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and importable(name)


@cache
def importable(top: str) -> bool:
    """Return whether this interpreter finds a top-level module; finding runs nothing of it."""
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):  # ValueError: loaded, and without a spec
        return top in sys.modules
