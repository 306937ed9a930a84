"""Build the index: fetch the wheels in parallel, extract their rows, and write the file."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from compat._cli.progress import Progress, Silent
from compat.index.build.merge_releases import ReleaseSources, assemble
from compat.index.build.parse_pool import ModuleReader, processes
from compat.index.build.precompute import conclude
from compat.index.build.settings import build_settings
from compat.index.history.release_diff import SuccessorFinder
from compat.index.writer import PackageContent, write_index
from compat.model.releases import IMPORT_NAMES, PACKAGES, SGLANG, VLLM, ReleaseMetadata
from compat.settings.releases import NAME as SETTINGS
from compat.source_outlines.format import NAME
from compat.source_outlines.writer import PackageOutlines, write_outlines
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.source_cache import SourceCache
from compat.wheels.wheel_sources import WheelSources

OUTLINED = (SGLANG, VLLM)
"""The packages whose source files are outlined."""
FETCHERS = 6
"""The number of wheels read in parallel: enough to hide the round trips of small ranges."""
AHEAD = 8
"""The maximum number of unpacked wheels in memory: about 30 MB each."""


@dataclass(slots=True, kw_only=True)
class BuildReport:
    """The counts of a build, updated while it runs."""

    releases: int = 0
    files: int = 0
    fetched: int = 0
    """The number of downloaded bytes."""
    wheels: int = 0
    """The size of the whole wheels in bytes."""


def build_index(
    target: Path,
    progress: Progress | None = None,
    *,
    registry: Registry | None = None,
    cache: SourceCache | None = None,
    packages: Sequence[str] = PACKAGES,
) -> BuildReport:
    """Write an index of all releases with a wheel to `target`, and outlines and settings to files beside it.

    Sources and rows are kept in the user's cache, so an interrupted build can be resumed.

    Args:
        target: the file to replace.
        progress: advanced by one for each release.
        registry: the package index; by default the configured one.
        cache: the cache of sources and rows; by default the user's cache.
        packages: the distributions to index.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel differs from its digests.
    """
    progress = progress or Silent()
    registry, cache = registry or Registry(), cache or SourceCache()
    report = BuildReport()
    with processes() as pool:
        reader = ModuleReader(pool, cache.folder.parent)
        contents: list[PackageContent] = []
        outlined: list[PackageOutlines] = []
        for package in packages:
            wheels = registry.wheels(package)
            sources = sources_ahead(wheels, lambda wheel: cache.get(wheel, registry.session, progress))
            releases = counted(sources, report, progress)
            finder = SuccessorFinder(executor=pool, folder=cache.folder.parent)
            outlines = PackageOutlines(package)
            outlined += [outlines] if package in OUTLINED else []
            keep = outlines.add if package in OUTLINED else None
            contents.append(assemble(package, IMPORT_NAMES[package], releases, reader, finder, keep))
    write_index(target, contents, conclude)
    write_outlines(target.with_name(NAME), outlined)
    versions = {each.package: [row.version for row in each.releases] for each in contents}
    build_settings(target.with_name(SETTINGS), versions, registry, cache, progress)
    return report


def release_of(sources: WheelSources) -> ReleaseSources:
    """Return the metadata and sources of a wheel for the index."""
    wheel = sources.wheel
    metadata = HeaderParser().parsestr(sources.metadata)
    row = ReleaseMetadata(
        version=str(wheel.version),
        wheel=wheel.filename,
        sha256=wheel.sha256,
        uploaded=None if wheel.uploaded is None else wheel.uploaded.isoformat(timespec="seconds"),
        requires_python=metadata.get("Requires-Python"),
        requires_dist=tuple(metadata.get_all("Requires-Dist") or ()),
    )
    return ReleaseSources(row=row, sources=sources.sources, extensions=sources.extensions)


def sources_ahead(
    wheels: Iterable[WheelFile], read: Callable[[WheelFile], WheelSources]
) -> Iterator[WheelSources]:
    """Yield the sources of wheels in order, while a limited number of the next wheels is read."""
    waiting: deque[Future[WheelSources]] = deque()
    with ThreadPoolExecutor(FETCHERS) as fetchers:
        try:
            for wheel in wheels:
                waiting.append(fetchers.submit(read, wheel))
                if len(waiting) >= AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def counted(
    sources: Iterable[WheelSources], report: BuildReport, progress: Progress
) -> Iterator[ReleaseSources]:
    """Yield the metadata and sources of each release, and count them in `report`."""
    for each in sources:
        report.releases += 1
        report.files += len(each.sources)
        report.fetched += each.fetched
        report.wheels += each.wheel.size or 0
        yield release_of(each)
        progress.advance()
