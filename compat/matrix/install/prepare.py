"""Prepare the environment of a cell: install it from the lock, or check an existing one against the lock."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName

from compat._cli.progress import on_terminal
from compat.check.foretell import lock_warnings
from compat.errors import PreparationError
from compat.locks.lockfile import Lock
from compat.matrix.install import existing
from compat.matrix.install.existing import ExistingEnvironment
from compat.matrix.install.settle_files import settle_files
from compat.matrix.install.verify_files import check_installed
from compat.matrix.install.workspace import Workspace
from compat.matrix.model.outcome import Disagreement
from compat.model.collisions import described
from compat.model.releases import KERNELS, Pair
from compat.probe.probe_process import PROBE, child_variables
from compat.uv import client
from compat.uv.client import install_command, interpreter, venv_command

SITES = "lib/python3*/site-packages"
PYTEST, XDIST = "pytest>=8.3,<10", "pytest-xdist>=3.6,<4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An environment that is ready for the probe and the GPU tests."""

    python: Path
    variables: Mapping[str, str]
    """The environment variables of child processes."""
    probe: tuple[str | Path, ...]
    """The arguments of the interpreter that run the probe."""
    lock: Lock
    """The lock; for an existing environment, with the packages that are really installed."""
    sites: tuple[Path, ...] = ()
    """The folders that contain its packages."""
    path: tuple[Path, ...] = ()
    """Folders that precede the environment's own packages on the import path of tests."""
    what: str = ""
    """The kind of an existing environment; empty for one that was installed for the cell."""
    wrong: tuple[Disagreement, ...] = ()
    """Undeclared differences between an existing environment and the lock."""
    declared: tuple[str, ...] = ()
    """Differences that the bundle of an existing environment declares."""


def test_requirements(workers: int) -> tuple[str, ...]:
    """Return the requirements of the GPU tests; several workers need pytest-xdist."""
    return (PYTEST, XDIST) if workers else (PYTEST,)


def prepare_installed(
    pair: Pair, lock: Lock, space: Workspace, *, tool: Path, until: float, tests: Sequence[str]
) -> Prepared:
    """Install a lock with uv, or reuse the environment of an earlier run, and return it.

    Args:
        pair: the pair.
        lock: the lock to install.
        space: the workspace for the environment.
        tool: the path of uv.
        until: the value of `time.monotonic()` at which the installation is aborted.
        tests: what the tests require, to install as well, into a folder beside the environment.

    Raises:
        PreparationError: uv failed, or installed files differ from their wheels.
        OutOfTimeError: the installation did not finish in time.
    """
    python = interpreter(space.environment)
    if not space.reused:
        with on_terminal(f"{pair.id}: installing", None) as progress:
            for line in lock_warnings(lock):
                progress.note(line)
            for command in (
                venv_command(tool, pair.python, space.environment),
                install_command(tool, space.environment, lock.requirements),
            ):
                client.run(command, space.log, progress, until=until)
            again = install_command(tool, space.environment, lock.requirements)
            found = settle_files(
                tuple(space.environment.glob(SITES)),
                lambda name: client.run(
                    [*again, "--reinstall-package", name], space.log, progress, until=until
                ),
            )
            for each, (first, *_) in found.items():
                progress.note(f"{pair.id}: {described(each)}; those of {first} stay")
    sites = tuple(space.environment.glob(SITES))
    check_installed(sites, _under_test(pair))
    tools = space.folder / "tools" if tests else None
    if tools is not None:
        with on_terminal(f"{pair.id}: pytest", None) as progress:
            options = ["--python", str(python), "--target", str(tools)]
            client.run([str(tool), "pip", "install", *options, *tests], space.log, progress, until=until)
    return Prepared(
        python=python,
        variables=child_variables(os.environ),
        probe=("-I", PROBE),  # isolated from everything outside the environment
        lock=lock,
        sites=sites,
        path=() if tools is None else (tools,),
    )


def prepare_existing(
    pair: Pair, lock: Lock, environment: ExistingEnvironment, space: Workspace, *, tests: Sequence[str]
) -> Prepared:
    """Compare an existing environment with the lock, and return it with the differences.

    Args:
        pair: the pair.
        lock: the lock to compare with.
        environment: the environment, which stays unchanged.
        space: the workspace for files that are written.
        tests: what the tests require.

    Raises:
        PreparationError: its interpreter does not run, files under test were changed, or pytest is missing.
    """
    work = space.folder / "work"
    work.mkdir(exist_ok=True)
    found = existing.listing(environment, work)
    wrong, declared = existing.differences(pair, lock, environment.bundle, found)
    sites = {found.places[name] for name in _under_test(pair) if name in found.places}
    check_installed(sites, _under_test(pair), "the environment was modified; create it again")
    missing = [name for each in tests if (name := Requirement(each).name) not in found.packages]
    if missing and not wrong:
        raise PreparationError(
            f"{environment.python}: {missing[0]} is missing, which the level gpu needs; "
            "install it for this Python"
        )
    # Run from its own folder, the modules beside the probe would shadow others of the same name.
    probe = space.folder / "compat_probe.py"
    probe.write_bytes(PROBE.read_bytes())
    return Prepared(
        python=environment.python,
        variables=existing.variables(environment, space.folder, found.user_base),
        probe=(probe,),
        lock=found.as_lock(lock),
        sites=tuple(sorted(set(found.places.values()))),
        path=environment.path,
        what=environment.what,
        wrong=wrong,
        declared=declared,
    )


def _under_test(pair: Pair) -> set[NormalizedName]:
    return {release.package for release in pair.releases} | set(KERNELS)
