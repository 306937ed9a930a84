"""What the runner has already, and what of a lock therefore stays behind."""

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
    rf"(?P<name>{_NAME})\s*(?:@\s*\S+|(?:===?|\s)\s*(?P<version>[^\s;#]+))?\s*(?:[;#].*|\s\S+)?"
)
"""`name`, `name==1.0`, `name @ file:…`, and the columns `name 1.0` of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One line of what the runner has."""

    name: str
    """Normalized; `*` and `?` stand for any characters."""
    version: Version | None
    """None when the file does not tell: the user's word is taken for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A locked package that is left out."""

    name: NormalizedName
    locked: Version
    provided: Version | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A lock, divided."""

    carried: Mapping[NormalizedName, Version]
    left: tuple[Left, ...]
    """The runner has them, in the locked version or in one that the user vouches for."""
    differing: tuple[Left, ...]
    """The runner has another version: they are carried, and stand before the runner's own."""


def read_provided(path: Path) -> tuple[Package, ...]:
    """Return what a file lists: `pip freeze`, `pip list` (as a table or JSON), or plain names and globs.

    Raises:
        UsageError: it cannot be read, or a line is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"--provided {path}: cannot be read: {reason}; give what pip freeze prints"
        ) from None
    packages = _json(text, path) if text.lstrip().startswith("[") else _lines(text, path)
    return tuple(packages)


def split(packages: Mapping[NormalizedName, Version], provided: tuple[Package, ...]) -> Split:
    """Return which locked packages the runner has and which it needs.

    Args:
        packages: name to locked version.
        provided: what the runner has; an exact name counts before a glob.
    """
    carried: dict[NormalizedName, Version] = {}
    left, differing = [], []
    for name, locked in packages.items():
        found = find(name, provided)
        if found is None:
            carried[name] = locked
            continue
        one = Left(name=name, locked=locked, provided=found.version)
        # `==` passes over a local label that it does not name: 2.11.0+cu130 is 2.11.0.
        if found.version is None or SpecifierSet(f"=={locked}").contains(found.version, prereleases=True):
            left.append(one)
        else:
            carried[name] = locked
            differing.append(one)
    return Split(carried=carried, left=tuple(left), differing=tuple(differing))


def find(name: NormalizedName, provided: tuple[Package, ...]) -> Package | None:
    """Return what the runner has of a package: its exact name counts before a glob."""
    exact = (package for package in provided if package.name == name)
    globs = (package for package in provided if fnmatchcase(name, package.name))
    return next(exact, None) or next(globs, None)


def _json(text: str, path: Path) -> Iterator[Package]:
    try:
        for entry in json.loads(text):
            yield _package(entry["name"], entry["version"], f"--provided {path}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(
            f"--provided {path}: not what `pip list --format=json` writes (give its output, unchanged)"
        ) from None


def _lines(text: str, path: Path) -> Iterator[Package]:
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()  # noqa: PLW2901
        # Comments, options such as `-e …`, and the two lines above a table.
        if not line or line.startswith(("#", "-")) or line.split()[:2] == ["Package", "Version"]:
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise UsageError(
                f"--provided {path}, line {number}: {line!r} is neither `name` nor `name==version`"
            )
        yield _package(found["name"], found["version"], f"--provided {path}, line {number}")


def _package(name: str, version: str | None, where: str) -> Package:
    try:
        return Package(name=canonicalize_name(name), version=Version(version) if version else None)
    except InvalidVersion:
        raise UsageError(f"{where}: {version!r} of {name} is no version") from None
