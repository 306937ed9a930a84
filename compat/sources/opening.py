"""Turn each source that a user names into a version in an index file, written when it is first asked for."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from compat.errors import UsageError
from compat.index.format import SHIPPED
from compat.sources.addresses import FORMS, Address, is_source, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from compat.index.reader import Index
    from compat.source_outlines.reader import SourceOutlines
    from compat.sources.file_stores import FileStore
    from compat.sources.git_objects import Commit
    from compat.sources.read_source import SourceReader

MOST_KEPT = 60
"""The files of sources that the cache keeps, the last used ones."""


class OpenedSources(NamedTuple):
    """The sources of one command."""

    files: tuple[str, ...] = ()
    """The index files, to open beside the shipped index."""
    texts: Mapping[str, tuple[str, ...]] = {}
    """What the user gave, by package, with a version in place of each source."""
    notes: tuple[str, ...] = ()
    """What each source is, for people."""


def open_sources(
    wanted: Mapping[str, Sequence[str]],
    files: Sequence[str] = (),
    path: str | os.PathLike[str] = SHIPPED,
    *,
    demands: bool = False,
) -> OpenedSources:
    """Return the index files of the sources among some values of options.

    Args:
        wanted: the values, by package: versions, specifiers and sources.
        files: further index files that the user names.
        path: the index of the releases.
        demands: whether to read what the sources take from other distributions as well.

    Raises:
        UsageError: a source does not exist, or does not contain its package.
        DiskError: the cache cannot be written.
    """
    if not any(is_source(text) for texts in wanted.values() for text in texts):
        return OpenedSources(tuple(files), {package: tuple(texts) for package, texts in wanted.items()})
    reading = SourceFiles(path)
    opened: list[str] = [*files]
    texts_of: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    for package, texts in wanted.items():
        told: list[str] = []
        for text in texts:
            if not is_source(text):
                told.append(text)
                continue
            for file in reading.files(text, package, f"--{package} {text}", demands=demands):
                opened.append(str(file))
                told.append(reading.version(file, package))
                notes.append(f"{package} {text}: {reading.described(file)}")
        texts_of[package] = tuple(dict.fromkeys(told))
    return OpenedSources(tuple(dict.fromkeys(opened)), texts_of, tuple(notes))


class SourceFiles:
    """Writes the index files of sources into the cache, and finds those that are there.

    Args:
        path: the index of the releases.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        self._path = path

    @cached_property
    def _index(self) -> Index:
        from compat.index.reader import Index

        return Index(self._path)

    @cached_property
    def _outlines(self) -> SourceOutlines:
        from pathlib import Path

        from compat.source_outlines.format import NAME
        from compat.source_outlines.reader import SourceOutlines

        return SourceOutlines(Path(self._path).with_name(NAME))

    @cached_property
    def _reader(self) -> SourceReader:
        from compat.sources.read_source import SourceReader

        return SourceReader(cache_folder())

    def files(self, text: str, package: str, where: str, *, demands: bool = False) -> Iterator[Path]:
        """Yield the index file of a source, or of each commit of a range.

        Raises:
            UsageError: there is no such source, or it does not contain the package.
        """
        for store in stores(parse_address(text), package, where):
            file = self.file(store, package, where)
            if demands:
                from compat.sources.demands import add_demands
                from compat.sources.package_roots import find_package

                root = find_package(store, package, where)
                add_demands(file, store, root, package, cache_folder())
            yield file

    def file(self, store: FileStore, package: str, where: str) -> Path:
        """Return the index file of a source, written if the cache does not have it."""
        from compat.sources.package_roots import find_package

        root = find_package(store, package, where)
        target = (
            cache_folder()
            / "builds"
            / f"{package}-{self._key(store.identity(root.folder), store.label)}.sqlite"
        )
        if target.is_file():
            os.utime(target)
            return target
        self.write(store, package, target, where)
        _forget(target.parent)
        return target

    def write(self, store: FileStore, package: str, target: Path, where: str, name: str = "") -> None:
        """Write the index file of a source."""
        from compat.sources.package_roots import find_package
        from compat.sources.write_source import SourceBuild

        root = find_package(store, package, where)
        SourceBuild(
            store=store,
            root=root,
            package=package,
            index=self._index,
            outlines=self._outlines,
            reader=self._reader,
            where=where,
            path=self._path,
        ).write(target, name)

    def version(self, file: Path, package: str) -> str:
        """Return the version that a written source has."""
        from compat.index.reader import Index

        return Index(file).versions(package)[-1]

    def described(self, file: Path) -> str:
        """Return what a written source is, in one line."""
        from compat.index.addition_file import AdditionFile

        ((_, _, facts),) = AdditionFile(file, 1).additions()
        made = len(facts.generated)
        lent = f"; {made} modules that a build makes are taken from it" if made else ""
        return f"{facts.label}; the nearest release is {facts.distance}{lent}"

    def _key(self, identity: str, label: str) -> str:
        """Return the key of a source; it changes with its files, the index and the code that reads both."""
        import hashlib

        from compat.index.build.parse_pool import code_digest
        from compat.index.format import SCHEMA_VERSION

        stat = os.stat(self._path)  # noqa: PTH116 -- pathlib takes too long
        parts = (
            SCHEMA_VERSION,
            code_digest(),
            _own_digest(),
            stat.st_size,
            stat.st_mtime_ns,
            label,
            identity,
        )
        return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:20]


def stores(address: Address, package: str, where: str) -> Iterator[FileStore]:
    """Yield the files of a source, or of each commit of a range.

    Raises:
        UsageError: there is no such source.
    """
    from compat.sources.file_stores import CommitFiles, FolderFiles, WheelFiles
    from compat.sources.git_objects import Repository

    path = source_path(address, where)
    if address.form == "git":
        repository = Repository(path)
        for commit in commits(repository, address.ref, where):
            yield CommitFiles(repository, commit)
    elif address.form == "wheel":
        yield WheelFiles(path)
    elif address.form == "environment":
        yield FolderFiles(_site_packages(path, package, where), "environment", built=True)
    elif path.is_dir():
        yield FolderFiles(path, "tree")
    else:
        raise UsageError(f"{where}: {path} is a file; a source is {FORMS}")


def source_path(address: Address, where: str) -> Path:
    """Return the path of a source.

    Raises:
        UsageError: it does not exist.
    """
    from pathlib import Path

    path = Path(address.path).expanduser()
    if not path.exists():
        raise UsageError(f"{where}: {path} does not exist; a source is {FORMS}")
    return path


def commits(repository: object, ref: str, where: str) -> Sequence[Commit]:
    """Return the commit that a reference names, or those of a range `A..B`, the first one included."""
    from compat.sources.git_objects import Repository

    assert isinstance(repository, Repository)  # noqa: S101 -- its import is lazy
    first, mark, last = ref.partition("..")
    if mark:
        return repository.commits(first, last or "HEAD", where)
    return [repository.commit(ref, where)]


def _site_packages(path: Path, package: str, where: str) -> Path:
    """Return the folder of an environment that contains a package, which may be the environment itself."""
    from compat.model.package_names import IMPORT_NAMES

    if path.is_file():  # its Python
        path = path.parent.parent
    top = IMPORT_NAMES[package]
    places: Iterable[Path] = (
        path,
        *sorted(path.glob("lib/python3*/site-packages")),
        path / "Lib" / "site-packages",
    )
    for each in places:
        if (each / top / "__init__.py").is_file():
            return each
    raise UsageError(f"{where}: {package} is not installed in {path}")


def cache_folder() -> Path:
    from compat.index.query.installed_releases import cache_folder as users_folder

    return users_folder()


def _own_digest() -> str:
    """Return a digest of the code of this room."""
    import hashlib
    from pathlib import Path

    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _forget(folder: Path) -> None:
    """Remove the files of sources that were not used for the longest time."""
    files = sorted(folder.glob("*.sqlite"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[MOST_KEPT:]:
        file.unlink(missing_ok=True)
