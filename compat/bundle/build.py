"""Build a bundle: from a lock to a folder of compressed parts and a manifest."""

import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Protocol

from packaging.requirements import Requirement
from packaging.utils import NormalizedName
from packaging.version import Version

from compat._cli.progress import Progress
from compat._util.replace_folder import replacing_folder
from compat.bundle import completeness, pinned_requirements
from compat.bundle.archive.output_folder import check_output
from compat.bundle.archive.parts import Compressor, PartWriter
from compat.bundle.archive.tar import Entries, write_archive
from compat.bundle.archive.unpack import MANIFEST, exchange
from compat.bundle.manifest import Manifest, Packed
from compat.bundle.provided import Package, split
from compat.bundle.site_packages import SCRIPTS, Installed, install
from compat.bundle.trim.trim_files import Dropped, Trim
from compat.bundle.trim.trim_lists import TrimList
from compat.errors import NothingSelectedError
from compat.locks.lockfile import Lock
from compat.model.releases import Pair
from compat.wheels.platform_tags import PLATFORM

UNPACK = '#!/bin/sh\nexec "${PYTHON:-python3}" "$(dirname "$0")/unpack.py" "$@"\n'


class Stage(Protocol):
    """A function that opens the progress bar of one step, given a title and the number of units."""

    def __call__(
        self, title: str, total: int | None, *, unit_bytes: bool = False
    ) -> AbstractContextManager[Progress]:
        """Return the context manager that yields the progress object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleOptions:
    """The options of one bundle."""

    output: Path
    python: str
    platform: str = PLATFORM
    provided: tuple[Package, ...] = ()
    arch: int | None = None
    drops: tuple[str, ...] = ()
    trims: TrimList = field(default_factory=TrimList)
    part_size: int = 58_000_000
    level: int = 6
    threads: int = 2


def build(pair: Pair, lock: Lock, options: BundleOptions, stage: Stage) -> Manifest:
    """Build the bundle of `pair` in the folder `options.output`, and return its manifest.

    The folder is replaced in one step at the end; on an error it stays as it was.

    Raises:
        UsageError: a package has no wheel for the Python version and platform, a pattern matches no file, or
            the output folder holds something else than a bundle.
        NothingSelectedError: the runner has every package already.
        PreparationError: uv failed.
        OutOfTimeError: uv did not finish in time.
    """
    check_output(options.output)
    chosen = split(lock.packages, options.provided)
    skipped = _skipped(chosen.carried, options.trims)
    carried = {name: version for name, version in chosen.carried.items() if name not in skipped}
    if not carried:
        raise NothingSelectedError(
            f"{pair.id}: the runner has every package of the lock, so there is nothing to pack"
        )
    with replacing_folder(options.output, exchange) as folder:
        with tempfile.TemporaryDirectory(prefix=".site.", dir=folder) as temporary:
            installed = _install(lock, carried, options, Path(temporary), stage)
            dropped = _dropped(installed, options)
            entries = installed.entries(path for one in dropped for path in one.files)
            packed = _pack(entries, folder, options, stage)
            missing = completeness.unmet(
                installed.folder,
                tuple(map(Requirement, lock.inputs.requirements)),
                (*options.provided, *(Package(name=name, version=None) for name in skipped)),
                python=options.python,
                excused=pair.overrides.keys(),
            )
        manifest = Manifest(
            pair=pair.id,
            describe=pair.describe(),
            lock=lock.digest,
            python=options.python,
            platform=options.platform,
            arch=options.arch,
            packages=carried,
            left=chosen.left,
            differing=[one for one in chosen.differing if one.name in carried],
            skipped=skipped,
            dropped=dropped,
            contested=installed.contested,
            unmet=missing,
            level=options.level,
            packed=packed,
        )
        _finish(folder, manifest)
    return manifest


def _pack(entries: Entries, folder: Path, options: BundleOptions, stage: Stage) -> Packed:
    parts = PartWriter(folder, options.part_size)
    total = sum(
        len(source) if isinstance(source, bytes) else source.stat().st_size for source in entries.values()
    )
    with (
        stage("packing", total, unit_bytes=True) as progress,
        Compressor(parts, options.level, options.threads, progress) as target,
    ):
        write_archive(entries, target)
    return Packed(files=len(entries), bytes=total, blocks=tuple(target.blocks), parts=tuple(parts.parts))


def _skipped(packages: Mapping[NormalizedName, Version], trims: TrimList) -> dict[NormalizedName, str]:
    return {name: drop.reason for name in packages for drop in reversed(trims.packages) if drop.covers(name)}


def _install(
    lock: Lock, carried: Mapping[NormalizedName, Version], options: BundleOptions, folder: Path, stage: Stage
) -> Installed:
    if options.python == lock.inputs.python:
        hashes = pinned_requirements.locked_hashes(lock)
    else:
        from compat.wheels.package_index import Registry

        with (
            Registry() as registry,
            stage(f"finding wheels for Python {options.python}", len(carried)) as progress,
        ):
            hashes = pinned_requirements.other_hashes(carried, options.python, registry, progress)
    with stage("installing (seconds)", None) as progress:
        return install(
            pinned_requirements.requirements(carried, hashes),
            folder,
            python=options.python,
            platform=options.platform,
            progress=progress,
        )


def _dropped(installed: Installed, options: BundleOptions) -> tuple[Dropped, ...]:
    scripts = sorted(installed.scripts())
    sizes = {path: size for path, size in installed.sizes.items() if path not in set(scripts)}
    trim = Trim(python=options.python, arch=options.arch, drops=options.trims.files, requested=options.drops)
    # The size of a script depends on a path of this machine, so the manifest states 0 bytes.
    dropped_scripts = (Dropped(reason=SCRIPTS, files=tuple(scripts), bytes=0),) if scripts else ()
    return (*dropped_scripts, *trim.apply(sizes))


def _finish(folder: Path, manifest: Manifest) -> None:
    source = (resources.files("compat.bundle.archive") / "unpack.py").read_text(encoding="utf-8")
    (folder / "unpack.py").write_text(source, encoding="utf-8")
    (folder / "unpack.sh").write_text(UNPACK, encoding="utf-8")
    (folder / "unpack.sh").chmod(0o755)
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
