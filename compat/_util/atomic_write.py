"""Atomic writes: a reader sees the old file or the new one, never a part of one."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from compat._util import file_locks

ABANDONED = 60.0
"""Seconds; an unlocked temporary file that was last changed earlier belongs to a process that was killed."""

_SYSTEM = ("/dev/", "/proc/")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces `target` when the block succeeds.

    When the block raises or is interrupted, the temporary file is removed and `target` is unchanged. If
    `target` is a symbolic link, the file that it points to is replaced. A special file, such as
    `/dev/stdout`, is written to instead of replaced.
    """
    if _is_special(target):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part"
            part.touch()
            yield part
            with part.open("rb") as source, target.open("wb") as stream:
                shutil.copyfileobj(source, stream)
        return
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with naming(target):
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    if not file_locks.AVAILABLE:  # Windows, where a file that is open cannot replace another
        os.close(handle)
    try:
        with suppress(OSError):  # not every file system has locks
            file_locks.lock(handle)
        yield part
        with part.open("r+b") as written:  # Windows synchronizes only files that are open for writing
            os.fsync(written.fileno())
        part.chmod(0o644)  # mkstemp creates files that only their owner can read
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
        if file_locks.AVAILABLE:
            os.close(handle)


@contextmanager
def naming(target: Path) -> Iterator[None]:
    """Let an OSError in a block name the target, which the user knows, and not a temporary file beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _remove_abandoned(target: Path) -> None:
    """Remove the temporary files of `target` that killed processes have left behind, if locks show which."""
    if not file_locks.AVAILABLE:
        return
    for part in target.parent.glob(f".{escape(target.name)}.*.part"):
        with suppress(OSError), part.open("rb") as stream:
            if time.time() - part.stat().st_mtime > ABANDONED:
                file_locks.lock(stream)
                part.unlink()


def _is_special(target: Path) -> bool:
    """Return whether a path is a device, a pipe or an open file descriptor rather than a regular file."""
    if str(target.absolute()).startswith(_SYSTEM):
        return target.exists()
    return target.exists() and not target.is_file() and not target.is_dir()


def write_text(target: Path, text: str) -> None:
    """Write `text` to `target` atomically, as UTF-8."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(target: Path, content: bytes) -> None:
    """Write `content` to `target` atomically."""
    with replacing(target) as part:
        part.write_bytes(content)


def overwrite(target: Path, content: bytes) -> None:
    """Replace the content of a file, or of the target of a link; mode and hard links stay.

    A file with one name is replaced atomically. One with several names is written in place, because a new
    file would leave the other names with the old content.
    """
    target = Path(os.path.realpath(target))
    found = target.stat()
    if found.st_nlink > 1:
        with target.open("r+b") as stream:
            stream.write(content)
            stream.truncate()
        return
    with replacing(target) as part:
        part.write_bytes(content)
    target.chmod(stat.S_IMODE(found.st_mode))
