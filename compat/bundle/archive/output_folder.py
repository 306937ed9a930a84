"""The folder of a bundle: made beside its place, and put there whole."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compat.bundle.archive.unpack import MANIFEST, exchange
from compat.errors import UsageError


def check_output(target: Path) -> None:
    """Do nothing when a bundle may take the place of `target`.

    Raises:
        UsageError: something else is there.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"--output {target}: is there and no folder; name another place")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UsageError(f"--output {target}: holds something that is no bundle; name another folder")


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder that takes the place of `target` when the block ends well, and is removed else."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        yield made
        made.chmod(0o755)
        exchange(made, target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
