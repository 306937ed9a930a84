"""Find the release that a source is nearest to, by the lines of its files."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compat.source_outlines.reader import Content, SourceOutlines, indexes
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
        told: the version that the source tells; of equally near releases it is preferred, else the newest.
    """
    if package not in outlines.packages:
        return None
    tally = _Tally()
    known = outlines.below(package, "")
    for path in known:
        tally.add(outlines.contents(package, path), files.get(path))
    if not tally.shared:
        return None
    versions = outlines.versions(package)
    best = max(
        tally.shared,
        key=lambda at: (tally.alike[at] / (tally.size[at] + len(files)), versions[at] == told, at),
    )
    return Nearest(
        version=versions[best],
        same=tally.same[best],
        changed=tally.shared[best] - tally.same[best],
        added=len(files) - tally.shared[best],
        lacking=tally.size[best] - tally.shared[best],
        new_paths=tuple(sorted(files.keys() - set(known))),
    )


def nearest_in_sample(
    outlines: SourceOutlines, package: str, files: Mapping[str, Outline]
) -> tuple[str, int]:
    """Return the release that is nearest to some files of a package, and how many are the same in it."""
    tally = _Tally()
    for path in sorted(files):
        tally.add(outlines.contents(package, path), files[path])
    versions = outlines.versions(package)
    best = max(range(len(versions)), key=lambda at: (tally.alike[at], at))
    return versions[best], tally.same[best]


class _Tally:
    """Counts, per release, the files that a source has in common with it."""

    def __init__(self) -> None:
        self.size: Counter[int] = Counter()
        self.shared: Counter[int] = Counter()
        self.same: Counter[int] = Counter()
        self.alike: defaultdict[int, float] = defaultdict(float)
        """The sum of how alike the shared files are, each from 0 to 1."""

    def add(self, contents: Sequence[Content], mine: Outline | None) -> None:
        """Count the contents that a file has in the releases; `mine` is its outline in the source."""
        lines = None if mine is None else Counter(mine.lines.replace(b"\0", b""))
        known = mine is not None and any(each.lines == mine.lines for each in contents)
        for content in contents:
            releases = indexes(content.releases)
            self.size.update(releases)
            if mine is None or lines is None:
                continue
            self.shared.update(releases)
            if content.lines == mine.lines:
                self.same.update(releases)
            likeness = float(content.lines == mine.lines) if known else _likeness(lines, content.lines)
            for at in releases:
                self.alike[at] += likeness


def _likeness(lines: Counter[int], other: bytes) -> float:
    """Return the share of lines of code that two files have in common, wherever they stand."""
    others = Counter(other.replace(b"\0", b""))
    total = lines.total() + others.total()
    return 2 * (lines & others).total() / total if total else 0.0
