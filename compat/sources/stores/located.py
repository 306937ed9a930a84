"""Find the files that the address of a source stands for."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from compat.errors import UsageError
from compat.sources.stores.addresses import FORMS, GIT, Address, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from compat.sources.stores.file_stores import FileStore
    from compat.sources.stores.git_objects import Commit, Repository

PACKAGES = ("vllm", "sglang")
"""The packages that sources are of."""


def package_in(text: str) -> str:
    """Return the package that a source contains.

    Raises:
        UsageError: the source or its commit does not exist, or it contains none.
    """
    from compat.sources.stores.package_roots import find_package

    address = parse_address(text)
    source_path(address, text)
    if address.form == "git":  # a commit that does not exist is told as such
        next(iter(stores(address, PACKAGES[0], text)))
    for package in PACKAGES:
        with suppress(UsageError):
            store = next(iter(stores(address, package, text)))
            if find_package(store, package, text).folder:
                return package
    raise UsageError(
        f"{text}: it contains neither vllm nor sglang; name the folder that contains one of them"
    )


def stores(address: Address, package: str, where: str) -> Iterator[FileStore]:
    """Yield the files of a source, or of each commit of a range.

    Raises:
        UsageError: there is no such source.
    """
    from compat.sources.stores.file_stores import CommitFiles, FolderFiles, WheelFiles
    from compat.sources.stores.git_objects import Repository

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
        yield FolderFiles(_own_repository(path, package, where), "tree")
    else:
        raise UsageError(f"{where}: {path} is a file; a source is {FORMS}")


def single_store(address: Address, package: str, where: str) -> FileStore:
    """Return the files of a source that is not several commits.

    Raises:
        UsageError: there is no such source, or it is a range of commits.
    """
    store, *others = stores(address, package, where)
    if others:
        raise UsageError(f"{where}: it is {len(others) + 1} commits; name one of them")
    return store


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _own_repository(path: Path, package: str, where: str) -> Path:
    """Return the repository that contains the package: below a folder, it is a submodule or a clone."""
    from compat.sources.stores.file_stores import FolderFiles
    from compat.sources.stores.package_roots import find_package

    place = path / find_package(FolderFiles(path, "tree"), package, where).folder
    while place != path:
        if (place / ".git").exists():
            return place
        place = place.parent
    return path


def source_path(address: Address, where: str) -> Path:
    """Return the path of a source.

    Raises:
        UsageError: it does not exist, or cannot be what the address says.
    """
    from pathlib import Path

    if "://" in address.path:
        raise UsageError(f"{where}: nothing is downloaded; clone it, and name the clone: {GIT}PATH@REF")
    path = Path(os.path.expanduser(address.path))  # noqa: PTH111 -- no exception for an unknown user
    if not path.exists():
        raise UsageError(f"{where}: {path} does not exist; a source is {FORMS}")
    if address.form == "wheel" and not path.is_file():
        raise UsageError(f"{where}: {path} is no file; a source is {FORMS}")
    if address.form == "folder" and _is_bare(path):
        raise UsageError(
            f"{where}: {path} is a git repository without files; name a commit: {GIT}{path}@HEAD"
        )
    return path


def commits(repository: Repository, ref: str, where: str) -> Sequence[Commit]:
    """Return the commit that a reference names, or those of a range `A..B`, the first one included."""
    first, mark, last = ref.partition("..")
    if mark and (not first or last.startswith(".")):
        raise UsageError(f"{where}: write a range of commits as FIRST..LAST, or FIRST.. up to HEAD")
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
