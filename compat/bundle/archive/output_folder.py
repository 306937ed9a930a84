"""Replace the output folder of a bundle in one step, and never anything but a bundle."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compat.bundle.archive.unpack import MANIFEST, exchange
from compat.errors import UsageError


def check_output(target: Path) -> None:
    """Check that `target` does not exist, is an empty folder, or is a bundle.

    Raises:
        UsageError: `target` is something else, which a new bundle must not replace.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"--output {target}: exists and is not a folder; choose another path")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UsageError(f"--output {target}: the folder is neither empty nor a bundle; choose another one")


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder that replaces `target` when the block succeeds, and is removed when it fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    created = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        yield created
        created.chmod(0o755)
        exchange(created, target)
    finally:
        shutil.rmtree(created, ignore_errors=True)
