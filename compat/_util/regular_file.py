"""Read files whose path comes from outside, without waiting for a pipe or reading a device forever."""

import errno
import os
import stat
from pathlib import Path


def read_regular(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: the file cannot be read, or is a directory, a named pipe, a socket or a device.
    """

    def opener(name: str, flags: int) -> int:
        # Without O_NONBLOCK, opening a named pipe waits for a writer; Windows has neither.
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    with open(path, "rb", opener=opener) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return stream.read()
