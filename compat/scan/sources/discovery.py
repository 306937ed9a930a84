"""Find and read the source files of a scan; what cannot be read is listed with the reason."""

import os
import sys
from collections.abc import Iterable, Iterator
from errno import EBADF, EFBIG, EINVAL
from functools import cache
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from compat.errors import UsageError
from compat.scan.prefilter.mentions import contains_package_name
from compat.scan.settings.kinds import HIDDEN, kind_of
from compat.scan.settings.kinds import LARGEST as LARGEST_TEXT

STDIN = "-"
"""The path that stands for standard input."""
SUFFIXES = (".py", ".pyi", ".ipynb")
LARGEST = 10_000_000
"""Size in bytes of the largest file that is read; larger ones are not written by people and are skipped."""
NOT_REGULAR = "not a regular file"
TOO_LARGE = f"larger than {LARGEST // 1_000_000} MB"
_FLAGS = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
"""Without O_NONBLOCK, a named pipe would wait for a writer; without O_BINARY, Windows changes line ends."""
_USUAL = 1 << 17
"""Size in bytes of the first read, which suffices for most files; larger buffers are slow to allocate."""
SKIPPED = frozenset(
    {
        "__pycache__", "__pypackages__", "node_modules", "site-packages", "venv", "env", "build", "dist",
        "buck-out", "_build",
    }
)  # fmt: skip
"""Folders of third-party or generated code; hidden folders are skipped as well."""


class Skipped(NamedTuple):
    """A file or folder that was not read, with the reason."""

    path: str
    reason: str


class Unreadable(Exception):  # noqa: N818 -- control flow inside the scan: it becomes a finding
    """A file is not valid Python.

    Args:
        reason: why not.
        line: the line of the error, from 1.
        column: the column of the error, from 1.
    """

    def __init__(self, reason: str, line: int = 1, column: int = 1) -> None:
        super().__init__(reason)
        self.line = line
        self.column = column


class Walk:
    """Finds the source files below some paths, each once, in a fixed order.

    Args:
        excluded: names, or relative paths, of files and folders to leave out.
    """

    def __init__(self, excluded: tuple[str, ...] = ()) -> None:
        self._excluded = frozenset(excluded)
        self._seen: set[tuple[int, int]] = set()
        self._known_texts: set[str] = set()
        self.skipped: list[Skipped] = []
        """Files and folders that look like source and were not read."""
        self.texts: list[str] = []
        """The scripts and configuration files that were found beside the source files, not yet read."""

    def files(self, paths: tuple[str, ...]) -> Iterator[str]:
        """Yield the source files; a path of the command line is read whatever its suffix.

        All paths are yielded with slashes, on Windows as well, and without a leading `./`.
        """
        for path in map(normalized, paths):
            if path == STDIN:
                yield path
                continue
            try:
                status = os.stat(path)  # noqa: PTH116 -- pathlib costs more than all of this
            except OSError as error:
                self._skip(path, error.strerror or str(error))
                continue
            if S_ISDIR(status.st_mode):
                yield from self._below(path)
            elif kind_of(path) is not None and S_ISREG(status.st_mode):
                self._text(path, status)
            elif self._wanted(path, status):
                yield path

    def _below(self, top: str) -> Iterator[str]:
        folders = [top]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
                status = os.stat(folder)  # noqa: PTH116
            except OSError as error:
                self._skip(folder, error.strerror or str(error))
                continue
            if not self._new(status):
                continue
            deeper = []
            hidden = _is_hidden(folder[len(top) :])
            for entry in listed:
                name = entry.name
                if name.endswith(SUFFIXES):
                    if not hidden:
                        yield from map(normalized, self._file(entry))
                elif (
                    (name[0] != "." or name in HIDDEN) and name not in SKIPPED and self._is_folder(entry, top)
                ):
                    deeper.append(entry.path)
                elif kind_of(name) is not None and name not in self._excluded:
                    self._add_text(entry.path)
            folders.extend(reversed(deeper))

    def _text(self, path: str, status: os.stat_result) -> None:
        """Note a script or configuration file of the command line; a large one is not left out in silence."""
        if status.st_size > LARGEST_TEXT:
            self._skip(path, f"larger than {LARGEST_TEXT // 1_000_000} MB")
        else:
            self._add_text(path)

    def _add_text(self, path: str) -> None:
        path = normalized(path)
        if path not in self._known_texts:
            self._known_texts.add(path)
            self.texts.append(path)

    def _is_folder(self, entry: "os.DirEntry[str]", top: str) -> bool:
        if self._excluded and (entry.name in self._excluded or entry.path[len(top) + 1 :] in self._excluded):
            return False
        try:
            # A virtual environment has this file, whatever the name of its folder.
            return entry.is_dir() and not (
                "env" in entry.name and os.path.exists(f"{entry.path}/pyvenv.cfg")  # noqa: PTH110
            )
        except OSError:
            return False

    def _file(self, entry: "os.DirEntry[str]") -> Iterator[str]:
        if self._excluded and entry.name in self._excluded:
            return
        try:
            status = entry.stat()
            if not status.st_ino:  # on Windows, the entries of a folder do not identify their files
                status = os.stat(entry.path)  # noqa: PTH116
        except OSError as error:
            self._skip(entry.path, error.strerror or str(error))
            return
        if S_ISDIR(status.st_mode):
            yield from self._below(entry.path)
        elif self._wanted(entry.path, status):
            yield entry.path

    def _wanted(self, path: str, status: os.stat_result) -> bool:
        if not S_ISREG(status.st_mode):
            self._skip(path, NOT_REGULAR)
        elif status.st_size > LARGEST:
            self._skip(path, TOO_LARGE)
        else:
            return self._new(status)
        return False

    def _new(self, status: os.stat_result) -> bool:
        """Return whether a file or folder was not seen before; symbolic links may form cycles."""
        key = (status.st_dev, status.st_ino)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _skip(self, path: str, reason: str) -> None:
        self.skipped.append(Skipped(normalized(path), reason))


def _is_hidden(folder: str) -> bool:
    """Return whether a relative folder is hidden or in one, of which only configuration files are read."""
    return "/." in with_slashes(folder)


def with_slashes(path: str) -> str:
    """Return a path with slashes between its parts, which Windows accepts as well."""
    return path if os.sep == "/" else path.replace(os.sep, "/")


def require_paths(paths: Iterable[str], where: str = "") -> None:
    """Check that each path of a command line exists, or stands for standard input.

    Args:
        paths: the paths.
        where: begins the message, such as `--used-by: `.

    Raises:
        UsageError: a path does not exist.
    """
    for path in paths:
        if path != STDIN and not os.path.lexists(path):
            raise UsageError(f"{where}{path}: no such file or folder")


def normalized(path: str) -> str:
    """Return a path as reports and patches name it: with slashes, and without a leading `./`.

    `git apply` refuses a patch of `a/./src/serve.py`. A file with the name of standard input keeps its `./`.
    """
    given = rest = with_slashes(path)
    while rest.startswith("./"):
        rest = rest[2:].lstrip("/")
    return given if given != rest == STDIN else rest or "."


class Files:
    """Reads files and caches their content, up to 64 MiB, because searches read all files again."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._room = 1 << 26
        self._names_package: dict[str, bool] = {}

    def names_package(self, path: str) -> bool:
        """Return whether a file contains the name of a package; the answer is cached.

        Raises:
            OSError: the file cannot be read.
        """
        if path not in self._names_package:
            self._names_package[path] = contains_package_name(self.read(path))
        return self._names_package[path]

    def may_name_package(self, path: str) -> bool:
        """Return whether a file can be read and contains the name of a package."""
        try:
            return self.names_package(path)
        except OSError:
            return False

    def read(self, path: str) -> bytes:
        """Return the content of a file, from the cache if possible.

        Raises:
            OSError: the file cannot be read.
        """
        data = self._kept.get(path)
        if data is None:
            data = read(path)
            if len(data) <= self._room:
                self._room -= len(data)
                self._kept[path] = data
        return data


def read(path: str) -> bytes:
    """Return the content of a regular file of at most `LARGEST` bytes, or of standard input.

    Raises:
        OSError: the file cannot be read, is not a regular file, or is too large.
    """
    if path == STDIN:
        return _standard_input()
    handle = os.open(path, _FLAGS)
    try:
        if not S_ISREG(os.fstat(handle).st_mode):
            raise OSError(EINVAL, NOT_REGULAR, path)
        data = os.read(handle, _USUAL)
        if len(data) < _USUAL:
            return data  # a short read of a regular file is its end
        parts, size = [data], len(data)
        while part := os.read(handle, 1 << 22):
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                raise OSError(EFBIG, TOO_LARGE, path)
        return b"".join(parts)
    finally:
        os.close(handle)


@cache
def _standard_input() -> bytes:
    """Return all of standard input, which can be read only once."""
    if sys.stdin is None:
        raise OSError(EBADF, "standard input is closed", STDIN)
    return sys.stdin.buffer.read()
