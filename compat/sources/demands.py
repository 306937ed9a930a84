"""What sources take from other distributions: read once for each distinct file, and kept with their rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compat.companions.reader import Companions, PlacedDemand
from compat.index.build.foreign_import_reader import ForeignImportReader
from compat.index.build.merge_releases import module_files
from compat.index.build.parse_pool import processes
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES
from compat.sources.tables import extending, has_table, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compat.index.extract.foreign_imports import ForeignImport
    from compat.sources.stores.file_stores import FileStore
    from compat.sources.stores.package_roots import PackageRoot

_TABLE = "demands (package TEXT, version TEXT, target TEXT, module TEXT, form TEXT, guard TEXT, line INTEGER)"
_MANY = 60
"""From this many new files on, a second process saves more than its start takes."""


def add_demands(file: Path, store: FileStore, root: PackageRoot, package: str, cache: Path) -> None:
    """Add to the index file of a source what it takes from elsewhere, unless it is there.

    Raises:
        DiskError: the file or the cache cannot be written.
    """
    if _has_demands(file):
        return
    version = Index(file).versions(package)[-1]
    rows = [
        (package, version, each.target, module, each.form, each.guard, each.line)
        for module, found in sorted(_read(store, root, package, cache).items())
        for each in found
    ]
    with extending(file) as database:
        database.execute(f"CREATE TABLE {_TABLE}")
        database.executemany("INSERT INTO demands VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _read(
    store: FileStore, root: PackageRoot, package: str, cache: Path
) -> dict[str, tuple[ForeignImport, ...]]:
    top = IMPORT_NAMES[package]
    files = store.files(root.folder)
    sources = ((f"{top}/{path}", blob) for path, blob in files.items() if path.endswith(".py"))
    _, wanted = module_files(sources, (), top)
    found = ForeignImportReader(None, cache).known(wanted)
    new = {key: each for key, each in wanted.items() if key not in found}
    paths = [path[len(top) + 1 :] for path, _ in new.values()]
    contents = store.contents(root.folder, {path: files[path] for path in paths})
    jobs = {
        key: (content, is_package)
        for (key, (_, is_package)), content in zip(new.items(), contents, strict=True)
    }
    if len(jobs) < _MANY:
        found |= ForeignImportReader(None, cache).read(jobs)
    else:
        with processes() as pool:
            found |= ForeignImportReader(pool, cache).read(jobs)
    return {key[0]: each for key, each in found.items() if each}


def _has_demands(file: Path) -> bool:
    return has_table(file, "demands")


class CompanionsOfSources(Companions):
    """The shipped companions, with what sources take from other distributions.

    Args:
        files: the index files of the sources.
    """

    def __init__(self, files: Sequence[str]) -> None:
        super().__init__()
        self._files = [Path(file) for file in files if _has_demands(Path(file))]

    def demands(self, package: str, version: str) -> list[PlacedDemand]:
        query = "SELECT target, module, form, guard, line FROM demands WHERE package = ? AND version = ?"
        for file in self._files:
            with opened(file) as database:
                rows = database.execute(query, (package, version)).fetchall()
            if rows:
                return [PlacedDemand(*row) for row in rows]
        return super().demands(package, version)
