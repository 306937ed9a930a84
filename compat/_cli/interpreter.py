"""The value of `--python`: which interpreter it names."""

import os
import shutil
from pathlib import Path

from compat.errors import UsageError


def interpreter(text: str) -> Path:
    """Return the interpreter for a path, a name on the PATH, or the folder of an environment.

    Raises:
        UsageError: no such interpreter exists.
    """
    path = Path(text)
    if path.is_dir():
        path /= "Scripts/python.exe" if os.name == "nt" else "bin/python"
    found = shutil.which(path)
    if found is None:
        raise UsageError(
            f"--python: {text!r} is not a program; pass a Python, or the folder of an environment"
        )
    return Path(found).absolute()
