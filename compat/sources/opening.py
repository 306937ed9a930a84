"""Turn each source that a user names into a version in an index file, written when it is first asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from compat.errors import IntegrityError, UsageError
from compat.index.format import SHIPPED
from compat.sources.stores.addresses import FORMS, is_source, parse_address
from compat.sources.stores.located import package_in, single_store, stores

DEMANDS = "demands"
"""What a source takes from other distributions: read for the commands that need it, as are its settings."""
SETTINGS = "settings"
"""The environment variables that a source reads, and the options that it has."""

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from compat.index.reader import Index
    from compat.source_outlines.reader import SourceOutlines
    from compat.sources.read_source import SourceReader
    from compat.sources.stores.file_stores import FileStore

MOST_KEPT = 60
"""The files of sources that the cache keeps, the last used ones; no command removes those that it uses."""
MOST_COMMITS = 200
"""The commits of one range that are read, each like a release; `compat diff --bisect` takes longer ones."""


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
    further: Collection[str] = (),
) -> OpenedSources:
    """Return the index files of the sources among some values of options.

    Args:
        wanted: the values, by package: versions, specifiers and sources.
        files: further index files that the user names.
        path: the index of the releases.
        further: what to read of the sources besides their names: `demands`, `settings` or both.

    Raises:
        UsageError: a source does not exist, or does not contain its package.
        DiskError: the cache cannot be written.
    """
    named = _names(files)
    reading = SourceFiles(path)
    opened: list[str] = [*files]
    texts_of: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    for package, texts in wanted.items():
        told: list[str] = []
        for text in texts:
            if not is_source(text):
                told.append(named.get((package, text.strip()), text))
                continue
            for file in reading.files(text, package, f"--{package} {text}", further):
                opened.append(str(file))
                told.append(reading.version(file, package))
                notes.append(f"{package} {text}: {reading.described(file)}")
        texts_of[package] = tuple(dict.fromkeys(told))
    return OpenedSources(tuple(dict.fromkeys(opened)), texts_of, tuple(notes))


def _names(files: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return the versions of the builds in some index files, by package and the name that the user gave."""
    from compat.index.addition_file import AdditionFile

    found = {}
    for number, file in enumerate(files, start=1):
        opened = AdditionFile(file, number)
        for package, at, facts in opened.additions():
            found[package, facts.name] = opened.versions(package)[at]
    return found


class SourceFiles:
    """Writes the index files of sources into the cache, and finds those that are there.

    Args:
        path: the index of the releases.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        self._path = path
        self._used: set[Path] = set()

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

    def files(self, text: str, package: str, where: str, further: Collection[str] = ()) -> Iterator[Path]:
        """Yield the index file of a source, or of each commit of a range.

        Raises:
            UsageError: there is no such source, it does not contain the package, or it is too many commits.
        """
        from compat._util.cache_database import cache_errors

        every = list(stores(parse_address(text), package, where))
        if len(every) > MOST_COMMITS:
            known = f"{where}: it is {len(every)} commits"
            raise UsageError(f'{known}; name at most {MOST_COMMITS}, or use "compat diff --bisect"')
        for store in every:
            file = self.file(store, package, where)
            with cache_errors(cache_folder()):
                self._add(file, store, package, where, further)
            yield file

    def _add(self, file: Path, store: FileStore, package: str, where: str, further: Collection[str]) -> None:
        """Add to the index file of a source what it does not have yet."""
        from compat.sources.stores.package_roots import find_package

        if DEMANDS in further:
            from compat.sources.demands import add_demands

            add_demands(file, store, find_package(store, package, where), package, cache_folder())
        if SETTINGS in further:
            from compat.sources.settings import add_settings

            add_settings(file, store, find_package(store, package, where), package)

    def file(self, store: FileStore, package: str, where: str) -> Path:
        """Return the index file of a source, written if the cache does not have it."""
        from compat.sources.stores.package_roots import find_package

        root = find_package(store, package, where)
        target = (
            cache_folder()
            / "builds"
            / f"{package}-{self._key(store.identity(root.folder), store.label)}.sqlite"
        )
        self._used.add(target)
        if _has_builds(target):
            with suppress(OSError):  # a cache that cannot be written still answers
                os.utime(target)
            return target
        from compat._util.cache_database import cache_errors

        with cache_errors(cache_folder()):
            self.write(store, package, target, where)
        _forget(target.parent, self._used)
        return target

    def write(self, store: FileStore, package: str, target: Path, where: str, name: str = "") -> None:
        """Write the index file of a source; one with a name has all that is known of the source."""
        from compat.sources.stores.package_roots import find_package
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
        if name:
            self._add(target, store, package, where, (DEMANDS, SETTINGS))

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


def write_own_file(text: str, name: str, target: Path, package: str | None = None) -> tuple[str, str]:
    """Write the index file of a source under a name, and return its package and what it is.

    Args:
        text: the source.
        name: the name that selects it.
        target: the file to write.
        package: the package in the source; by default the one that it contains.

    Raises:
        UsageError: there is no such source, it is a range of commits, or the name is like a version,
            or the file to write is something else.
        DiskError: the file cannot be written.
    """
    import re

    if not re.fullmatch(r"[A-Za-z][\w.-]*", name) or name in ("all", "latest"):
        raise UsageError(f"--as: {name!r} cannot be told from a version; begin it with a letter: build-7")
    if not is_source(text):
        raise UsageError(f"{text!r} is no source; a source is {FORMS}")
    _check_replaceable(target)
    found = package or package_in(text)
    store = single_store(parse_address(text), found, text)
    files = SourceFiles()
    files.write(store, found, target, text, name)
    return found, files.described(target)


def _check_replaceable(target: Path) -> None:
    """Check that a file to write does not stand where something else is.

    Raises:
        UsageError: it is a folder, or a file that this module did not write.
    """
    if target.is_dir():
        raise UsageError(f"--output {target}: is a folder; name a file")
    if not target.is_file():
        return
    if _has_builds(target):
        return
    raise UsageError(
        f'--output {target}: exists and is no file of this version of "compat index add"; remove it or name '
        "another one"
    )


def _has_builds(file: Path) -> bool:
    """Return whether a file exists, is whole, and has builds that this version reads."""
    from compat.index.addition_file import AdditionFile

    with suppress(IntegrityError, UsageError):
        return bool(AdditionFile(file, 1).additions())
    return False


def cache_folder() -> Path:
    from compat.index.query.installed_releases import cache_folder as users_folder

    return users_folder()


def _own_digest() -> str:
    """Return a digest of the code of this room."""
    import hashlib
    from pathlib import Path

    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _forget(folder: Path, used: Collection[Path]) -> None:
    """Remove the files of sources that were not used for the longest time, but none that is in use."""
    files = sorted(folder.glob("*.sqlite"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[MOST_KEPT:]:
        if file not in used:
            file.unlink(missing_ok=True)
