"""Read the list of packages that the runner has, and split a lock into what is carried and what is not."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from compat.errors import UsageError

_NAME = r"[A-Za-z0-9*?]([A-Za-z0-9._*?-]*[A-Za-z0-9*?])?"
_LINE = re.compile(
    rf"(?P<name>{_NAME})"
    r"(?: ?@ ?[^\s;#]+|(?: ?===? ?| )(?P<version>[^\s;#]+))?(?: ?[;#].*| \S+)?"
)
"""Matches `name`, `name==1.0`, `name @ file:…`, and the columns `name 1.0` of a table; spaces are single."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package, or a glob of packages, that the runner has."""

    name: str
    """Normalized; `*` and `?` match as in a glob."""
    version: Version | None
    """None when the list has no version: any locked version then counts as provided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A locked package that the runner has as well, with both versions."""

    name: NormalizedName
    locked: Version
    provided: Version | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The packages of a lock, split into those that the bundle carries and those that the runner has."""

    carried: Mapping[NormalizedName, Version]
    left: tuple[Left, ...]
    """Packages that the runner has, in the locked version or in one that the list does not state."""
    differing: tuple[Left, ...]
    """Packages that the runner has in another version: the bundle carries the locked one, which takes
    precedence on the import path."""


def read_provided(path: Path) -> tuple[Package, ...]:
    """Return the packages in a file: `pip freeze`, `pip list` (a table or JSON), or plain names and globs.

    Raises:
        UsageError: the file cannot be read, or a line is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f'--provided {path}: cannot be read: {reason}; give the output of "pip freeze"'
        ) from None
    packages = _json(text, path) if text.lstrip().startswith("[") else _lines(text, path)
    return tuple(packages)


def split(packages: Mapping[NormalizedName, Version], provided: tuple[Package, ...]) -> Split:
    """Split locked packages into those that the runner has and those that the bundle carries.

    Args:
        packages: name to locked version.
        provided: what the runner has; an exact name takes precedence over a glob.
    """
    carried: dict[NormalizedName, Version] = {}
    left, differing = [], []
    for name, locked in packages.items():
        found = find(name, provided)
        if found is None:
            carried[name] = locked
            continue
        one = Left(name=name, locked=locked, provided=found.version)
        # `==` ignores a local label that the specifier does not have: 2.11.0+cu130 equals 2.11.0.
        if found.version is None or SpecifierSet(f"=={locked}").contains(found.version, prereleases=True):
            left.append(one)
        else:
            carried[name] = locked
            differing.append(one)
    return Split(carried=carried, left=tuple(left), differing=tuple(differing))


def find(name: NormalizedName, provided: tuple[Package, ...]) -> Package | None:
    """Return the runner's entry for a package, or None; an exact name takes precedence over a glob."""
    exact = (package for package in provided if package.name == name)
    globs = (package for package in provided if fnmatchcase(name, package.name))
    return next(exact, None) or next(globs, None)


def _json(text: str, path: Path) -> Iterator[Package]:
    try:
        for entry in json.loads(text):
            yield _package(entry["name"], entry["version"], f"--provided {path}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(
            f'--provided {path}: not the output of "pip list --format=json"; give it unchanged'
        ) from None


def _lines(text: str, path: Path) -> Iterator[Package]:
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()  # noqa: PLW2901
        # Skip comments, options such as `-e …`, and the two header lines of a table.
        if not line or line.startswith(("#", "-")) or line.split()[:2] == ["Package", "Version"]:
            continue
        found = _LINE.fullmatch(" ".join(line.split()))
        if found is None:
            raise UsageError(
                f"--provided {path}, line {number}: {line!r} is neither a name nor name==version"
            )
        yield _package(found["name"], found["version"], f"--provided {path}, line {number}")


def _package(name: str, version: str | None, where: str) -> Package:
    try:
        return Package(name=canonicalize_name(name), version=Version(version) if version else None)
    except InvalidVersion:
        raise UsageError(f"{where}: {version!r} is not a valid version of {name}") from None
