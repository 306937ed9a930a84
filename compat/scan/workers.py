"""Process many files in parallel, in forked processes that take the next file from one queue.

`bench/scan_parts.py` measures what this saves. `multiprocessing` takes longer to import than most scans run.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[Iterator[str]], list[T]]
"""Returns one result per path. It runs in each process and has to open the files and databases it needs."""

MAX_PROCESSES = 4
"""Each process takes memory, and parses again the files that others have parsed, too."""
BYTES_PER_PROCESS = 50_000
"""Bytes of source from which one more process saves time."""
MAX_PATHS = 16_000
"""The queue is a pipe, which holds 64 KiB on Linux, 4 bytes per path."""


def map_files(work: Work[T], paths: Sequence[str], sizes: Sequence[int]) -> list[T]:
    """Return the result of `work` for each path, in the order of the paths.

    This process repeats what another process failed to do, so that errors are raised here.

    Args:
        work: called once in each process, with an iterator of paths; its results can be pickled.
        paths: the files.
        sizes: their sizes in bytes; the largest files are taken first.
    """
    count = min(MAX_PROCESSES, _cores(), sum(sizes) // BYTES_PER_PROCESS)
    if count < 2 or len(paths) > MAX_PATHS:
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
    """Return the number of usable cores; 1 if this process has threads, which do not survive a fork.

    Outside Linux it is 1 as well: Windows has no fork, and on macOS it is not safe.
    """
    if not hasattr(os, "sched_getaffinity"):
        return 1
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        return 1
    return len(os.sched_getaffinity(0))


def _queue(numbers: Sequence[int]) -> int:
    """Return the reading end of a pipe that holds the numbers; each process reads the next one from it."""
    reader, writer = os.pipe()
    os.write(writer, b"".join(number.to_bytes(4, "little") for number in numbers))
    os.close(writer)
    return reader


def _done(work: Work[T], paths: Sequence[str], queue: int) -> list[tuple[int, T]]:
    """Return the results for the paths that this process takes from the queue, with their numbers."""
    taken: list[int] = []

    def take() -> Iterator[str]:
        while number := os.read(queue, 4):
            taken.append(int.from_bytes(number, "little"))
            yield paths[taken[-1]]

    return list(zip(taken, work(take()), strict=True))


def _start(work: Work[T], paths: Sequence[str], queue: int) -> tuple[int, int]:
    """Start a process that works on the queue; return its id and the pipe with its results."""
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
        os._exit(0)  # the waiting process repeats what failed, and raises the error


def _answer(child: tuple[int, int]) -> Any:
    """Return the results of a process; nothing if it ended early."""
    import pickle

    with os.fdopen(os.dup(child[1]), "rb") as pipe:
        data = pipe.read()
    try:
        return pickle.loads(data)  # noqa: S301 -- this program wrote it
    except (EOFError, pickle.UnpicklingError):
        return ()


def _end(pid: int, reader: int) -> None:
    """Kill a process, whether it has finished or not, and wait for its end."""
    import signal

    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
