"""Check the index: fetch and read randomly drawn releases again, and compare them row by row."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version

from compat._cli.progress import Progress, Silent
from compat.index.build.build_index import release_of
from compat.index.build.merge_releases import MergedModule, assemble
from compat.index.build.parse_pool import ModuleReader
from compat.index.build.read_back import merged, replayed
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, Release
from compat.model.symbols import location
from compat.settings.collect import SettingsCollector
from compat.settings.releases import PackageSettings
from compat.wheels.package_index import Registry
from compat.wheels.wheel_sources import WheelSources, read_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference between the index and the wheel of a release."""

    release: Release
    where: str
    """`module` or `module:name`, a kind and a name of a setting, or `wheel`."""
    shipped: str
    read: str

    def __str__(self) -> str:
        return f"{self.release}: {self.where}: the index has {self.shipped}, the wheel gives {self.read}"


def draw(index: Index, size: int, seed: int) -> tuple[Release, ...]:
    """Return `size` random indexed releases, the same for equal seeds and indexes."""
    everything = [
        Release(package=package, version=Version(version))  # type: ignore[arg-type]
        for package in sorted(index.packages)
        for version in index.versions(package)
    ]
    return tuple(sorted(random.Random(seed).sample(everything, min(size, len(everything)))))  # noqa: S311


def check_releases(
    index: Index,
    releases: Sequence[Release],
    registry: Registry,
    progress: Progress | None = None,
    *,
    settings: Iterable[PackageSettings] = (),
    whole: bool = False,
) -> Iterator[Difference]:
    """Yield every difference between the index and the wheels of some releases, without a cache.

    Args:
        index: the index to check.
        releases: the releases to read again.
        registry: the package index.
        progress: advanced by one for each release.
        settings: the environment variables and options of the releases, to compare as well.
        whole: whether to download the whole wheels and verify their sha256.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel differs from its digests.
    """
    progress = progress or Silent()
    shipped = {each.package: each for each in settings}
    for release in sorted(releases):
        release_index = index.release_index(release.package, str(release.version), "release")
        sha256 = index.releases(release.package)[release_index].sha256
        modules = merged(index, release.package, release_index)
        wheel = registry.wheel(release.package, release.version)
        if wheel.sha256 != sha256:
            yield Difference(release=release, where="wheel", shipped=sha256, read=wheel.sha256)
        sources = read_sources(wheel, registry.session, progress, whole=whole)
        yield from _compare(release, modules, sources)
        if release.package in shipped:
            yield from _compare_settings(release, shipped[release.package], sources.sources)
        progress.advance()


def _compare(
    release: Release, modules: Sequence[MergedModule], sources: WheelSources
) -> Iterator[Difference]:
    content = assemble(release.package, IMPORT_NAMES[release.package], [release_of(sources)], ModuleReader())
    fresh = {module.name: module for module in next(replayed(content))}
    shipped = {module.name: module for module in modules}
    for module in sorted(shipped.keys() | fresh.keys()):
        one, other = shipped.get(module), fresh.get(module)
        if _form(one) != _form(other):
            yield Difference(release=release, where=module, shipped=_form(one), read=_form(other))
        if one is None or other is None:
            continue
        for name in sorted(one.names.keys() | other.names.keys()):
            if one.names.get(name) != other.names.get(name):
                where = location(module, name) if name else f"{module} (imports)"
                rows = str(one.names.get(name)), str(other.names.get(name))
                yield Difference(release=release, where=where, shipped=rows[0], read=rows[1])


def _compare_settings(
    release: Release, settings: PackageSettings, sources: Mapping[str, bytes]
) -> Iterator[Difference]:
    version = str(release.version)
    collector = SettingsCollector(release.package)
    collector.add(version, sources)
    known = settings.of(version) if version in settings.versions else set()
    fresh = collector.settings.of(version)
    for kind, name in sorted(known ^ fresh):
        shipped, read = ("it", "nothing") if (kind, name) in known else ("nothing", "it")
        yield Difference(release=release, where=f"{kind} {name}", shipped=shipped, read=read)


def _form(module: MergedModule | None) -> str:
    return "nothing" if module is None else f"{module.form}{', open' if module.open else ''}"
