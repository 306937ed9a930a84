"""Add the new releases of the package index to the index, and fetch nothing else."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from packaging.version import Version

from compat._cli.progress import Progress, Silent
from compat.index.build.build_index import OUTLINED, BuildReport, counted, sources_ahead
from compat.index.build.merge_releases import MergedRelease, ReleaseSources, merge, read_release
from compat.index.build.parse_pool import ModuleReader
from compat.index.build.precompute import conclude
from compat.index.build.read_back import read_content, replayed
from compat.index.build.settings import build_settings
from compat.index.history.release_diff import SuccessorFinder, by_step
from compat.index.reader import Index
from compat.index.records import Successor
from compat.index.writer import PackageContent, write_index
from compat.model.releases import IMPORT_NAMES, PACKAGES, Release, ReleaseMetadata
from compat.settings.releases import NAME as SETTINGS
from compat.source_outlines.format import NAME
from compat.source_outlines.reader import SourceOutlines, outlines_by_release
from compat.source_outlines.records import Outline
from compat.source_outlines.writer import PackageOutlines, write_outlines
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.source_cache import SourceCache
from compat.wheels.wheel_sources import WheelSources


def update_index(
    source: Path,
    target: Path,
    progress: Progress | None = None,
    *,
    registry: Registry | None = None,
    cache: SourceCache | None = None,
    packages: Sequence[str] = PACKAGES,
) -> tuple[tuple[Release, ...], BuildReport]:
    """Write the index `source` with all new releases to `target`, and return the new releases.

    The result is byte-identical to that of a full build, as long as no known release has changed. If
    there is no new release, `target` is not written.

    Args:
        source: the index to start from.
        target: the file to replace; may be `source`.
        progress: advanced by one for each new release.
        registry: the package index; by default the configured one.
        cache: the cache of sources; by default the user's cache.
        packages: the distributions to index.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel differs from its digests, or `source` is not an index of this format.
    """
    progress = progress or Silent()
    registry, cache = registry or Registry(), cache or SourceCache()
    index, report = Index(source), BuildReport()
    added: list[Release] = []
    contents: list[PackageContent] = []
    outlined: list[PackageOutlines] = []
    for package in packages:
        known = set(index.versions(package)) if package in index.packages else set()
        new = [wheel for wheel in registry.wheels(package) if str(wheel.version) not in known]
        added.extend(Release(package=wheel.package, version=wheel.version) for wheel in new)
        content = read_content(index, package) if known else None
        outlines: dict[str, Mapping[str, Outline]] = _outlines_of(source, package)
        if new or content is None:
            read = partial(_read, cache, registry, progress)
            fresh = _fresh(package, counted(sources_ahead(new, read), report, progress), outlines)
            content = merge(
                package,
                IMPORT_NAMES[package],
                _in_order(_kept(content, read, registry), fresh),
                SuccessorFinder(known=_known_steps(content)),
            )
        contents.append(content)
        if package in OUTLINED:
            outlined.append(PackageOutlines(package))
            for row in content.releases:
                outlined[-1].add(row.version, outlines[row.version])
    if added:
        write_index(target, contents, conclude)
        write_outlines(target.with_name(NAME), outlined)
        versions = {each.package: [row.version for row in each.releases] for each in contents}
        before = source.with_name(SETTINGS)
        build_settings(target.with_name(SETTINGS), versions, registry, cache, progress, known=before)
    return tuple(added), report


def _outlines_of(source: Path, package: str) -> dict[str, Mapping[str, Outline]]:
    """Return the outlines of each release of a package beside an index, by version."""
    if package not in OUTLINED:
        return {}
    outlines = SourceOutlines(source.with_name(NAME))
    return dict(zip(outlines.versions(package), outlines_by_release(outlines, package), strict=True))


def _read(cache: SourceCache, registry: Registry, progress: Progress, wheel: WheelFile) -> WheelSources:
    return cache.get(wheel, registry.session, progress)


def _fresh(
    package: str, releases: Iterable[ReleaseSources], outlines: dict[str, Mapping[str, Outline]]
) -> Iterator[MergedRelease]:
    """Yield new releases with their modules, and put the outlines of each into `outlines` by its version."""
    reader = ModuleReader()
    for release in releases:
        yield read_release(release, IMPORT_NAMES[package], reader, outlines.__setitem__)


def _kept(
    content: PackageContent | None, read: Callable[[WheelFile], WheelSources], registry: Registry
) -> Iterator[MergedRelease]:
    """Yield the releases of an index; the wheel of a release is read only if its neighbour is new."""
    if content is None:
        return
    for row, modules in zip(content.releases, replayed(content), strict=True):
        yield MergedRelease(row, modules, partial(_sources, content.package, row, read, registry))


def _sources(
    package: str, row: ReleaseMetadata, read: Callable[[WheelFile], WheelSources], registry: Registry
) -> Mapping[str, bytes]:
    return read(registry.wheel(package, Version(row.version))).sources


def _known_steps(content: PackageContent | None) -> dict[tuple[str, str], list[Successor]]:
    if content is None:
        return {}
    return by_step([row.version for row in content.releases], content.successors)


def _in_order(one: Iterator[MergedRelease], other: Iterator[MergedRelease]) -> Iterator[MergedRelease]:
    """Yield two ordered series of releases as one, with one release of each in memory."""
    left, right = next(one, None), next(other, None)
    while left or right:
        if right is None or (left is not None and Version(left.row.version) < Version(right.row.version)):
            assert left is not None  # noqa: S101 -- the loop's condition
            yield left
            left = next(one, None)
        else:
            yield right
            right = next(other, None)
