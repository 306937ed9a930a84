"""Build the data file of the settings: the environment variables and options of the indexed releases."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from compat._cli.progress import Progress, Silent
from compat.errors import IntegrityError
from compat.model.releases import SGLANG, VLLM
from compat.settings.collect import SettingsCollector, write_settings
from compat.settings.releases import PackageSettings, read_packages
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.source_cache import SourceCache

PACKAGES = (SGLANG, VLLM)
"""The packages whose settings are kept."""


def build_settings(
    target: Path,
    versions: Mapping[str, Sequence[str]],
    registry: Registry,
    cache: SourceCache,
    progress: Progress | None = None,
    *,
    known: Path | None = None,
) -> None:
    """Write the settings of some releases to `target`.

    Args:
        target: the file to replace.
        versions: the releases of each package, in order.
        registry: the package index.
        cache: the cache of sources.
        progress: receives notes, and is advanced by one for each release that is read.
        known: a data file whose releases are not read again; by default, all are.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: a wheel differs from its digests.
    """
    progress = progress or Silent()
    before = {each.package: each for each in _known(known)}
    collected = []
    for package in PACKAGES:
        collector, old = SettingsCollector(package), before.get(package)
        wheels: dict[str, WheelFile] = {}
        for version in versions.get(package, ()):
            if old is not None and version in old.versions:
                collector.settings.put(version, old.of(version), old.notes)
                continue
            wheels = wheels or {str(each.version): each for each in registry.wheels(package)}
            collector.add(version, cache.get(wheels[version], registry.session, progress).sources)
            progress.advance()
        collected.append(collector.settings)
    write_settings(target, collected)


def _known(path: Path | None) -> list[PackageSettings]:
    try:
        return read_packages(path) if path is not None else []
    except IntegrityError:
        return []  # every release is read
