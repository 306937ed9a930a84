"""Advisory locks on open files, where the system has them; Windows does not."""

import importlib.util
from typing import IO

AVAILABLE = importlib.util.find_spec("fcntl") is not None
"""Whether the system has such locks."""


def lock(file: "int | IO[bytes]") -> None:
    """Lock an open file or file descriptor until it is closed, without waiting.

    Raises:
        OSError: another process has locked the file, or its file system has no locks.
    """
    if AVAILABLE:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
