"""Find the release that a source is nearest to, by the lines of its files."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from compat.source_outlines.reader import SourceOutlines, indexes
from compat.source_outlines.records import Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The release that has the most files in common with a source."""

    version: str
    same: int
    """The files that have the same lines in both."""
    changed: int
    added: int
    """The files that only the source has."""
    lacking: int
    """The files that only the release has."""
    new_paths: tuple[str, ...]
    """The files of the source that no release has."""

    def __str__(self) -> str:
        total = self.same + self.changed + self.lacking
        parts = [
            f"{self.same} of {total} files are the same",
            *([f"{self.changed} changed"] if self.changed else ()),
            *([f"{self.lacking} lacking"] if self.lacking else ()),
            *([f"{self.added} added"] if self.added else ()),
        ]
        return f"{self.version} ({', '.join(parts)})"


def nearest_release(
    outlines: SourceOutlines, package: str, files: Mapping[str, Outline], told: str | None
) -> Nearest | None:
    """Return the nearest release of a package; None if none has a file of the same path.

    Args:
        outlines: the outlines of the releases.
        package: the package.
        files: the outlines of the source files by their paths below site-packages.
        told: the version that the source tells; of equally near releases, it is preferred, else the newest.
    """
    if package not in outlines.packages:
        return None
    size: Counter[int] = Counter()
    same: Counter[int] = Counter()
    shared: Counter[int] = Counter()
    known = outlines.below(package, "")
    for path in known:
        mine = files.get(path)
        for content in outlines.contents(package, path):
            releases = indexes(content.releases)
            size.update(releases)
            if mine is not None:
                shared.update(releases)
                if content.lines == mine.lines:
                    same.update(releases)
    if not shared:
        return None
    versions = outlines.versions(package)
    best = max(shared, key=lambda at: (same[at] / (size[at] + len(files)), versions[at] == told, at))
    return Nearest(
        version=versions[best],
        same=same[best],
        changed=shared[best] - same[best],
        added=len(files) - shared[best],
        lacking=size[best] - shared[best],
        new_paths=tuple(sorted(files.keys() - set(known))),
    )
