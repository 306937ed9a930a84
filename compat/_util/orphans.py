"""End processes that detached themselves from a command, by a session or a double fork, on Linux."""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SET_SUBREAPER, GET_SUBREAPER = 36, 37
"""Operations of Linux's prctl: a subreaper becomes the parent of its descendants whose parent has ended."""
LONGEST = 5.0
"""Seconds in which killed processes must be gone; one that waits for a device may stay."""


@contextmanager
def orphans_ended() -> Iterator[None]:
    """End, after the block, all processes that commands in the block have left behind.

    No other thread may start processes meanwhile: they would be ended as well. Where the system has no
    subreapers, only the process groups of commands are ended, by those who started them.
    """
    was = _subreaper()
    if was is None:
        yield
        return
    _prctl(SET_SUBREAPER, 1)
    before = _children()
    try:
        yield
    finally:
        until = time.monotonic() + LONGEST
        # The children of a killed process become children of this one, so look again until there are none.
        while (left := _children() - before) and time.monotonic() < until:
            for child in left:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        _prctl(SET_SUBREAPER, was)


def _children() -> set[int]:
    """Return the ids of the child processes of this process."""
    own, found = str(os.getpid()), set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name of the program, in parentheses, may contain spaces and parentheses.
            if path.read_bytes().rpartition(b")")[2].split()[1].decode() == own:
                found.add(int(path.parent.name))
    return found


def _subreaper() -> int | None:
    """Return whether this process is a subreaper, or None where that does not exist."""
    value = ctypes.c_int()
    try:
        failed = _prctl(GET_SUBREAPER, ctypes.byref(value))
    except (AttributeError, OSError, TypeError):  # Windows has no library without a name
        return None
    return None if failed or not Path("/proc/self/stat").exists() else value.value


def _prctl(operation: int, argument: object) -> int:
    result: int = ctypes.CDLL(None).prctl(operation, argument, 0, 0, 0)
    return result
