"""Index the installed releases that the shipped index lacks: newer, local and nightly ones.

Their files are read by the visitor that reads wheels, and never imported.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

from compat._util.cache_database import cache_errors, in_a_home
from compat.errors import IntegrityError
from compat.index.build.merge_releases import ReleaseSources, assemble
from compat.index.build.parse_pool import ModuleReader, code_digest
from compat.index.reader import Index
from compat.index.writer import SCHEMA_VERSION, write_index
from compat.model.releases import IMPORT_NAMES, PACKAGES, ReleaseMetadata

Located = tuple[str, Path]
"""A path relative to site-packages, and the path of the file."""


def installed_versions() -> dict[str, str]:
    """Return the installed versions of the indexed packages, from their metadata."""
    found = {str(package): _version(package) for package in PACKAGES}
    return {package: version for package, version in found.items() if version is not None}


def installed_index(
    packages: Sequence[str],
    folder: Path | None = None,
    distributions: Mapping[str, Distribution] | None = None,
) -> Index:
    """Return an index of the installed releases of some packages.

    Args:
        packages: the installed distributions to index.
        folder: the cache of the index and of parsed modules; by default the user's cache.
        distributions: the metadata of the packages; by default from this interpreter.

    Raises:
        IntegrityError: a distribution has metadata but no files.
        OSError: a file cannot be read.
        DiskError: the cache cannot be written.
    """
    folder = folder or cache_folder()
    distributions = distributions or {
        package: importlib.metadata.distribution(package) for package in packages
    }
    files = {
        package: tuple(_files(distribution, IMPORT_NAMES[package]))
        for package, distribution in distributions.items()
    }
    path = folder / f"installed-{_key(distributions, files)}.sqlite"
    if not path.is_file():
        reader = ModuleReader(folder=folder)
        contents = [
            assemble(
                package, IMPORT_NAMES[package], [_release(distributions[package], files[package])], reader
            )
            for package in packages
        ]
        with cache_errors(folder):
            write_index(path, contents)
    return Index(path)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _files(distribution: Distribution, import_name: str) -> Iterator[Located]:
    """Yield the Python files and compiled modules of a distribution.

    An editable install lists none of them: they are then searched where its package would be imported from.

    Raises:
        IntegrityError: the distribution has no such files.
    """
    listed = [
        (str(file), Path(str(distribution.locate_file(file))))
        for file in distribution.files or ()
        if file.parts[0] == import_name and file.suffix in (".py", ".so")
    ]
    spec = None if listed else importlib.util.find_spec(import_name)
    for place in (spec and spec.submodule_search_locations) or ():
        below = sorted(path for path in Path(place).rglob("*") if path.suffix in (".py", ".so"))
        listed += [(str(PurePosixPath(import_name, path.relative_to(place))), path) for path in below]
    if not listed:
        raise IntegrityError(f"{distribution.metadata['Name']} has metadata but no files; reinstall it")
    yield from ((name, path) for name, path in listed if path.is_file())


def _key(distributions: Mapping[str, Distribution], files: Mapping[str, tuple[Located, ...]]) -> str:
    """Return a cache key that changes with the code of the reader and with every file that it reads."""
    digest = hashlib.sha256(f"{SCHEMA_VERSION} {code_digest()}".encode())
    for package, distribution in distributions.items():
        digest.update(f"{package} {distribution.version} {distribution.requires}".encode())
        for name, path in files[package]:
            stat = path.stat()
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _release(distribution: Distribution, files: Sequence[Located]) -> ReleaseSources:
    metadata = distribution.metadata
    row = ReleaseMetadata(
        version=distribution.version,
        wheel="",
        sha256="",
        uploaded=None,
        requires_python=metadata["Requires-Python"] if "Requires-Python" in metadata else None,  # noqa: SIM401 -- it has no get
        requires_dist=tuple(distribution.requires or ()),
    )
    return ReleaseSources(
        row=row,
        sources={name: path.read_bytes() for name, path in files if path.suffix == ".py"},
        extensions=tuple(name for name, path in files if path.suffix == ".so"),
    )


def cache_folder() -> Path:
    """Return the cache folder of `compat.wheels`, which the base installation cannot import.

    Raises:
        DiskError: the user has no home folder, and no variable names another one.
    """
    if named := os.environ.get("COMPAT_CACHE_DIR"):
        return Path(named)
    users = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 -- it raises nothing
    return in_a_home(Path(users) / "sglang-vllm-compat")
