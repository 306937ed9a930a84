"""Share the disk among cells: reservations of cells that run concurrently, and a limit for all of them."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from compat._cli.console import say
from compat._cli.text import counted, size
from compat.errors import DiskError, UsageError
from compat.locks.lockfile import Lock
from compat.matrix.install.disk_usage import used_bytes
from compat.uv import client

PREFIX = ".room-"
Sizes = Mapping[NormalizedName, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """The reservations of cells that run at the same time."""

    mine: int
    """Bytes that this cell has reserved."""
    others: Mapping[str, int]
    """Bytes that other cells have reserved, by pair."""

    @property
    def all(self) -> int:
        """Total bytes that all cells have reserved."""
        return self.mine + sum(self.others.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit for the disk space that uv's cache and the environments use together."""

    limit: int
    """Bytes."""
    cache: Path
    envs: Path
    """Existing environments count: removing a cached file that they link to frees no space."""
    uv: Path

    def make_room(
        self, needed: int, done: Sequence[Lock], left: Sequence[Lock], kept: Collection[NormalizedName] = ()
    ) -> None:
        """Make room for `needed` bytes within the limit, if necessary by removing packages from uv's cache.

        Args:
            needed: bytes for environments that are being installed or are about to be.
            done: locks of the finished cells of this run.
            left: locks of the other cells, this one included; no package outside these locks is removed.
            kept: packages that must stay in the cache, since cells that run or start need them.

        Raises:
            DiskError: removing all removable packages would not be enough; then none is removed.
        """
        used = used_bytes(self.cache, self.envs)
        stages = droppable(done, left, kept)
        most = sum(sum(stage.values()) for stage in stages)
        if max(used - most, 0) + needed > self.limit:
            raise self._refusal(needed, used)
        for stage in stages:
            while stage and used + needed > self.limit:
                names = enough(stage, used + needed - self.limit)
                say(f"the disk budget is used up: removing {counted(len(names), 'package')} from uv's cache")
                client.ask([str(self.uv), "cache", "clean", *names])
                stage = {name: count for name, count in stage.items() if name not in names}  # noqa: PLW2901
                used = used_bytes(self.cache, self.envs)
        if used + needed > self.limit:
            raise self._refusal(needed, used)

    def _refusal(self, needed: int, used: int) -> DiskError:
        return DiskError(
            f"the cell needs {size(needed)}, uv's cache and the environments use {size(used)}, and "
            f'--max-disk is {size(self.limit)}; increase it, or run "uv cache prune"'
        )


def droppable(
    done: Sequence[Lock], left: Sequence[Lock], kept: Collection[NormalizedName] = ()
) -> tuple[Sizes, Sizes, Sizes]:
    """Return packages that may be removed from the cache, with their bytes, in three groups to try in order.

    uv removes all versions of a package at once. The first group has packages that only finished cells
    needed; the second, those of which the remaining cells need another version; the third, those that the
    remaining cells need, so that removing one costs a download.
    """
    wanted = {item for lock in left for item in lock.packages.items()}
    names = {name for name, _ in wanted}
    over = _sizes(done, lambda name, version: name not in kept and (name, version) not in wanted)
    return (
        {name: count for name, count in over.items() if name not in names},
        {name: count for name, count in over.items() if name in names},
        _sizes(left, lambda name, _: name not in kept and name not in over),
    )


def enough(sizes: Sizes, bytes_: int) -> list[NormalizedName]:
    """Return the largest packages that together have at least `bytes_` bytes, or all packages."""
    names: list[NormalizedName] = []
    for name, count in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if bytes_ <= 0:
            break
        names.append(name)
        bytes_ -= count
    return names


def _sizes(locks: Sequence[Lock], wanted: Callable[[NormalizedName, Version], bool]) -> Sizes:
    found: dict[NormalizedName, dict[Version, int]] = {}
    for lock in locks:
        for name, version in lock.packages.items():
            if wanted(name, version):
                found.setdefault(name, {})[version] = lock.sizes.get(name, 0)
    return {name: sum(versions.values()) for name, versions in found.items()}


@contextmanager
def promised(envs: Path, pair_id: str, needed: int) -> Iterator[Promised]:
    """Reserve disk space for a cell, and yield the reservations of all running cells, this one included.

    A reservation is a file that its process keeps locked, so that it ends with the process.

    Raises:
        UsageError: another process is running this pair.
    """
    import fcntl  # only Linux runs cells, and other systems read the reports

    with ExitStack() as stack:
        path = envs / f"{PREFIX}{pair_id}"
        with _alone(envs):
            others = dict(_promises(envs, path))
            mine = stack.enter_context(path.open("a+", encoding="ascii"))
            try:
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"{pair_id}: another process is running it in {envs}; wait for it or give --envs DIR"
                ) from None
            mine.truncate(0)
            mine.write(str(needed))
            mine.flush()
        try:
            yield Promised(mine=needed, others=others)
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _alone(envs: Path) -> Iterator[None]:
    """Hold a lock on the folder, so that only one process at a time reads or changes reservations."""
    import fcntl

    handle = os.open(envs, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _promises(envs: Path, mine: Path) -> Iterator[tuple[str, int]]:
    """Yield pair and bytes of each reservation of a living process, and remove the others."""
    import fcntl

    for path in envs.glob(f"{PREFIX}*"):
        if path == mine:
            continue
        try:
            stream = path.open("r", encoding="ascii")
        except FileNotFoundError:
            continue
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # If the process ends now and removes its file, the open stream stays readable.
                yield path.name.removeprefix(PREFIX), int(stream.read() or 0)
            else:
                path.unlink(missing_ok=True)
