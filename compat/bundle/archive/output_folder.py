"""Check the output folder of a bundle: nothing but a bundle may be replaced."""

from pathlib import Path

from compat.bundle.archive.unpack import MANIFEST
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
