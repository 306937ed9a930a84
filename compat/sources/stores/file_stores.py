"""Where the files of a source are read from: a folder, a commit or a wheel, all with the same interface."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from compat.errors import IntegrityError
from compat.sources.stores.git_objects import SHORT, Commit, Repository

SUFFIXES = (".py", ".so", ".proto")
"""The files that count: sources, compiled modules, and what sources are generated from."""
LARGEST = 64_000_000
"""Bytes of one source file; a few kilobytes of a wheel may claim to be gigabytes."""
LARGEST_WHEEL = 1_000_000_000
"""Bytes of all source files of a wheel; those of a vllm release have 30 million."""
_DEEPEST = 5
"""How deep packages are searched for below a folder."""
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "build", "dist"})


class FileStore(Protocol):
    """The files of one source; paths are relative to it and have slashes."""

    @property
    def label(self) -> str:
        """What answers say about the source: `checkout 1a2b3c4`."""

    @property
    def built(self) -> bool:
        """Whether a build has made it, so that it has what a build generates."""

    def text(self, path: str) -> str | None:
        """Return a file as text; None if there is no such file."""

    def identity(self, folder: str) -> str:
        """Return a text that changes with every file below a folder; no file is read for it."""

    def files(self, folder: str) -> dict[str, str]:
        """Return the files below a folder, each path below it with git's digest of its content.

        What is no Python may have an empty digest.
        """

    def contents(self, folder: str, files: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the contents of some of these files, in their order."""

    def folders(self) -> Sequence[str]:
        """Return the paths of its folders."""


@dataclass(frozen=True, slots=True)
class CommitFiles:
    """The files of a commit, read from git's objects."""

    repository: Repository
    commit: Commit
    built: bool = False

    @property
    def label(self) -> str:
        return f"commit {self.commit.short}"

    def text(self, path: str) -> str | None:
        return self.repository.text(self.commit.id, path)

    def identity(self, folder: str) -> str:
        return self.repository.tree(self.commit.id, folder)

    def files(self, folder: str) -> dict[str, str]:
        found = self.repository.files(self.commit.id, folder)
        return {path: blob for path, blob in found.items() if path.endswith(SUFFIXES)}

    def contents(self, folder: str, files: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002 -- the interface
        yield from self.repository.contents(list(files.values()))

    def folders(self) -> Sequence[str]:
        return self.repository.folders(self.commit.id)


@dataclass
class FolderFiles:
    """The files of a folder: a checkout, an unpacked tree or an installed package."""

    root: Path
    name: str
    """What the label begins with if the folder is no checkout: `tree`, `environment`."""
    built: bool = False
    _stated: dict[str, dict[str, os.stat_result]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        commit = self._commit
        if commit is not None:
            return f"checkout {commit.short}"
        return f"{self.name} {self.root.resolve().name}"

    @property
    def is_checkout(self) -> bool:
        """Whether it is part of a commit that is checked out."""
        return self._commit is not None

    @cached_property
    def _commit(self) -> Commit | None:
        if self.built or not any(
            (each / ".git").exists() for each in (self.root, *self.root.resolve().parents)
        ):
            return None
        repository = Repository(self.root)
        tracked = repository.tree("HEAD", repository.inside())
        return repository.commit("HEAD", str(self.root)) if tracked else None

    def changed(self, folder: str) -> bool:
        """Return whether files differ from those of the commit that is checked out."""
        commit = self._commit
        if commit is None:
            return False
        repository = Repository(self.root)
        known = repository.files(commit.id, f"{repository.inside()}{folder}")
        own = self.files(folder)
        return {*_python(known)} != {*_python(own)}

    def text(self, path: str) -> str | None:
        try:
            if not (self.root / path).is_file():  # a pipe would wait for a writer
                return None
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def identity(self, folder: str) -> str:
        commit = self._commit
        digest = hashlib.sha256(f"{self.root.resolve()} {commit.id if commit else ''}".encode())
        for path, stat in (*self._beside(folder), *self._stats(folder).items()):
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def files(self, folder: str) -> dict[str, str]:
        return {
            path: blob_id((self.root / folder / path).read_bytes()) if path.endswith(".py") else ""
            for path in self._stats(folder)
        }

    def contents(self, folder: str, files: Mapping[str, str]) -> Iterator[bytes]:
        for path in files:
            yield (self.root / folder / path).read_bytes()

    def folders(self) -> Sequence[str]:
        found = []
        for place, folders, _ in os.walk(self.root):
            below = Path(place).relative_to(self.root).as_posix()
            deep = 0 if below == "." else below.count("/") + 1
            folders[:] = sorted(each for each in folders if each[0] != "." and each not in _SKIPPED)
            if deep >= _DEEPEST:
                folders.clear()
            found += [each if deep == 0 else f"{below}/{each}" for each in folders]
        return found

    def _beside(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the files beside a package and at the top, where its build and its metadata are."""
        for place in sorted({self.root, (self.root / folder).parent}):
            for path in sorted(place.glob("*")):
                if path.is_file():
                    yield str(path), path.stat()

    def _stats(self, folder: str) -> dict[str, os.stat_result]:
        """Return the files below a folder that count, sorted, each with its size and times."""
        if folder not in self._stated:
            self._stated[folder] = dict(sorted(_walk(str(self.root / folder), "")))
        return self._stated[folder]


@dataclass(frozen=True)
class WheelFiles:
    """The files of a wheel."""

    path: Path
    built: bool = True

    @property
    def label(self) -> str:
        return f"wheel {self.path.name}"

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except zipfile.BadZipFile:
            raise IntegrityError(f"{self.path}: not a valid wheel") from None

    def text(self, path: str) -> str | None:
        try:
            return self._read(path).decode("utf-8", "replace")
        except KeyError:
            return None

    def identity(self, folder: str) -> str:
        stat = self.path.stat()
        return f"{self.path.resolve()} {folder} {stat.st_size} {stat.st_mtime_ns}"

    def files(self, folder: str) -> dict[str, str]:
        before = f"{folder}/" if folder else ""
        paths = sorted(path for path in self._archive.namelist() if path.startswith(before))
        if (
            sum(each.file_size for each in self._archive.infolist() if each.filename.endswith(".py"))
            > LARGEST_WHEEL
        ):
            raise IntegrityError(
                f"{self.path}: its source files are larger than {LARGEST_WHEEL} bytes; refused"
            )
        return {
            path[len(before) :]: blob_id(self._read(path)) if path.endswith(".py") else ""
            for path in paths
            if path.endswith(SUFFIXES)
        }

    def contents(self, folder: str, files: Mapping[str, str]) -> Iterator[bytes]:
        yield from (self._read(f"{folder}/{path}" if folder else path) for path in files)

    def folders(self) -> Sequence[str]:
        parents = {path.rpartition("/")[0] for path in self._archive.namelist()}
        return sorted(parents - {""})

    def _read(self, path: str) -> bytes:
        try:
            with self._archive.open(path) as stream:
                content = stream.read(LARGEST + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise IntegrityError(f"{self.path}: {path} cannot be unpacked ({error})") from error
        if len(content) > LARGEST:
            raise IntegrityError(f"{self.path}: {path} is larger than {LARGEST} bytes; refused")
        return content


def blob_id(content: bytes) -> str:
    """Return the id that git gives to a content, so that checkouts and commits share what was read."""
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def _python(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the source files among others, with their digests."""
    yield from (each for each in files.items() if each[0].endswith(".py"))


def short(digest: str) -> str:
    """Return the first digits of a digest, as commits are told."""
    return digest[:SHORT]


def _walk(folder: str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name[0] != "." and entry.name != "__pycache__":
                    yield from _walk(entry.path, f"{below}{entry.name}/")
            elif entry.name.endswith(SUFFIXES) and entry.is_file():
                stat = entry.stat()
                if stat.st_size <= LARGEST or not entry.name.endswith(".py"):
                    yield f"{below}{entry.name}", stat
