"""Which releases the index covers, their wheels fetched in parallel, and the file written."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat.index.assemble import FactsCache, ReleaseSources, assemble
from compat.index.store import PackageContent, ReleaseRow, write_index
from compat.progress import Progress, Silent
from compat.releases import IMPORT_NAMES, KERNELS, PACKAGES, SGLANG, Release
from compat.wheels.archive import WheelSources
from compat.wheels.cache import SourceCache
from compat.wheels.registry import Registry

FETCHERS = 6
"""Wheels read at once: enough to hide the round trips of small ranges."""
READERS = 2
"""Processes that parse; parsing is all they do, so more than the cores there are gains nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a build read."""

    releases: int
    modules: int
    fetched: int
    """Bytes over the wire."""
    wheels: int
    """Bytes of the whole wheels."""


def build_index(target: Path, releases: Iterable[Release], progress: Progress | None = None) -> BuildReport:
    """Write the index of `releases`, and of the kernel releases that they pin, to `target`.

    Raises:
        UsageError: the package index has no such release.
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel differs from its digests.
    """
    progress = progress or Silent()
    registry, cache = Registry(), SourceCache()

    def fetch(release: Release) -> WheelSources:
        sources = cache.get(registry.wheel(release.package, release.version), registry.session, progress)
        progress.note(f"read {sources.wheel.filename} ({sources.fetched / 1e6:.1f} MB fetched)")
        return sources

    with ThreadPoolExecutor(FETCHERS) as fetchers:
        wanted = sorted(set(releases))
        fetched = dict(zip(wanted, fetchers.map(fetch, wanted), strict=True))
        kernels = sorted(
            {pin for release, sources in fetched.items() for pin in kernel_pins(release, sources)}
        )
        fetched.update(zip(kernels, fetchers.map(fetch, kernels), strict=True))
    with ProcessPoolExecutor(READERS) as readers:
        facts = FactsCache(readers)
        contents = [_content(package, fetched, facts) for package in PACKAGES]
    write_index(target, [content for content in contents if content.releases])
    return BuildReport(
        releases=len(fetched),
        modules=sum(len(sources.sources) for sources in fetched.values()),
        fetched=sum(sources.fetched for sources in fetched.values()),
        wheels=sum(sources.wheel.size or 0 for sources in fetched.values()),
    )


def kernel_pins(release: Release, sources: WheelSources) -> Iterator[Release]:
    """Yield the kernel releases that a release of sglang asks for by exact version, in whatever extra."""
    if release.package != SGLANG:
        return
    for line in requires_dist(sources.metadata):
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        for specifier in requirement.specifier if name in KERNELS else ():
            if specifier.operator == "==" and not specifier.version.endswith(".*"):
                yield Release(package=name, version=Version(specifier.version))


def requires_dist(metadata: str) -> tuple[str, ...]:
    """Return the Requires-Dist lines of a METADATA text."""
    return tuple(HeaderParser().parsestr(metadata).get_all("Requires-Dist") or ())


def _content(
    package: NormalizedName, fetched: dict[Release, WheelSources], facts: FactsCache
) -> PackageContent:
    mine = sorted(release for release in fetched if release.package == package)
    return assemble(package, IMPORT_NAMES[package], (_release(fetched[release]) for release in mine), facts)


def _release(sources: WheelSources) -> ReleaseSources:
    wheel = sources.wheel
    row = ReleaseRow(
        version=str(wheel.version),
        wheel=wheel.filename,
        sha256=wheel.sha256,
        uploaded=None if wheel.uploaded is None else wheel.uploaded.isoformat(timespec="seconds"),
        requires_python=HeaderParser().parsestr(sources.metadata).get("Requires-Python"),
        requires_dist=requires_dist(sources.metadata),
    )
    return ReleaseSources(row=row, sources=sources.sources, extensions=sources.extensions)
