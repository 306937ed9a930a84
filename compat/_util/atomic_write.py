"""Writing files so that nobody ever sees half of one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SYSTEM = ("/dev/", "/proc/")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `target` that takes its place when the block ends well.

    When the block raises, or is interrupted, the neighbour is removed and `target` is what it was before. A
    link stays one, and what it leads to is replaced. What is no ordinary file, such as `/dev/stdout`, is
    written to.
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
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.chmod(0o644)  # mkstemp makes private files; these are ordinary ones
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _is_special(target: Path) -> bool:
    """Return whether a path is that of a device, a pipe, or one of the names for what is open already."""
    if str(target.absolute()).startswith(_SYSTEM):
        return target.exists()
    return target.exists() and not target.is_file() and not target.is_dir()


def write_text(target: Path, text: str) -> None:
    """Replace `target` by `text` (UTF-8) in one step."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(target: Path, content: bytes) -> None:
    """Replace `target` by `content` in one step."""
    with replacing(target) as part:
        part.write_bytes(content)
