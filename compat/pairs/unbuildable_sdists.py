"""Find packages that resolve but cannot be installed, since their source archive cannot be built.

Some releases on an index are stubs whose build downloads the real wheel from elsewhere. Only a build shows
whether that works.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import NormalizedName

from compat._cli.progress import Progress
from compat._util.subprocesses import run
from compat.errors import DiskError, PreparationError
from compat.uv.messages import failure_reason, fetches_elsewhere, is_disk_failure
from compat.uv.pylock import LockedFile

LONGEST_BUILD = 300.0
"""Seconds."""


def unbuildable(
    sources: Sequence[LockedFile], python: str, uv: str, progress: Progress
) -> dict[NormalizedName, str]:
    """Return the packages whose source archive cannot be built, each with the reason in one line.

    Raises:
        PreparationError: uv cannot create an environment of this Python version.
        DiskError: the disk is full or read-only.
    """
    if not sources:
        return {}
    with tempfile.TemporaryDirectory(prefix="compat-build-") as folder:
        environment = Path(folder, "env")
        made = [uv, "venv", "--quiet", "--no-project", "--python", python, str(environment)]
        code, output = _run(made, folder)
        if code:
            raise PreparationError(f"cannot build for Python {python}: {failure_reason(output, code)}")
        reasons = {}
        for file in sources:
            progress.note(f"{file} has no wheel for Python {python}; building it")
            options = ("--no-deps", "--color", "never", "--target", str(Path(folder, "target")))
            command = [uv, "pip", "install", "--python", str(environment), *options, str(file)]
            code, output = _run(command, folder)
            if code and is_disk_failure(output):
                # That says nothing about the package.
                reason = failure_reason(output, code)
                raise DiskError(
                    f"cannot build {file}: {reason}; free disk space, or set TMPDIR or UV_CACHE_DIR"
                )
            if code:
                reasons[file.package] = f"it has no wheel, and its source archive {_why(output, code)}"
        return reasons


def _run(command: Sequence[str], folder: str) -> tuple[int, str]:
    """Return exit code and output of a command; one that takes too long is killed with its children."""
    variables = {**os.environ, "NO_COLOR": "1"}
    done = run(command, seconds=LONGEST_BUILD, merged=True, variables=variables, folder=folder)
    if done.code is None:
        return 1, f"error: the build did not finish within {LONGEST_BUILD:.0f} s"
    return done.code, done.stdout


def _why(output: str, code: int) -> str:
    """Return why a build failed: a download from elsewhere, or else the reason that uv prints."""
    if fetches_elsewhere(output):
        return "downloads the real package from elsewhere, which does not work here"
    return f"cannot be built: {failure_reason(output, code)}"
