"""Find names that are a function in a release and a class in another one."""

from functools import lru_cache

from compat.index.query.single_release import alone, ask_each
from compat.scan.releases.index_lookup import Lookup, LookupOutcome


class KindChanges:
    """Compares the kinds of names over all releases of a package, scanned or not.

    Args:
        lookup: looks names up in the scanned releases.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._index = lookup.index
        self._package = lookup.release_set.package
        self.last_class = lru_cache(maxsize=None)(self._last_class)
        self._class_ever = lru_cache(maxsize=None)(self._index.class_ever)

    def became_function(self, outcome: LookupOutcome) -> bool:
        """Return whether a path ends at a function that is a class in another release."""
        if outcome.failing or outcome.answer.kind != "function":
            return False
        return bool(self.last_class(outcome.module, outcome.name))

    def _last_class(self, module: str, name: str) -> str:
        """Return the last release in which a name is a class; empty if there is none."""
        if not self._class_ever(name, self._package):
            return ""
        versions = self._index.versions(self._package)
        environments = [alone(self._index, self._package, at) for at in range(len(versions))]
        kinds = ask_each(
            self._index, self._package, environments, lambda resolver: resolver.answer(module, name).kind
        )
        return next((versions[at[-1]] for at, kind in reversed(list(kinds)) if kind == "class"), "")
