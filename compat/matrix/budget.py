"""Disk: what cells that run at the same time have been promised, and a limit for all of them."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from compat.cli import say
from compat.errors import DiskError
from compat.matrix import uv
from compat.matrix.disk import used_bytes
from compat.matrix.environment import size

PREFIX = ".room-"
Packages = Mapping[NormalizedName, Version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What uv's cache and the environments may take together."""

    limit: int
    """Bytes."""
    cache: Path
    uv: Path

    def make_room(self, needed: int, done: Sequence[Packages], left: Sequence[Packages]) -> None:
        """Keep within the limit with `needed` more bytes, if need be by dropping what no other cell needs.

        Args:
            needed: bytes for environments that are about to be made, or are being made.
            done: what the finished cells of this run have installed; nothing else is ever dropped.
            left: what the others need.

        Raises:
            DiskError: even without that the limit would be passed.
        """
        if used_bytes(self.cache) + needed > self.limit:
            names = sorted(droppable(done, left))
            if names:
                say(f"the disk budget is used up: dropping {len(names)} packages from uv's cache")
                uv.ask([str(self.uv), "cache", "clean", *names])
        used = used_bytes(self.cache)
        if used + needed > self.limit:
            raise DiskError(
                f"the cell needs {size(needed)}, uv's cache holds {size(used)}, and --max-disk is "
                f"{size(self.limit)}; raise it, or run `uv cache prune`"
            )


def droppable(done: Sequence[Packages], left: Sequence[Packages]) -> set[NormalizedName]:
    """Return the packages of finished cells of which no other cell needs that version."""
    needed = {item for packages in left for item in packages.items()}
    return {name for packages in done for name, version in packages.items() if (name, version) not in needed}


@contextmanager
def promised(envs: Path, pair_id: str, needed: int) -> Iterator[int]:
    """Reserve disk for a cell; yield what all cells that are running, this one included, have been promised.

    A reservation is a file that its process keeps locked: one that dies gives it back.
    """
    with ExitStack() as stack:
        path = envs / f"{PREFIX}{pair_id}"
        with _alone(envs):
            others = sum(_promises(envs, path))
            mine = stack.enter_context(path.open("w", encoding="ascii"))
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine.write(str(needed))
            mine.flush()
        try:
            yield others + needed
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _alone(envs: Path) -> Iterator[None]:
    """Let one process at a time look at the reservations: the folder itself is the lock."""
    handle = os.open(envs, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _promises(envs: Path, mine: Path) -> Iterator[int]:
    """Yield the bytes of each reservation that is still held; remove the others."""
    for path in envs.glob(f"{PREFIX}*"):
        if path == mine:
            continue
        try:
            with path.open("r", encoding="ascii") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except BlockingIOError:
            yield int(path.read_text(encoding="ascii") or 0)
        except FileNotFoundError:
            continue
