"""What an environment has installed, from its metadata alone: nothing of it is imported or run."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PathDistribution
from pathlib import Path

from packaging.utils import canonicalize_name

METADATA_FOLDERS = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The distributions of one environment."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Canonical distribution name to installed version."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Canonical distribution name to its metadata folder, where that is on this machine."""
    cuda: bool | None = None
    """Whether there is a CUDA device; None when not known."""

    def version(self, distribution: str) -> str | None:
        """Return the installed version of a distribution, whichever way its name is spelt."""
        return self.versions.get(canonicalize_name(distribution))

    def requires(self, distribution: str) -> tuple[str, ...]:
        """Return the Requires-Dist lines of an installed distribution; empty when it has none."""
        folder = self.folders.get(canonicalize_name(distribution))
        return () if folder is None else tuple(PathDistribution(folder).requires or ())


def read_environment(folders: Iterable[str | Path] | None = None, *, cuda: bool | None = None) -> Environment:
    """Return what is installed in some folders; folders that are not there count as empty.

    Args:
        folders: where to look, in the order of the import path; this interpreter's `sys.path` by default.
        cuda: what is known of a CUDA device.
    """
    versions: dict[str, str] = {}
    found: dict[str, Path] = {}
    for folder in sys.path if folders is None else folders:
        for path in _metadata_folders(Path(folder)):
            name, _, version = path.stem.partition("-")
            name = canonicalize_name(name)
            if path.suffix == ".egg-info":
                version = version.partition("-py")[0]
            if name and version and name not in versions:  # the first on the path is the one imported
                versions[name], found[name] = version, path
    return Environment(versions=versions, folders=found, cuda=cuda)


def _metadata_folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in METADATA_FOLDERS)
    except OSError:
        return []
