"""The manifest of a bundle: its packages, what was left out and why, and the digests of its parts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.utils import NormalizedName
from packaging.version import Version

from compat.bundle.archive.parts import Part
from compat.bundle.provided import Left
from compat.bundle.trim.trim_files import Dropped
from compat.requirements.graph import UnmetRequirement

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The size of the archive, its blocks and its parts."""

    files: int
    bytes: int
    """Total of all files, uncompressed."""
    blocks: Sequence[int]
    """Compressed bytes of each block of the archive; the parts contain the blocks one after the other."""
    parts: Sequence[Part]

    @property
    def part_bytes(self) -> int:
        """Total bytes of all parts."""
        return sum(part.bytes for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The description of a bundle; no value depends on where or when the bundle was built."""

    pair: str
    describe: str
    lock: str
    """Hexadecimal sha256 of the lock's requirements file."""
    python: str
    platform: str
    arch: int | None
    packages: Mapping[NormalizedName, Version]
    left: Sequence[Left]
    differing: Sequence[Left]
    skipped: Mapping[NormalizedName, str]
    """Packages that a trim list leaves out, each with the reason."""
    dropped: Sequence[Dropped]
    contested: Mapping[str, Sequence[NormalizedName]]
    """Files that several packages provide with different contents, with those packages; the bundle has the
    first package's file."""
    unmet: Sequence[UnmetRequirement]
    level: int
    packed: Packed

    def document(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return {
            "schema": SCHEMA,
            "command": "bundle",
            "pair": self.pair,
            "releases": self.describe,
            "lock": self.lock,
            "python": self.python,
            "platform": self.platform,
            "arch": None if self.arch is None else f"sm_{self.arch}",
            "packages": {name: str(version) for name, version in self.packages.items()},
            "provided": [_left(one) for one in self.left],
            "differing": [_left(one) for one in self.differing],
            "skipped": dict(self.skipped),
            "dropped": [
                {"reason": one.reason, "bytes": one.bytes, "files": list(one.files)} for one in self.dropped
            ],
            "contested": {path: list(names) for path, names in self.contested.items()},
            "unmet": [
                {
                    "package": one.edge.by,
                    "requirement": str(one.edge.requirement),
                    "provided": one.installed,
                }
                for one in self.unmet
            ],
            "site": {"files": self.packed.files, "bytes": self.packed.bytes},
            "level": self.level,
            "blocks": list(self.packed.blocks),
            "parts": [
                {"name": part.name, "bytes": part.bytes, "sha256": part.sha256} for part in self.packed.parts
            ],
        }

    def text(self) -> str:
        """Return the content of `manifest.json`."""
        return json.dumps(self.document(), indent=1, sort_keys=True) + "\n"


def _left(one: Left) -> dict[str, str | None]:
    provided = None if one.provided is None else str(one.provided)
    return {"name": one.name, "locked": str(one.locked), "provided": provided}
