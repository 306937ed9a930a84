"""Work on many files shared out among processes, one for each core: parsing keeps a core busy."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[Iterator[str]], list[T]]
"""Makes one result of each path, and opens what it needs: nothing open is taken over by another process."""

MOST = 4
"""Processes: each takes memory, and parses the files that several of them need."""
ENOUGH = 50_000
"""Bytes of source for which another process pays."""
LONGEST = 16_000
"""Paths: their numbers have to fit into a pipe, which holds 64 KiB on Linux."""


def shared(work: Work[T], paths: Sequence[str], sizes: Sequence[int]) -> list[T]:
    """Return what `work` makes of each path, in order.

    What a process that ends early leaves undone is done by this one in the end, where errors are told.

    Args:
        work: called in each process; its results can be pickled.
        paths: of files.
        sizes: their bytes: the largest files come first.
    """
    count = min(MOST, _cores(), sum(sizes) // ENOUGH)
    if count < 2 or len(paths) > LONGEST:
        return work(iter(paths))
    queue = _queue(sorted(range(len(paths)), key=lambda at: -sizes[at]))
    children = [_start(work, paths, queue) for _ in range(count - 1)]
    try:
        found = dict(_done(work, paths, queue))
        for child in children:
            found.update(_answer(child))
    finally:
        os.close(queue)
        for pid, reader in children:
            _end(pid, reader)
    left = [at for at in range(len(paths)) if at not in found]
    if left:
        found.update(zip(left, work(paths[at] for at in left), strict=True))
    return [found[at] for at in range(len(paths))]


def _cores() -> int:
    """Return the cores that this process may use; one when it has threads, which do not survive a fork."""
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        return 1
    return len(os.sched_getaffinity(0))


def _queue(numbers: Sequence[int]) -> int:
    """Return the reading end of a pipe that holds the numbers: every process takes the next from it."""
    reader, writer = os.pipe()
    os.write(writer, b"".join(number.to_bytes(4, "little") for number in numbers))
    os.close(writer)
    return reader


def _done(work: Work[T], paths: Sequence[str], queue: int) -> list[tuple[int, T]]:
    """Return what becomes of the paths that this process takes, with their numbers."""
    taken: list[int] = []

    def take() -> Iterator[str]:
        while number := os.read(queue, 4):
            taken.append(int.from_bytes(number, "little"))
            yield paths[taken[-1]]

    return list(zip(taken, work(take()), strict=True))


def _start(work: Work[T], paths: Sequence[str], queue: int) -> tuple[int, int]:
    """Start a process that does a share; return its number and where it writes its answer."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        import pickle

        data = pickle.dumps(_done(work, paths, queue), pickle.HIGHEST_PROTOCOL)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(data)
    finally:
        os._exit(0)  # what failed is done again, and told, by the process that waits


def _answer(child: tuple[int, int]) -> Any:
    """Return what a process has done; nothing when it ended early."""
    import pickle

    with os.fdopen(os.dup(child[1]), "rb") as pipe:
        data = pipe.read()
    try:
        return pickle.loads(data)  # noqa: S301 -- of this very program
    except (EOFError, pickle.UnpicklingError):
        return ()


def _end(pid: int, reader: int) -> None:
    """End a process, which is of no more use, done or not."""
    import signal

    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
