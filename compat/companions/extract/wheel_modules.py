"""The modules of one release of a distribution, each read when something asks for it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from compat.companions.extract.lazy_tables import LazyTable, listed_names, read_lazy_table
from compat.index.build.foreign_import_reader import ForeignImportReader
from compat.index.build.merge_releases import ExpandedModules, ModuleFile, add_namespaces, module_name
from compat.index.build.parse_pool import Key, ModuleReader
from compat.index.extract.foreign_imports import ForeignImport
from compat.index.extract.module_rows import ModuleRows
from compat.index.records import Names
from compat.requirements.install_paths import added_roots, extension_module, importable, installed_path
from compat.source_outlines.records import EMPTY
from compat.wheels.wheel_files import WheelFiles, hex_digest

_LISTED: dict[str, tuple[str, ...]] = {}
"""The names in `__all__` by digest of the file: most files of a release are those of the release before."""

_PASSED = re.compile(rb"^(?!delattr|getattr|hasattr)[\w.]+\(\s*sys\.modules\[__name__\]\s*[,)]", re.MULTILINE)
"""A statement such as `install_config_module(sys.modules[__name__])`."""
_CHANGED = re.compile(
    rb"^\w+\s*=\s*sys\.modules\[__name__\]|^\s*setattr\(\s*sys\.modules\[__name__\]"
    rb"|^\s*sys\.modules\[__name__\](?:\.\w+)?\s*=|\bvars\(sys\.modules\[__name__\]\)",
    re.MULTILINE,
)
"""A statement that sets names of its own module, replaces it, or names it to do so later."""

_UNREAD = ModuleRows(names={}, exports=None, withheld=(), open=True, stars=(), outline=EMPTY)
"""The rows of a module that is in the wheel but cannot be read."""


class WheelModules:
    """The modules of a wheel by name, with star imports expanded and lazy tables read.

    Args:
        wheel: the files of the wheel.
        reader: reads modules.
        foreign: reads what modules take from other packages.
        folders: folders below site-packages that other distributions add to the import path.
    """

    def __init__(
        self,
        wheel: WheelFiles,
        reader: ModuleReader,
        foreign: ForeignImportReader,
        folders: Iterable[str] = (),
    ) -> None:
        self.wheel = wheel
        self._reader = reader
        self._foreign = foreign
        self._paths: dict[str, str] = {}
        self.files: dict[str, ModuleFile] = {}
        roots = (*added_folders(wheel), *folders)
        self.imports = importable(wheel.record, roots)
        """The top-level modules that the wheel provides."""
        for path in wheel.record:
            self._add(path, roots)
        for name in list(self.files):
            add_namespaces(name, self.files)
        self._rows = _Rows(self)
        self._expanded = ExpandedModules(self.files, self._rows)
        self._tables: dict[str, LazyTable | None] = {}

    def form(self, module: str) -> str | None:
        """Return `package`, `module` or `extension`; None if the wheel does not contain the module."""
        found = self.files.get(module)
        return None if found is None else found.form

    def load(self, modules: Iterable[str]) -> None:
        """Read several modules at once, which takes fewer requests than one by one."""
        self._rows.load(modules)

    def names(self, module: str) -> Names:
        """Return the names that a module binds, each with its branches."""
        return self._expanded.names(module) if self._has_source(module) else {}

    def foreign(self, modules: Iterable[str]) -> dict[str, tuple[ForeignImport, ...]]:
        """Return what modules take from other packages, by module; of those without source, nothing."""
        keys = {key: module for module in modules if (key := self.key(module)) is not None}
        found = self._foreign.known(keys)
        jobs = self._jobs(key for key in keys if key not in found)
        read = self._foreign.read(jobs) if jobs else {}
        return {keys[key]: each for key, each in (found | read).items()}

    def is_open(self, module: str) -> bool:
        """Return whether a module may bind names that its source does not show."""
        return self._expanded.is_open(module) or self._may_change_itself(module)

    def _may_change_itself(self, module: str) -> bool:
        """Return whether a module sets names in itself, or passes itself to a function that may do so."""
        source = (self.source(module) or b"") if module in self._paths else b""
        return any(pattern.search(source) for pattern in (_PASSED, _CHANGED))

    def listed(self, modules: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the names that modules list in `__all__`, without parsing the modules."""
        paths = {self._paths[module]: module for module in modules}
        unread = [path for path in paths if self.wheel.record[path] not in _LISTED]
        for path, source in self.wheel.read(unread).items():
            _LISTED[self.wheel.record[path]] = listed_names(source)
        return {module: _LISTED.get(self.wheel.record[path], ()) for path, module in paths.items()}

    def lazy_table(self, module: str) -> LazyTable | None:
        """Return the table from which a package loads its names lazily; None for most packages."""
        if module not in self._tables:
            source = self.source(module) if self.form(module) == "package" else None
            self._tables[module] = None if source is None else read_lazy_table(source)
        return self._tables[module]

    def source(self, module: str) -> bytes | None:
        """Return the source of a module; None if it has none."""
        path = self._paths.get(module)
        return None if path is None else self.wheel.read([path]).get(path)

    def may_create(self, module: str, name: str) -> bool:
        """Return whether a module mentions a name as text, and so may bind it while it runs or on demand."""
        source = self.source(module) or b""
        return any(quote + name.encode() + quote in source for quote in (b'"', b"'"))

    def below(self, package: str) -> Iterator[str]:
        """Yield the modules below a package, sorted."""
        yield from sorted(name for name in self._paths if name.startswith(f"{package}."))

    def read(self, keys: Iterable[Key]) -> dict[Key, ModuleRows]:
        """Return the rows of modules, from the cache or from the wheel."""
        wanted = list(dict.fromkeys(keys))
        found = self._reader.known(wanted)
        return found | self._reader.read(self._jobs(key for key in wanted if key not in found))

    def _jobs(self, keys: Iterable[Key]) -> dict[Key, tuple[bytes, bool]]:
        """Return the source of each module, and whether it is a package."""
        paths = {self._paths[key[0]]: key for key in keys}
        contents = self.wheel.read(paths)
        return {
            key: (contents[path], self.files[key[0]].form == "package")
            for path, key in paths.items()
            if path in contents
        }

    def key(self, module: str) -> Key | None:
        """Return the key of a module's rows; None if it has no source."""
        found = self.files.get(module)
        return None if found is None else found.key

    def _has_source(self, module: str) -> bool:
        return self.key(module) is not None

    def _add(self, path: str, roots: Iterable[str]) -> None:
        named = _module(path, roots)
        if named is None:
            return
        name, form = named
        if form == "extension":
            self.files.setdefault(name, ModuleFile("extension", None))
            return
        digest = hex_digest(self.wheel.record[path])
        if digest is None:
            return
        is_package = form == "package"
        if name in self.files and self.files[name].form == "package" and not is_package:
            return  # `x/__init__.py` hides `x.py`
        self.files[name] = ModuleFile("package" if is_package else "module", (name, digest))
        self._paths[name] = path


def added_folders(wheel: WheelFiles) -> tuple[str, ...]:
    """Return the folders below site-packages that the wheel adds to the import path."""
    added = [path for path in wheel.record if path.endswith(".pth") and "/" not in path]
    texts = wheel.read(added).values()
    return tuple(root for text in texts for root in added_roots(text.decode(errors="replace")))


def module_digests(wheel: WheelFiles, folders: Iterable[str] = ()) -> dict[str, int]:
    """Return the first 32 bits of the digest of each module in a wheel, of extension modules as well.

    Args:
        wheel: the files of the wheel.
        folders: folders below site-packages that other distributions add to the import path.
    """
    roots = (*added_folders(wheel), *folders)
    found: dict[str, int] = {}
    for path, text in wheel.record.items():
        named = _module(path, roots)
        digest = hex_digest(text) if named is not None else None
        if named is not None and digest is not None:
            found[named[0]] = int(digest[:8], 16)
    return found


def _module(path: str, roots: Iterable[str]) -> tuple[str, str] | None:
    """Return the name and form of the module in a file of a wheel; None for other files."""
    placed = installed_path(path)
    if placed is None:
        return None
    for root in roots:
        placed = placed.removeprefix(f"{root}/")
    extension = extension_module(placed)
    if extension is not None:
        return ".".join([*PurePosixPath(placed).parent.parts, extension]), "extension"
    named = module_name(placed) if placed.endswith(".py") else None
    return None if named is None else (named[0], "package" if named[1] else "module")


class _Rows(dict[Key, ModuleRows]):
    """The rows of the modules that were asked for; a module that was not is read at once."""

    def __init__(self, modules: WheelModules) -> None:
        super().__init__()
        self._modules = modules

    def __missing__(self, key: Key) -> ModuleRows:
        self.load([key[0]])
        return self.setdefault(key, _UNREAD)

    def load(self, modules: Iterable[str]) -> None:
        keys = {self._modules.key(module) for module in modules}
        missing = sorted(key for key in keys if key is not None and key not in self)
        if missing:
            self.update(self._modules.read(missing))
