"""Read what the index has of each release: its version, metadata, and the kernel releases that it pins."""

from __future__ import annotations

from functools import lru_cache

from compat.errors import UsageError
from compat.index.format import SHIPPED, unpacked
from compat.index.tables import Tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from compat.index.additions import Addition
    from compat.model.releases import ReleaseMetadata


class ReleaseTables(Tables):
    """Looks up releases, which are named by their package and their index in the list of its versions.

    Args:
        path: the index file; by default the shipped one.

    Raises:
        IntegrityError: the file does not exist, or is not an index of this version.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        super().__init__(path)
        self.versions = lru_cache(maxsize=None)(self._read_versions)
        self._companions = lru_cache(maxsize=None)(self._read_companions)
        self.concluded = bool(self.rows("SELECT 1 FROM companions LIMIT 1"))
        """Whether the file contains the tables that `compat.index.build.precompute` fills."""

    def _read_versions(self, package: str) -> tuple[str, ...]:
        """Return the indexed versions of a package, oldest first."""
        query = "SELECT version FROM releases WHERE package = ? ORDER BY release_index"
        return tuple(version for (version,) in self.rows(query, self.packages[package]))

    def published(self, package: str) -> int:
        """Return the number of releases of a package. Builds and commits follow them in `versions`."""
        return len(self.versions(package))

    def addition(self, package: str, release_index: int) -> Addition | None:  # noqa: ARG002 -- see ExtendedIndex
        """Return the facts about a build or a commit; None for a release."""
        return None

    def nearest(self, package: str, release_index: int) -> int:  # noqa: ARG002 -- see ExtendedIndex
        """Return the index of the release that a build or a commit is nearest to; of a release, its own."""
        return release_index

    def release_index(self, package: str, version: str, where: str) -> int:
        """Return the index of a version in the ordered list of its package's releases.

        Raises:
            UsageError: `version` is not valid or not indexed; the message lists the nearest releases.
        """
        known = self.versions(package)
        if version in known:
            return known.index(version)
        from bisect import bisect_left

        from packaging.version import InvalidVersion, Version  # its import takes longer than a query

        try:
            wanted = Version(version)
        except InvalidVersion:
            raise UsageError(f"{where}: {version!r} is not a version (example: {known[-1]})") from None
        known = known[: self.published(package)]
        at = bisect_left(known, wanted, key=Version)
        if at < len(known) and Version(known[at]) == wanted:
            return at
        near = ", ".join(known[max(0, at - 2) : at + 2])
        raise UsageError(
            f"{where}: {package} {version} is not in the index (nearest: {near}); "
            f'run "compat index info" for all releases'
        )

    def knows(self, package: str, version: str) -> bool:
        """Return whether the index contains a release."""
        try:
            self.release_index(package, version, package)
        except (KeyError, UsageError):
            return False
        return True

    def requires_dist(self, package: str, release_index: int) -> tuple[str, ...]:
        """Return the Requires-Dist lines of a release."""
        import json

        query = "SELECT requires_dist FROM releases WHERE package = ? AND release_index = ?"
        ((text,),) = self.rows(query, self.packages[package], release_index)
        return tuple(json.loads(unpacked(text)))

    def releases(self, package: str) -> tuple[ReleaseMetadata, ...]:
        """Return the indexed releases of a package, oldest first."""
        import json

        from compat.model.releases import ReleaseMetadata

        query = """
            SELECT version, wheel, sha256, uploaded, requires_python, requires_dist FROM releases
            WHERE package = ? ORDER BY release_index"""
        return tuple(
            ReleaseMetadata(
                version=version,
                wheel=wheel,
                sha256=sha256,
                uploaded=uploaded,
                requires_python=requires_python,
                requires_dist=tuple(json.loads(unpacked(requires_dist))),
            )
            for version, wheel, sha256, uploaded, requires_python, requires_dist in self.rows(
                query, self.packages[package]
            )
        )

    def companions(self, package: str, release_index: int) -> dict[str, int]:
        """Return the kernel releases that a release pins, by package."""
        return self._companions(package)[release_index]

    def _read_companions(self, package: str) -> list[dict[str, int]]:
        names = {number: name for name, number in self.packages.items()}
        query = "SELECT companion, companion_index FROM companions WHERE package = ? ORDER BY release_index"
        rows = self.rows(query, self.packages[package])
        return [{} if companion is None else {names[companion]: at} for companion, at in rows]
