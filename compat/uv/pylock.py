"""Read a resolution that uv has printed as `pylock.toml`: versions, and whether they have a wheel."""

import sys
from dataclasses import dataclass

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """One package of a resolution."""

    package: NormalizedName
    version: Version
    has_wheel: bool
    """Whether a wheel is compatible with the platform; otherwise the package is built from source."""

    def __str__(self) -> str:
        return f"{self.package}=={self.version}"


def read_pylock(text: str) -> tuple[LockedFile, ...]:
    """Return the packages of a `pylock.toml` (PEP 751), in which uv lists compatible wheels only."""
    return tuple(
        LockedFile(
            package=canonicalize_name(entry["name"]),
            version=Version(entry["version"]),
            has_wheel=bool(entry.get("wheels")),
        )
        for entry in tomllib.loads(text)["packages"]
    )
