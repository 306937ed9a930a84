"""Convert the sources of releases into release ranges: read modules, expand star imports, merge releases."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from compat.index.build.parse_pool import Key, ModuleReader, digest_of
from compat.index.extract.bindings import Event
from compat.index.extract.module_rows import ModuleRows, rows_of
from compat.index.history.release_diff import Sources, SuccessorFinder
from compat.index.records import Names
from compat.index.writer import ModuleRange, NameRange, PackageContent
from compat.model.guards import ALWAYS, Imports, both
from compat.model.releases import ReleaseMetadata
from compat.source_outlines.records import Outline

Keep = Callable[[str, Mapping[str, Outline]], None]
"""Takes the version of a release, and the outlines of its source files by path."""


class MergedModule(NamedTuple):
    """One module of one release, with star imports expanded."""

    name: str
    form: str
    """`package`, `module` or `extension`."""
    names: Names
    open: bool
    """Whether it may bind names that its source does not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSources:
    """The metadata, sources and compiled modules of one release."""

    row: ReleaseMetadata
    sources: Mapping[str, bytes]
    """Maps the paths of `.py` files, relative to site-packages, to their content."""
    extensions: tuple[str, ...]
    """The paths of compiled modules, relative to site-packages."""

    def read_sources(self) -> Mapping[str, bytes]:
        """Return the sources, as `Sources` requires."""
        return self.sources


class MergedRelease(NamedTuple):
    """One release with its modules, as `merge` takes it."""

    row: ReleaseMetadata
    modules: Sequence[MergedModule]
    sources: Sources


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """The form and source key of one module of a release."""

    form: str
    key: Key | None
    """None for a module without source: a compiled one, or a folder without `__init__.py`."""


def assemble(  # noqa: PLR0917 -- the last two are optional
    package: str,
    import_name: str,
    releases: Iterable[ReleaseSources],
    reader: ModuleReader,
    finder: SuccessorFinder | None = None,
    keep: Keep | None = None,
) -> PackageContent:
    """Return the rows of all releases of one package.

    Args:
        package: the distribution.
        import_name: its top-level import name; other modules are left out.
        releases: its releases in version order; each is read once and not kept.
        reader: reads the modules.
        finder: finds the successors of removed definitions; by default a new one.
        keep: called with the version of each release and the outlines of its source files.
    """
    read = (read_release(each, import_name, reader, keep) for each in releases)
    return merge(package, import_name, read, finder or SuccessorFinder())


def read_release(
    release: ReleaseSources, import_name: str, reader: ModuleReader, keep: Keep | None = None
) -> MergedRelease:
    """Return one release with its modules; `keep` gets its version and the outlines of its source files."""
    digests = ((path, digest_of(source)) for path, source in release.sources.items())
    modules, files = module_files(digests, release.extensions, import_name)
    wanted = {key: (release.sources[path], is_package) for key, (path, is_package) in files.items()}
    expanded = ExpandedModules(modules, reader.read(wanted))
    if keep is not None:
        keep(release.row.version, expanded.outlines())
    return MergedRelease(release.row, tuple(expanded), release.read_sources)


def merge(
    package: str, import_name: str, releases: Iterable[MergedRelease], finder: SuccessorFinder
) -> PackageContent:
    """Return the rows of releases in version order, merged into ranges without changes.

    A module whose names are the same object as in the release before counts as unchanged.
    """
    merger = _Merger()
    rows: list[ReleaseMetadata] = []
    for release_index, release in enumerate(releases):
        merger.add(release_index, release.modules)
        bound = {module.name: module.names for module in release.modules}
        finder.add(release.row.version, bound, release.sources)
        rows.append(release.row)
    module_ranges, names = merger.close(len(rows) - 1)
    return PackageContent(
        package=package,
        imports=(import_name,),
        releases=tuple(rows),
        module_ranges=module_ranges,
        names=names,
        successors=finder.close(),
    )


def module_name(path: str) -> tuple[str, bool] | None:
    """Return the module name of a path, and whether it is a package; None if it is not importable."""
    parts = list(PurePosixPath(path).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    if is_package:
        parts.pop()
    return (".".join(parts), is_package) if parts and all(part.isidentifier() for part in parts) else None


def module_files(
    files: Iterable[tuple[str, str]], extensions: Iterable[str], import_name: str
) -> tuple[dict[str, ModuleFile], dict[Key, tuple[str, bool]]]:
    """Return the modules of a release by name, and the files to read: each path, and whether it is a package.

    Args:
        files: the paths of the source files below site-packages, each with the digest of its content.
        extensions: the paths of the compiled modules.
        import_name: the top-level import name; other modules are left out.
    """
    modules: dict[str, ModuleFile] = {}
    wanted: dict[Key, tuple[str, bool]] = {}
    for path in extensions:
        name = ".".join([*PurePosixPath(path).parent.parts, PurePosixPath(path).name.partition(".")[0]])
        if name.partition(".")[0] == import_name:
            modules[name] = ModuleFile("extension", None)
    for path, digest in files:
        named = module_name(path)
        if named is None or named[0].partition(".")[0] != import_name:
            continue
        name, is_package = named
        if name in modules and modules[name].form == "package":
            continue  # `x/__init__.py` hides `x.py`
        key = name, digest
        modules[name] = ModuleFile("package" if is_package else "module", key)
        wanted[key] = (path, is_package)
    for name in list(modules):
        add_namespaces(name, modules)
    return modules, wanted


def add_namespaces(name: str, modules: dict[str, ModuleFile]) -> None:
    """Add the parent folders without `__init__.py`, which are namespace packages."""
    parent = name.rpartition(".")[0]
    while parent and parent not in modules:
        modules[parent] = ModuleFile("package", None)
        parent = parent.rpartition(".")[0]


class ExpandedModules:
    """The modules of one release, with star imports replaced by the names that they bind."""

    def __init__(self, modules: Mapping[str, ModuleFile], read: Mapping[Key, ModuleRows]) -> None:
        self.modules = modules
        self._read = read
        self._names: dict[str, Names] = {}
        self._opened: set[str] = set()

    def __iter__(self) -> Iterator[MergedModule]:
        for name in sorted(self.modules):
            names = self.names(name)
            yield MergedModule(name, self.modules[name].form, names, self.is_open(name))

    def outlines(self) -> dict[str, Outline]:
        """Return the outlines of the source files by their paths below site-packages."""
        found = {}
        for name, module in self.modules.items():
            if module.key is not None:
                end = "/__init__.py" if module.form == "package" else ".py"
                found[name.replace(".", "/") + end] = self._read[module.key].outline
        return found

    def is_open(self, module: str) -> bool:
        key = self.modules[module].key
        if key is None:
            return self.modules[module].form == "extension"
        return module in self._opened or self._read[key].open

    def names(self, module: str) -> Names:
        key = self.modules[module].key
        if key is None:
            return {}
        if not self._read[key].stars:
            return self._read[key].names
        if module not in self._names:
            self._names[module] = {}  # seen by modules that star-import each other in a circle
            self._names[module] = rows_of(self._without_stars(module, self._read[key].stars))
        return self._names[module]

    def _without_stars(self, module: str, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if event.form != "star":
                yield event
                continue
            source = event.target or ""
            yield Event(name="", form="need", guard=event.guard, target=source)
            if source not in self.modules or self.is_open(source):
                self._opened.add(module)
            for name, certain in self._exported(source):
                target = f"{source}:{name}"
                # A star import binds the names that exist at that moment, and ignores missing ones.
                present = ALWAYS if certain else Imports((target,))
                yield Event(name=name, form="import", guard=both(event.guard, present), target=target)

    def _exported(self, module: str) -> Iterator[tuple[str, bool]]:
        """Yield the names that a star import of a module binds, and whether it always binds them."""
        found = self.modules.get(module)
        if found is None or found.key is None:
            return
        read = self._read[found.key]
        exports = read.exports
        if exports is not None:
            yield from ((name, True) for name in exports)  # a missing name of `__all__` makes the import fail
            return
        for name, branches in self.names(module).items():
            if name and name[0] != "_" and name not in read.withheld:
                yield name, branches[0].guard is None


class _Merger:
    """Merges releases, added in order, into ranges without changes."""

    def __init__(self) -> None:
        self._last_names: dict[str, Names] = {}
        self._open_modules: dict[str, ModuleRange] = {}
        self._open_names: dict[str, dict[str, NameRange]] = {}
        self._modules: list[ModuleRange] = []
        self._names: list[NameRange] = []

    def add(self, release_index: int, release: Iterable[MergedModule]) -> None:
        """Add the modules of the next release."""
        seen: set[str] = set()
        for module, form, names, is_open in release:
            seen.add(module)
            before = self._open_modules.get(module)
            if before is None or (before.form, before.open) != (form, is_open):
                self._close_module(module, release_index)
                self._open_modules[module] = ModuleRange(
                    module=module, first=release_index, last=release_index, form=form, open=is_open
                )
            self._merge_names(module, release_index, names)
        for module in self._open_modules.keys() - seen:
            self._close_module(module, release_index)
            self._merge_names(module, release_index, {})

    def close(self, last: int) -> tuple[tuple[ModuleRange, ...], tuple[NameRange, ...]]:
        """Return all ranges, ordered by module, name and release."""
        for module in list(self._open_modules):
            self._close_module(module, last + 1)
            self._merge_names(module, last + 1, {})
        module_ranges = sorted(self._modules, key=lambda each: (each.module, each.first))
        names = sorted(self._names, key=lambda each: (each.module, each.name, each.first))
        return tuple(module_ranges), tuple(names)

    def _close_module(self, module: str, release_index: int) -> None:
        opened = self._open_modules.pop(module, None)
        if opened is not None:
            self._modules.append(replace(opened, last=release_index - 1))

    def _merge_names(self, module: str, release_index: int, names: Names) -> None:
        if self._last_names.get(module) is names:
            return  # the same object, as for most modules of most releases
        self._last_names[module] = names
        opened = self._open_names.setdefault(module, {})
        for name in [name for name, each in opened.items() if names.get(name) != each.branches]:
            self._names.append(replace(opened.pop(name), last=release_index - 1))
        for name, branches in names.items():
            if name not in opened:
                opened[name] = NameRange(
                    module=module, name=name, first=release_index, last=release_index, branches=branches
                )
