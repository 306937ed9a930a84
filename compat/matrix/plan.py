"""What installing a pair takes: disk and time. Starts no process."""

from dataclasses import dataclass
from pathlib import Path

from compat._cli.text import duration, size
from compat.errors import DiskError

INSTALLED_BYTES_PER_SECOND = 110e6
"""What uv puts in place when it has to download; measured on 2 cores: 9 GB in 50-100 s."""
LINKED_BYTES_PER_SECOND = 2e9
"""What uv puts in place when its cache holds it all and only links are made."""
FIRST_IMPORT_SECONDS = 40.0
"""The first child that imports torch and the packages, from a cold disk cache."""
MODULE_SECONDS = 0.1
"""Every further module; measured over 255 modules of the pair `seed`."""
BYTECODE_BYTES = 200_000_000
"""What the imports themselves write, above all compiled bytecode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What running one cell will take."""

    pair_id: str
    describe: str
    modules: int
    download_bytes: int
    """What travels; 0 when uv's cache holds every package."""
    installed_bytes: int
    cached: bool
    linked: bool
    """Whether cache and environment share a disk: uv then links, and each file counts once."""
    finished: str = ""
    """Why there is nothing to do, when there is not."""
    cell_id: str = ""
    """The cell, when it is not the one of the level `import`."""

    @property
    def disk_bytes(self) -> int:
        """Bytes that the environment's disk must have free."""
        return BYTECODE_BYTES + (0 if self.cached and self.linked else self.installed_bytes)

    @property
    def cache_bytes(self) -> int:
        """Bytes that the disk of uv's cache must have free as well, when it is another one."""
        return 0 if self.cached or self.linked else self.installed_bytes

    @property
    def seconds(self) -> float:
        """How long it is likely to take."""
        rate = LINKED_BYTES_PER_SECOND if self.cached and self.linked else INSTALLED_BYTES_PER_SECOND
        return self.installed_bytes / rate + FIRST_IMPORT_SECONDS + MODULE_SECONDS * self.modules

    def line(self) -> str:
        """Return the plan in one line."""
        if self.finished:
            return f"{self.cell_id or self.pair_id}: {self.finished}"
        fetched = "nothing to download" if self.cached else f"downloads up to {size(self.download_bytes)}"
        disk = size(self.disk_bytes + self.cache_bytes)
        return (
            f"{self.cell_id or self.pair_id} ({self.describe}): {self.modules} modules, {fetched}, "
            f"needs up to {disk} of disk and about {duration(self.seconds)}"
        )


def check_room(needed: int, free: int, folder: Path, pair_id: str) -> None:
    """Do nothing when the disk holds the pair.

    Raises:
        DiskError: it does not; the message says by how much and what to do.
    """
    if needed > free:
        raise DiskError(
            f"{pair_id}: needs {size(needed)} of disk, {folder} has {size(free)} free; "
            f"free {size(needed - free)}, or give --envs a folder on a larger disk"
        )
