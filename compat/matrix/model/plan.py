"""Estimate the download, disk space and time that a cell needs, and check the disk; starts no process."""

from dataclasses import dataclass
from pathlib import Path

from compat._cli.text import duration, size
from compat.errors import DiskError

INSTALLED_BYTES_PER_SECOND = 110e6
"""Speed of uv when it has to download; measured on 2 cores: 9 GB in 50-100 s."""
LINKED_BYTES_PER_SECOND = 2e9
"""Speed of uv when its cache holds every package, so that it only creates links."""
FIRST_IMPORT_SECONDS = 40.0
"""Time of the first child process, which imports torch and the packages with a cold disk cache."""
MODULE_SECONDS = 0.1
"""Time of every further module; measured over 255 modules of the pair `seed`."""
REHEARSAL_SECONDS = 25.0
"""Time of the rehearsal of one package."""
BYTECODE_BYTES = 200_000_000
"""Disk space that imports use, above all for bytecode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The estimated download, disk space and time of one cell."""

    pair_id: str
    describe: str
    modules: int
    packages: int = 0
    """Number of packages to rehearse."""
    download_bytes: int
    """Size of all wheels of the lock."""
    installed_bytes: int
    cached: bool
    """Whether uv's cache holds every package, so that nothing is downloaded."""
    linked: bool
    """Whether cache and environment are on one disk: uv then creates links, and each file counts once."""
    finished: str = ""
    """Why the cell need not run; empty when it must."""
    cell_id: str = ""
    """The id of the cell; empty for the level `import`."""

    @property
    def disk_bytes(self) -> int:
        """Bytes that must be free on the disk of the environment."""
        return BYTECODE_BYTES + (0 if self.cached and self.linked else self.installed_bytes)

    @property
    def cache_bytes(self) -> int:
        """Bytes that must be free on the disk of uv's cache, if it is another one."""
        return 0 if self.cached or self.linked else self.installed_bytes

    @property
    def seconds(self) -> float:
        """The estimated duration."""
        rate = LINKED_BYTES_PER_SECOND if self.cached and self.linked else INSTALLED_BYTES_PER_SECOND
        checks = MODULE_SECONDS * self.modules + REHEARSAL_SECONDS * self.packages
        return self.installed_bytes / rate + FIRST_IMPORT_SECONDS + checks

    def line(self) -> str:
        """Return the plan as one line of text."""
        if self.finished:
            return f"{self.cell_id or self.pair_id}: {self.finished}"
        fetched = "nothing to download" if self.cached else f"downloads up to {size(self.download_bytes)}"
        disk = size(self.disk_bytes + self.cache_bytes)
        return (
            f"{self.cell_id or self.pair_id} ({self.describe}): {self.modules} modules, {fetched}, "
            f"needs up to {disk} of disk space and about {duration(self.seconds)}"
        )


def check_room(needed: int, free: int, folder: Path, pair_id: str) -> None:
    """Check that the disk of a folder has enough free space.

    Raises:
        DiskError: it has not; the message states how much is missing and what to do.
    """
    if needed > free:
        raise DiskError(
            f"{pair_id}: needs {size(needed)} of disk space, {folder} has {size(free)} free; "
            f"free {size(needed - free)}, or give --envs a folder on a larger disk"
        )
