"""Packages that a resolver accepts and no installer can install: source archives that cannot be built.

Some releases on an index are stubs whose build fetches the real wheel from elsewhere. Whether that works here
only building tells.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import NormalizedName

from compat._cli.progress import Progress
from compat._util.subprocesses import run
from compat.errors import PreparationError
from compat.uv.messages import failure_reason, fetches_elsewhere
from compat.uv.pylock import LockedFile

LONGEST_BUILD = 300.0
"""Seconds."""


def unbuildable(
    sources: Sequence[LockedFile], python: str, uv: str, progress: Progress
) -> dict[NormalizedName, str]:
    """Return those among some source archives that cannot be built here, each with the reason in one line.

    Raises:
        PreparationError: uv cannot make an environment of that Python to build them in.
    """
    if not sources:
        return {}
    with tempfile.TemporaryDirectory(prefix="compat-build-") as folder:
        environment = Path(folder, "env")
        made = [uv, "venv", "--quiet", "--no-project", "--python", python, str(environment)]
        code, output = _run(made, folder)
        if code:
            raise PreparationError(
                f"nothing can be built for Python {python}: {failure_reason(output, code)}"
            )
        reasons = {}
        for file in sources:
            progress.note(f"{file} has no wheel for Python {python}: building it")
            options = ("--no-deps", "--color", "never", "--target", str(Path(folder, "target")))
            command = [uv, "pip", "install", "--python", str(environment), *options, str(file)]
            code, output = _run(command, folder)
            if code:
                reasons[file.package] = f"it has no wheel, and its source archive {_why(output, code)}"
        return reasons


def _run(command: Sequence[str], folder: str) -> tuple[int, str]:
    """Return exit code and output; a build that takes too long is ended with all that it started."""
    variables = {**os.environ, "NO_COLOR": "1"}
    done = run(command, seconds=LONGEST_BUILD, merged=True, variables=variables, folder=folder)
    if done.code is None:
        return 1, f"error: not built within {LONGEST_BUILD:.0f} s"
    return done.code, done.stdout


def _why(output: str, code: int) -> str:
    """Return why a build failed: that it wanted to download something, else uv's reason."""
    if fetches_elsewhere(output):
        return "fetches the real package from elsewhere, which does not work here"
    return f"cannot be built: {failure_reason(output, code)}"
