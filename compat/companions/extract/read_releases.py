"""Read the releases of distributions in several processes, and keep each result on disk."""

import hashlib
import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from email.parser import HeaderParser
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from compat._util.cache_database import cache_database
from compat.companions.extract import import_checks, lazy_tables, supply, wheel_modules
from compat.companions.extract.import_checks import ImportCheck, read_import_checks
from compat.companions.extract.supply import Supply, read_supply
from compat.companions.extract.wheel_modules import WheelModules
from compat.errors import IntegrityError
from compat.index.build.foreign_import_reader import ForeignImportReader
from compat.index.build.parse_pool import Key, ModuleReader, code_digest
from compat.index.extract.foreign_imports import ForeignImport
from compat.index.extract.module_rows import ModuleRows
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.source_cache import default_folder
from compat.wheels.wheel_files import WheelFileCache, WheelFiles

SELF_CONTAINED = frozenset({"torch", "numpy", "scipy", "ray", "triton"})
"""Distributions whose own imports are not followed: they are large and ask little of others."""
PROCESSES = 3
"""The number of processes: each waits for the network in part of its time."""
_MOST_KEPT = 20_000
"""The number of modules whose rows a process keeps in memory."""
_TABLE = "releases (key TEXT PRIMARY KEY, release BLOB)"
_CHUNK = 12
"""The number of consecutive releases that one process reads: neighbours share most of their files."""


class CompanionRelease(NamedTuple):
    """One release of a distribution, as far as it was read."""

    version: str
    uploaded: str | None
    yanked: bool
    requires_python: str | None
    requires_dist: tuple[str, ...]
    imports: tuple[str, ...]
    """The top-level modules that it provides."""
    supply: Supply
    checks: tuple[ImportCheck, ...]


class _Task(NamedTuple):
    wheels: tuple[WheelFile, ...]
    targets: tuple[str, ...]
    folders: tuple[str, ...]


class ReleasePool:
    """Processes that read releases; `with` ends them."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(PROCESSES, mp_context=get_context("forkserver"))

    def __enter__(self) -> "ReleasePool":  # noqa: PYI034 -- Self needs Python 3.11
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def read(
        self, wheels: Sequence[WheelFile], targets: Iterable[str], folders: Sequence[str] = ()
    ) -> Iterator[tuple[CompanionRelease, int]]:
        """Yield the releases of one distribution, each with the bytes that were fetched for it.

        A release whose wheel cannot be read is left out.

        Args:
            wheels: the releases to read.
            targets: the demanded locations.
            folders: folders below site-packages that other distributions add to the import path.

        Raises:
            NetworkError: the package index cannot be reached.
        """
        wanted = tuple(sorted(targets))
        chunks = [tuple(wheels[at : at + _CHUNK]) for at in range(0, len(wheels), _CHUNK)]
        for found in self._pool.map(_read_all, [_Task(chunk, wanted, tuple(folders)) for chunk in chunks]):
            yield from found


def _read_all(task: _Task) -> list[tuple[CompanionRelease, int]]:
    found = (_read_kept(wheel, task.targets, task.folders) for wheel in task.wheels)
    return [each for each in found if each is not None]


def _read_kept(
    wheel: WheelFile, targets: Sequence[str], folders: Sequence[str]
) -> tuple[CompanionRelease, int] | None:
    """Return a release from the results on disk, or read it; None if its wheel is damaged."""
    parts = [_code(), wheel.sha256, str(wheel.yanked), *folders, "", *targets]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    path = default_folder() / "companion-releases.sqlite"
    with cache_database(path, _TABLE) as database:
        row = database.execute("SELECT release FROM releases WHERE key = ?", (key,)).fetchone()
    if row is not None:
        return pickle.loads(zlib.decompress(row[0])), 0  # noqa: S301 -- written by this code into the user's own cache
    try:
        found, fetched = read_release(wheel, targets, folders)
    except IntegrityError:
        return None
    with cache_database(path, _TABLE) as database:
        packed = zlib.compress(pickle.dumps(found))
        database.execute("INSERT OR REPLACE INTO releases VALUES (?, ?)", (key, packed))
    return found, fetched


def read_release(
    wheel: WheelFile, targets: Sequence[str], folders: Iterable[str] = ()
) -> tuple[CompanionRelease, int]:
    """Return what a wheel has of some locations, and the number of bytes that were fetched for it.

    Args:
        wheel: the release to read.
        targets: the demanded locations.
        folders: folders below site-packages that other distributions add to the import path.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: the wheel is damaged.
    """
    registry, kept, reader, foreign = _tools()
    with WheelFiles(wheel, registry.session, kept) as files:
        modules = WheelModules(files, reader, foreign, folders)
        mine = [each for each in targets if each.partition(":")[0].partition(".")[0] in modules.imports]
        found = read_supply(modules, mine, shallow=wheel.package in SELF_CONTAINED)
        checks = read_import_checks(modules)
        metadata = HeaderParser().parsestr(files.metadata)
    release = CompanionRelease(
        version=str(wheel.version),
        uploaded=None if wheel.uploaded is None else wheel.uploaded.isoformat(timespec="seconds"),
        yanked=wheel.yanked,
        requires_python=metadata.get("Requires-Python"),
        requires_dist=tuple(metadata.get_all("Requires-Dist") or ()),
        imports=modules.imports,
        supply=found,
        checks=checks,
    )
    return release, files.fetched


class _KeepingReader(ModuleReader):
    """A reader that keeps rows in memory: consecutive releases have most modules in common."""

    def __init__(self, executor: Executor | None, folder: Path) -> None:
        super().__init__(executor, folder)
        self._kept: dict[Key, ModuleRows] = {}

    def known(self, keys: Iterable[Key]) -> dict[Key, ModuleRows]:
        """Return the rows of those modules that were read before, in this process or another."""
        wanted = list(keys)
        if len(self._kept) > _MOST_KEPT:
            self._kept.clear()
        self._kept.update(super().known(key for key in wanted if key not in self._kept))
        return {key: self._kept[key] for key in wanted if key in self._kept}


class _KeepingForeignReader(ForeignImportReader):
    """A reader that keeps in memory what modules take from other packages."""

    def __init__(self, executor: Executor | None, folder: Path) -> None:
        super().__init__(executor, folder)
        self._kept: dict[Key, tuple[ForeignImport, ...]] = {}

    def known(self, keys: Iterable[Key]) -> dict[Key, tuple[ForeignImport, ...]]:
        """Return the imports of those modules that were read before, in this process or another."""
        wanted = list(keys)
        if len(self._kept) > _MOST_KEPT:
            self._kept.clear()
        self._kept.update(super().known([key for key in wanted if key not in self._kept]))
        return {key: self._kept[key] for key in wanted if key in self._kept}


@cache
def _tools() -> tuple[Registry, WheelFileCache, ModuleReader, ForeignImportReader]:
    """Return the connection and the caches that all releases of a process share."""
    folder = default_folder()
    return (
        Registry(),
        WheelFileCache(),
        _KeepingReader(None, folder),
        _KeepingForeignReader(None, folder),
    )


@cache
def _code() -> str:
    """Return the digest of the code that reads a release."""
    read_by = (import_checks, lazy_tables, supply, wheel_modules)
    texts = (Path(str(module.__file__)).read_bytes() for module in read_by)
    return hashlib.sha256(b"".join([code_digest().encode(), *texts])).hexdigest()
