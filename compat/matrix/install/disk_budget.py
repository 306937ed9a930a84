"""Disk: what cells that run at the same time have been promised, and a limit for all of them."""

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from compat._cli.console import say
from compat._cli.text import size
from compat.errors import DiskError, UsageError
from compat.locks.lockfile import Lock
from compat.matrix.install.disk_usage import used_bytes
from compat.uv import client

PREFIX = ".room-"
Sizes = Mapping[NormalizedName, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What cells that run at the same time have been promised."""

    mine: int
    """Bytes."""
    others: Mapping[str, int]
    """Pair to bytes."""

    @property
    def all(self) -> int:
        """Bytes for all of them."""
        return self.mine + sum(self.others.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What uv's cache and the environments may take together."""

    limit: int
    """Bytes."""
    cache: Path
    envs: Path
    """Environments that stay, or are being made, count: dropping what they link to frees nothing."""
    uv: Path

    def make_room(
        self, needed: int, done: Sequence[Lock], left: Sequence[Lock], kept: Collection[NormalizedName] = ()
    ) -> None:
        """Keep within the limit with `needed` more bytes, if need be by dropping what is missed least.

        Args:
            needed: bytes for environments that are about to be made, or are being made.
            done: what the finished cells of this run have installed.
            left: what the others need, this cell included; nothing but what these two lock is ever dropped.
            kept: packages that must stay in the cache: cells that begin or run count on them.

        Raises:
            DiskError: even without all that the limit would be passed; then nothing is dropped.
        """
        used = used_bytes(self.cache, self.envs)
        stages = droppable(done, left, kept)
        most = sum(sum(stage.values()) for stage in stages)
        if max(used - most, 0) + needed > self.limit:
            raise self._refusal(needed, used)
        for stage in stages:
            while stage and used + needed > self.limit:
                names = enough(stage, used + needed - self.limit)
                say(f"the disk budget is used up: dropping {len(names)} packages from uv's cache")
                client.ask([str(self.uv), "cache", "clean", *names])
                stage = {name: count for name, count in stage.items() if name not in names}  # noqa: PLW2901
                used = used_bytes(self.cache, self.envs)
        if used + needed > self.limit:
            raise self._refusal(needed, used)

    def _refusal(self, needed: int, used: int) -> DiskError:
        return DiskError(
            f"the cell needs {size(needed)}, uv's cache and the environments hold {size(used)}, and "
            f"--max-disk is {size(self.limit)}; raise it, or run `uv cache prune`"
        )


def droppable(
    done: Sequence[Lock], left: Sequence[Lock], kept: Collection[NormalizedName] = ()
) -> tuple[Sizes, Sizes, Sizes]:
    """Return what may be dropped, with its bytes, from what is missed least to what is missed most.

    uv drops all versions of a package at once. First come those that only finished cells needed; then those
    of which cells that are left need another version; then what they need themselves, which costs a download.
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
    """Return the largest packages that take so many bytes together; all when they do not."""
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
    """Reserve disk for a cell; yield what all cells that are running, this one included, have been promised.

    A reservation is a file that its process keeps locked: one that dies gives it back.

    Raises:
        UsageError: another process is running this pair.
    """
    with ExitStack() as stack:
        path = envs / f"{PREFIX}{pair_id}"
        with _alone(envs):
            others = dict(_promises(envs, path))
            mine = stack.enter_context(path.open("a+", encoding="ascii"))
            try:
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"{pair_id}: another run is at work in {envs}; wait for it or give --envs DIR"
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
    """Let one process at a time look at the reservations: the folder itself is the lock."""
    handle = os.open(envs, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _promises(envs: Path, mine: Path) -> Iterator[tuple[str, int]]:
    """Yield pair and bytes of each reservation that is still held; remove the others."""
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
                # The process may end at any time: then its file is gone, and still open here.
                yield path.name.removeprefix(PREFIX), int(stream.read() or 0)
            else:
                path.unlink(missing_ok=True)
