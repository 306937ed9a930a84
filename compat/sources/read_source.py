"""Read the modules of a source with the visitor that reads releases; what was read before is not parsed."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from compat.index.build.merge_releases import ExpandedModules, module_files
from compat.index.build.parse_pool import Key, ModuleReader, processes
from compat.index.extract.module_rows import ModuleRows
from compat.model.releases import IMPORT_NAMES
from compat.requirements.install_paths import extension_module
from compat.sources.stores.file_stores import FileStore
from compat.sources.stores.package_roots import PackageRoot

_MANY = 60
"""From this many new files on, a second process saves more than its start takes."""


class SourceReader:
    """Reads sources one after another, and keeps the rows of the last one: neighbours share most files.

    Args:
        folder: the cache folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[Key, ModuleRows] = {}
        self.parsed = 0
        """The number of files that were parsed."""

    def read(self, store: FileStore, root: PackageRoot, package: str) -> ExpandedModules:
        """Return the modules of a source, with star imports expanded."""
        top = IMPORT_NAMES[package]
        files = store.files(root.folder)
        sources = ((f"{top}/{path}", blob) for path, blob in files.items() if path.endswith(".py"))
        compiled = (f"{top}/{path}" for path in files if path.endswith(".so") and extension_module(path))
        modules, wanted = module_files(sources, compiled, top)
        found = {key: self._kept[key] for key in wanted if key in self._kept}
        found |= ModuleReader(folder=self._folder).known(key for key in wanted if key not in found)
        found |= self._parse(
            {key: each for key, each in wanted.items() if key not in found},
            lambda paths: store.contents(root.folder, {path: files[path] for path in paths}),
            len(top) + 1,
        )
        self._kept = found
        return ExpandedModules(modules, found)

    def _parse(
        self,
        wanted: Mapping[Key, tuple[str, bool]],
        contents: Callable[[list[str]], Iterable[bytes]],
        start: int,
    ) -> dict[Key, ModuleRows]:
        """Return the rows of new files, and keep them on disk; `start` is the length of the folder's name."""
        if not wanted:
            return {}
        self.parsed += len(wanted)
        read = contents([path[start:] for path, _ in wanted.values()])
        jobs = {
            key: (content, is_package)
            for (key, (_, is_package)), content in zip(wanted.items(), read, strict=True)
        }
        if len(jobs) < _MANY:
            return ModuleReader(folder=self._folder).read(jobs)
        with processes() as pool:
            return ModuleReader(pool, self._folder).read(jobs)
