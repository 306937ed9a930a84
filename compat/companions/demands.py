"""Collect what every indexed release of sglang and vllm takes from other distributions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from compat._cli.progress import Progress, Silent
from compat.index.build.foreign_import_reader import ForeignImportReader
from compat.index.build.merge_releases import module_name
from compat.index.build.parse_pool import Key, key_of
from compat.index.extract.foreign_imports import ForeignImport
from compat.model.releases import IMPORT_NAMES
from compat.wheels.package_index import Registry
from compat.wheels.source_cache import SourceCache

DEMANDING = ("sglang", "vllm")
"""The packages whose demands are collected; the kernel packages import little."""


class Demand(NamedTuple):
    """One thing that a module takes from another distribution, in a range of releases."""

    package: str
    module: str
    target: str
    """`module` or `module:name`, as in `ForeignImport`."""
    form: str
    guard: str | None
    line: int
    first: int
    """Index of the first release."""
    last: int


def read_demands(
    registry: Registry,
    cache: SourceCache,
    executor: Executor | None,
    versions: Mapping[str, Sequence[str]],
    progress: Progress | None = None,
) -> tuple[Demand, ...]:
    """Return the demands of all given releases, ordered by package, module, target and release.

    Args:
        registry: the package index.
        cache: the cache of sources; files that were read once are not parsed again.
        executor: parses files; None for this process.
        versions: the versions of each package, oldest first.
        progress: advanced by one for each release.

    Raises:
        NetworkError: the package index cannot be reached.
    """
    progress = progress or Silent()
    reader = ForeignImportReader(executor, cache.folder.parent)
    found: list[Demand] = []
    for package, wanted in versions.items():
        wheels = {str(wheel.version): wheel for wheel in registry.wheels(package)}
        releases = (
            _release(cache.get(wheels[version], registry.session, progress).sources, package, reader)
            for version in wanted
        )
        found += _merged(package, _advancing(releases, progress))
    return tuple(sorted(found, key=lambda each: (*each[:4], each.first, each.line, each.guard or "")))


def _advancing(
    releases: Iterable[Mapping[str, tuple[ForeignImport, ...]]], progress: Progress
) -> Iterator[Mapping[str, tuple[ForeignImport, ...]]]:
    for release in releases:
        yield release
        progress.advance()


def _release(
    sources: Mapping[str, bytes], package: str, reader: ForeignImportReader
) -> Mapping[str, tuple[ForeignImport, ...]]:
    """Return the foreign imports of one release by module, without those of the other indexed packages."""
    wanted: dict[Key, tuple[bytes, bool]] = {}
    for path, source in sources.items():
        named = module_name(path)
        if named is not None and named[0].partition(".")[0] == IMPORT_NAMES[package]:
            wanted[key_of(named[0], source)] = source, named[1]
    return {key[0]: found for key, found in reader.read(wanted).items() if found}


def _merged(package: str, releases: Iterable[Mapping[str, tuple[ForeignImport, ...]]]) -> Iterator[Demand]:
    opened: dict[tuple[str, ForeignImport], int] = {}
    before: Mapping[str, tuple[ForeignImport, ...]] = {}
    at = -1
    for at, release in enumerate(releases):
        for module in before.keys() | release.keys():
            old, new = set(before.get(module, ())), set(release.get(module, ()))
            for gone in old - new:
                yield _demand(package, module, gone, opened.pop((module, gone)), at - 1)
            for fresh in new - old:
                opened[module, fresh] = at
        before = release
    for (module, each), first in opened.items():
        yield _demand(package, module, each, first, at)


def _demand(package: str, module: str, each: ForeignImport, first: int, last: int) -> Demand:
    return Demand(package, module, each.target, each.form, each.guard, each.line, first, last)
