"""Run the tests of the user's own project in the environment of a pair, for the level `tests`.

`tests` in `matrix.toml` is the command line of pytest. As for the GPU tests, the result comes from pytest's
JUnit file, the tests are collected first and all of them must run, and one skipped test is enough for the
cell not to pass. Unlike there, the project's own configuration and plugins count: they belong to its tests.
"""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compat._cli.progress import Progress
from compat._util.orphans import orphans_ended
from compat._util.subprocesses import how_ended, run_logged
from compat.matrix.judge.gpu_collection import Collection
from compat.matrix.judge.gpu_tests import COLLECTED, PLUGIN, Ran, collecting_plugin, judged, not_run, steers
from compat.matrix.model.outcome import Counts, State
from compat.scan.sources.discovery import Walk

NOUN = "test"
CONFIGURATION = ("pyproject.toml", "pytest.ini", ".pytest.ini", "setup.cfg", "tox.ini")
"""The files, beside the code, by which pytest is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTestSetup:
    """The command, interpreter, paths and limits of one run of the user's tests."""

    command: str
    """`tests` in `matrix.toml`, such as `pytest -m engine`."""
    python: Path
    """The interpreter of the environment."""
    path: tuple[Path, ...]
    """Folders that precede the environment's own packages on the import path, such as one with pytest."""
    root: Path
    """The folder of `matrix.toml`, in which the tests run."""
    folder: Path
    """The folder for results and temporary files."""
    log: BinaryIO
    variables: Mapping[str, str]
    until: float = float("inf")


def run_tests(setup: UserTestSetup, progress: Progress) -> Ran:
    """Run the tests and return their result.

    Raises:
        OutOfTimeError: the tests did not finish in time.
    """
    plugins, record = collecting_plugin(setup.folder)
    code = _pytest(setup, progress, plugins, ("-p", PLUGIN, "--collect-only", "-q"))
    if code not in COLLECTED:
        reason = f"pytest {how_ended(code)} when it collected the tests, see the log"
        return Ran(state=State.FAILED, reason=reason, counts=Counts())
    try:
        selected = Collection.read(record).selected
    except (OSError, ValueError) as error:
        return Ran(state=State.FAILED, reason=f"pytest left no list of the tests ({error})", counts=Counts())
    if not selected:
        return not_run(f"no test was collected by {setup.command!r}")
    junit = setup.folder / "tests.xml"
    junit.unlink(missing_ok=True)
    code = _pytest(setup, progress, plugins, (f"--junitxml={junit}",))
    return judged(junit, code, selected, NOUN)


def _pytest(setup: UserTestSetup, progress: Progress, plugins: Path, arguments: Sequence[str]) -> int:
    """Run the user's command with further arguments in the environment, and return its exit code."""
    home = setup.folder / "home"
    home.mkdir(exist_ok=True)
    path = f"{setup.python.parent}{os.pathsep}{setup.variables.get('PATH', os.defpath)}"
    roots = (setup.root, setup.root / "src")
    with orphans_ended():
        return run_logged(
            [str(setup.python), "-m", *shlex.split(setup.command), f"--rootdir={setup.root}", *arguments],
            setup.log,
            progress,
            until=setup.until,
            variables={
                **{name: value for name, value in setup.variables.items() if not steers(name)},
                "HOME": str(home),
                "PATH": path,
                "PYTHONPATH": os.pathsep.join(map(str, (*setup.path, *roots, plugins))),
            },
            folder=setup.root,
        )


def deciding_files(root: Path) -> Iterator[Path]:
    """Yield the files that decide the result: the Python files of the project, and its configuration."""
    yield from map(Path, Walk().files((str(root),)))
    yield from (root / name for name in CONFIGURATION if (root / name).is_file())
