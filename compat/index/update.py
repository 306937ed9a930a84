"""Adding to an index the releases that the package index has and it lacks; nothing else is fetched."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from packaging.version import Version

from compat.index.assemble import MergedModule, ReleaseSources, expand, merge
from compat.index.build import BuildReport, counted, sources_ahead
from compat.index.modules import ModuleReader
from compat.index.reader import Index
from compat.index.replay import read_content, replayed
from compat.index.store import PackageContent, ReleaseRow, write_index
from compat.progress import Progress, Silent
from compat.releases import IMPORT_NAMES, PACKAGES, Release
from compat.wheels.cache import SourceCache
from compat.wheels.registry import Registry

Merged = tuple[ReleaseRow, Iterable[MergedModule]]


def update_index(
    source: Path,
    target: Path,
    progress: Progress | None = None,
    *,
    registry: Registry | None = None,
    cache: SourceCache | None = None,
    packages: Sequence[str] = PACKAGES,
) -> tuple[tuple[Release, ...], BuildReport]:
    """Write the index `source`, with all releases that it lacks, to `target`; return these releases.

    The result is, byte for byte, what a whole build gives, as long as no known release has changed. When
    nothing is new `target` is left alone.

    Args:
        source: the index to start from.
        target: the file to replace; may be `source`.
        progress: advanced by one for each new release.
        registry: the package index; the configured one unless told otherwise.
        cache: where sources are kept; the user's cache unless told otherwise.
        packages: the distributions to cover.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel differs from its digests, or `source` is no index of this format.
    """
    progress = progress or Silent()
    registry, cache = registry or Registry(), cache or SourceCache()
    index, report = Index(source), BuildReport()
    added: list[Release] = []
    contents: list[PackageContent] = []
    for package in packages:
        known = set(index.versions(package)) if package in index.packages else set()
        new = [wheel for wheel in registry.wheels(package) if str(wheel.version) not in known]
        added.extend(Release(package=wheel.package, version=wheel.version) for wheel in new)
        content = read_content(index, package) if known else None
        if new or content is None:
            sources = sources_ahead(new, lambda wheel: cache.get(wheel, registry.session, progress))
            fresh = _fresh(package, counted(sources, report, progress))
            content = merge(package, IMPORT_NAMES[package], _in_order(_kept(content), fresh))
        contents.append(content)
    if added:
        write_index(target, contents)
    return tuple(added), report


def _fresh(package: str, releases: Iterable[ReleaseSources]) -> Iterator[Merged]:
    reader = ModuleReader()
    for release in releases:
        yield release.row, expand(release, IMPORT_NAMES[package], reader)


def _kept(content: PackageContent | None) -> Iterator[Merged]:
    if content is not None:
        yield from zip(content.releases, replayed(content), strict=True)


def _in_order(one: Iterator[Merged], other: Iterator[Merged]) -> Iterator[Merged]:
    """Yield two series of releases, each in order, as one; only the next of each is held."""
    left, right = next(one, None), next(other, None)
    while left or right:
        if right is None or (left is not None and Version(left[0].version) < Version(right[0].version)):
            assert left is not None  # noqa: S101 -- the loop's condition
            yield left
            left = next(one, None)
        else:
            yield right
            right = next(other, None)
