"""The installed distributions of an environment, from their metadata only."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PathDistribution
from os import PathLike
from pathlib import Path

from packaging.utils import canonicalize_name

METADATA_FOLDERS = (".dist-info", ".egg-info")


class InstalledDistribution(PathDistribution):
    """A distribution by its metadata folder; bytes that are not UTF-8 are replaced."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def read_text(self, filename: "str | PathLike[str]") -> str | None:
        """Return the content of a metadata file; None if it does not exist."""
        try:
            return super().read_text(filename)
        except UnicodeDecodeError:
            return (self._folder / filename).read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledEnvironment:
    """The distributions of one environment."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Maps canonical distribution names to installed versions."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Maps canonical distribution names to metadata folders, if these are on this machine."""
    cuda: bool | None = None
    """Whether the machine has a CUDA device; None if not known."""

    def version(self, distribution: str) -> str | None:
        """Return the installed version of a distribution, under any spelling of its name."""
        return self.versions.get(canonicalize_name(distribution))

    def requires(self, distribution: str) -> tuple[str, ...]:
        """Return the Requires-Dist lines of an installed distribution; empty if it has none."""
        found = self.distribution(distribution)
        return () if found is None else tuple(found.requires or ())

    def distribution(self, distribution: str) -> InstalledDistribution | None:
        """Return an installed distribution, under any spelling of its name."""
        folder = self.folders.get(canonicalize_name(distribution))
        return None if folder is None else InstalledDistribution(folder)


def read_environment(
    folders: Iterable[str | Path] | None = None, *, cuda: bool | None = None
) -> InstalledEnvironment:
    """Return the distributions that are installed in some folders; missing folders count as empty.

    Args:
        folders: the folders in import order; by default `sys.path`.
        cuda: whether the machine has a CUDA device; None if not known.
    """
    versions: dict[str, str] = {}
    found: dict[str, Path] = {}
    for folder in sys.path if folders is None else folders:
        for path in metadata_folders(Path(folder)):
            name, _, version = path.stem.partition("-")
            name = canonicalize_name(name)
            if path.suffix == ".egg-info":
                version = version.partition("-py")[0]
            if name and version and name not in versions:  # Python imports the first one on the path
                versions[name], found[name] = version, path
    return InstalledEnvironment(versions=versions, folders=found, cuda=cuda)


def metadata_folders(folder: Path) -> list[Path]:
    """Return the metadata of the distributions in a folder; none if the folder cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in METADATA_FOLDERS)
    except OSError:
        return []
