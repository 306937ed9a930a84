"""Replace a folder as a whole: a reader sees the old one or the new one, never a part of one."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compat._util.atomic_write import naming


def exchange(created: Path, target: Path) -> None:
    """Rename the folder `created` to `target`; a previous `target` is then at `created`."""
    if not target.exists():
        created.rename(target)
        return
    aside = created.with_name(f"{created.name}.old")
    target.rename(aside)
    try:
        created.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    aside.rename(created)


@contextmanager
def replacing_folder(target: Path, swap: Callable[[Path, Path], None] = exchange) -> Iterator[Path]:
    """Yield a new folder that replaces `target` when the block succeeds, and is removed when it fails.

    Args:
        target: a folder, or a path that does not exist; what it is must have been checked before.
        swap: renames the first folder to the second, and leaves a previous second one at the first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with naming(target):
        created = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        yield created
        created.chmod(0o755)
        swap(created, target)
    finally:
        shutil.rmtree(created, ignore_errors=True)
