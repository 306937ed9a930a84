"""Find the package in a source: its folder, its version and what it requires."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any

from packaging.utils import canonicalize_name

from compat.errors import UsageError
from compat.model.releases import IMPORT_NAMES
from compat.sources.stores.file_stores import FileStore

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PLACES = ("", "python/", "src/", "lib/")
"""Where projects keep their packages."""
_VERSION = re.compile(
    r"^__version__\s*(?:=\s*version\s*)?(?::\s*\w+\s*)?=\s*['\"]([^'\"]+)['\"]", re.MULTILINE
)
_REQUIREMENTS = ("requirements/cuda.txt", "requirements-cuda.txt", "requirements.txt")
"""Files with the requirements of a build for CUDA, or of any build, where `pyproject.toml` has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRoot:
    """Where a package is in a source."""

    folder: str
    """The folder of the package, such as `python/sglang`; empty if the source is that folder itself."""
    project: str
    """The folder with the files of its build, with a slash at its end; empty for the source itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetadata:
    """What a source says about itself."""

    version: str | None
    """None if only a build would tell."""
    requires_python: str | None
    requires_dist: tuple[str, ...]
    extras: bool = True
    """Whether the requirements of its extras are among them."""


def find_package(store: FileStore, package: str, where: str) -> PackageRoot:
    """Return the place of a package in a source: where projects keep it, else the folder nearest to the top.

    Raises:
        UsageError: the source does not contain it.
    """
    top = IMPORT_NAMES[package]
    for place in _PLACES:
        if store.text(f"{place}{top}/__init__.py") is not None:
            return PackageRoot(folder=f"{place}{top}", project=place)
    if not store.built and store.text("__init__.py") is not None:
        return PackageRoot(folder="", project="")
    folders = sorted(
        (path for path in store.folders() if path.endswith(f"/{top}")), key=lambda path: path.count("/")
    )
    for folder in folders:
        if store.text(f"{folder}/__init__.py") is not None:
            return PackageRoot(folder=folder, project=f"{folder.rpartition('/')[0]}/")
    raise UsageError(f"{where}: there is no {top}/__init__.py in it; name the folder that contains {top}")


def read_metadata(store: FileStore, root: PackageRoot, package: str) -> SourceMetadata:
    """Return version and requirements of a source: from its metadata, else from the files of its build."""
    for path in _metadata_paths(store, root, package):
        text = store.text(path)
        if text is not None:
            head = HeaderParser().parsestr(text)
            return SourceMetadata(
                version=head["Version"],
                requires_python=head["Requires-Python"],
                requires_dist=tuple(head.get_all("Requires-Dist") or ()),
            )
    project = _project(store, root)
    own = (
        canonicalize_name(_text(project.get("name")) or package) == package
    )  # a fork counts its own versions
    requires = tuple(_declared(project)) or tuple(_from_files(store, root))
    return SourceMetadata(
        version=(_text(project.get("version")) if own else None) or _written_version(store, root),
        requires_python=_text(project.get("requires-python")),
        requires_dist=requires,
        extras="optional-dependencies" in project,
    )


def _metadata_paths(store: FileStore, root: PackageRoot, package: str) -> Iterator[str]:
    if store.built:
        for folder in store.folders():
            name = folder.rpartition("/")[2]
            if folder.endswith(".dist-info") and name.partition("-")[0].replace("_", "-") == package:
                yield f"{folder}/METADATA"
    else:
        yield f"{root.project}PKG-INFO"


def _project(store: FileStore, root: PackageRoot) -> dict[str, Any]:
    try:
        found = tomllib.loads(store.text(f"{root.project}pyproject.toml") or "").get("project", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _declared(project: dict[str, Any]) -> Iterator[str]:
    """Yield the requirements in a project table, as metadata writes them."""
    for line in _texts(project.get("dependencies")):
        yield line
    extras = project.get("optional-dependencies")
    for extra, lines in (extras if isinstance(extras, dict) else {}).items():
        for line in _texts(lines):
            requirement, _, marker = line.partition(";")
            condition = f"({marker.strip()}) and " if marker.strip() else ""
            yield f'{requirement.strip()} ; {condition}extra == "{extra}"'


def _from_files(store: FileStore, root: PackageRoot) -> Iterator[str]:
    for name in _REQUIREMENTS:
        if store.text(f"{root.project}{name}") is not None:
            yield from _lines(store, f"{root.project}{name}", set())
            return


def _lines(store: FileStore, path: str, seen: set[str]) -> Iterator[str]:
    """Yield the requirements of a file and of those that it includes."""
    if path in seen:
        return
    seen.add(path)
    for line in (store.text(path) or "").splitlines():
        text = re.split(r"\s#|\s--", line.strip())[0].strip()
        included = re.match(r"(?:-r|--requirement)[\s=]+(\S+)", line.strip())
        if included:
            folder = path.rpartition("/")[0]
            yield from _lines(store, f"{folder}/{included[1]}" if folder else included[1], seen)
        elif text and text[0] not in "#-./" and "://" not in text:
            yield text


def _written_version(store: FileStore, root: PackageRoot) -> str | None:
    for name in ("_version.py", "version.py"):
        found = _VERSION.search(store.text(f"{root.folder}/{name}".lstrip("/")) or "")
        if found:
            return found[1]
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
