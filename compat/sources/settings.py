"""The environment variables that sources read, and the options that they have, kept with their rows."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES
from compat.settings.collect import SettingsCollector
from compat.settings.releases import PackageSettings
from compat.sources.stores.file_stores import FileStore
from compat.sources.stores.package_roots import PackageRoot
from compat.sources.tables import extending, has_table, opened

_TABLE = "settings (package TEXT, version TEXT, kind TEXT, name TEXT)"
_NOTES = "setting_notes (package TEXT, version TEXT, name TEXT, text TEXT)"


def add_settings(file: Path, store: FileStore, root: PackageRoot, package: str) -> None:
    """Add to the index file of a source which settings it has, unless they are there.

    Raises:
        DiskError: the file cannot be written.
    """
    if _has_settings(file):
        return
    version = Index(file).versions(package)[-1]
    files = {path: blob for path, blob in store.files(root.folder).items() if path.endswith(".py")}
    top = IMPORT_NAMES[package]
    contents = store.contents(root.folder, files)
    collector = SettingsCollector(package)
    collector.add(version, {f"{top}/{path}": content for path, content in zip(files, contents, strict=True)})
    found = collector.settings
    with extending(file) as database:
        database.execute(f"CREATE TABLE {_TABLE}")
        database.execute(f"CREATE TABLE {_NOTES}")
        database.executemany(
            "INSERT INTO settings VALUES (?, ?, ?, ?)",
            [(package, version, *key) for key in sorted(found.found)],
        )
        database.executemany(
            "INSERT INTO setting_notes VALUES (?, ?, ?, ?)",
            [(package, version, *note) for note in sorted(found.notes.items())],
        )


def put_settings(packages: Iterable[PackageSettings], files: Sequence[str]) -> None:
    """Add the settings of sources to those of the releases: each source is one more release.

    Args:
        packages: the settings of the releases.
        files: the index files of the sources; those without settings are left out.
    """
    for file in filter(_has_settings, map(Path, files)):
        with opened(file) as database:
            for package in packages:
                query = "SELECT DISTINCT version FROM settings WHERE package = ?"
                for (version,) in database.execute(query, (package.package,)).fetchall():
                    place = package.package, version
                    rows = database.execute(
                        "SELECT kind, name FROM settings WHERE package = ? AND version = ?", place
                    )
                    notes = database.execute(
                        "SELECT name, text FROM setting_notes WHERE package = ? AND version = ?", place
                    )
                    package.put(version, rows.fetchall(), dict(notes.fetchall()))


def _has_settings(file: Path) -> bool:
    return has_table(file, "settings")
