"""What an environment has installed, from its metadata alone: nothing of it is imported or run."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PathDistribution
from os import PathLike
from pathlib import Path

from packaging.utils import canonicalize_name

METADATA_FOLDERS = (".dist-info", ".egg-info")


class InstalledDistribution(PathDistribution):
    """A distribution by its metadata folder, which is read even where bytes of it are no UTF-8."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def read_text(self, filename: "str | PathLike[str]") -> str | None:
        """Return a file of the metadata; None when it is not there."""
        try:
            return super().read_text(filename)
        except UnicodeDecodeError:
            return (self._folder / filename).read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledEnvironment:
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
        found = self.distribution(distribution)
        return () if found is None else tuple(found.requires or ())

    def distribution(self, distribution: str) -> InstalledDistribution | None:
        """Return an installed distribution, whichever way its name is spelt."""
        folder = self.folders.get(canonicalize_name(distribution))
        return None if folder is None else InstalledDistribution(folder)


def read_environment(
    folders: Iterable[str | Path] | None = None, *, cuda: bool | None = None
) -> InstalledEnvironment:
    """Return what is installed in some folders; folders that are not there count as empty.

    Args:
        folders: where to look, in the order of the import path; this interpreter's `sys.path` by default.
        cuda: what is known of a CUDA device.
    """
    versions: dict[str, str] = {}
    found: dict[str, Path] = {}
    for folder in sys.path if folders is None else folders:
        for path in metadata_folders(Path(folder)):
            name, _, version = path.stem.partition("-")
            name = canonicalize_name(name)
            if path.suffix == ".egg-info":
                version = version.partition("-py")[0]
            if name and version and name not in versions:  # the first on the path is the one imported
                versions[name], found[name] = version, path
    return InstalledEnvironment(versions=versions, folders=found, cuda=cuda)


def metadata_folders(folder: Path) -> list[Path]:
    """Return the metadata of the distributions in a folder, by name; none where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in METADATA_FOLDERS)
    except OSError:
        return []
