"""Atomic writes: a reader sees the old file or the new one, never a part of one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("r+b") as written:  # Windows synchronizes only files that are open for writing
            os.fsync(written.fileno())
        part.chmod(0o644)  # mkstemp creates files that only their owner can read
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


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
