"""The environment that a cell looks into: installed from the lock, or one that was there already."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName

from compat._cli.progress import on_terminal
from compat.errors import PreparationError
from compat.locks.lockfile import Lock
from compat.matrix.install import existing
from compat.matrix.install.existing import ExistingEnvironment
from compat.matrix.install.verify_files import check_installed
from compat.matrix.install.workspace import Workspace
from compat.matrix.outcome import Disagreement
from compat.matrix.plan import Plan, install_command, interpreter, venv_command
from compat.model.releases import KERNELS, Pair
from compat.probe.probe_runner import PROBE, child_variables
from compat.uv import client

PYTEST = "pytest>=8.3,<10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An environment that is ready to be looked into."""

    python: Path
    variables: Mapping[str, str]
    """The environment variables of its children."""
    probe: tuple[str | Path, ...]
    """How its Python is told to run the probe."""
    lock: Lock
    """What is really there: the lock, or the lock as far as a given environment follows it."""
    sites: tuple[Path, ...] = ()
    """The folders that its packages are in."""
    path: tuple[Path, ...] = ()
    """Folders that tests find before the environment's own packages."""
    what: str = ""
    """What the environment is, when it was not installed for the cell."""
    wrong: tuple[Disagreement, ...] = ()
    """In what a given environment is not the lock."""
    declared: tuple[str, ...] = ()
    """The same, as far as its bundle declares it."""


def prepare_installed(
    pair: Pair, lock: Lock, plan: Plan, space: Workspace, *, tool: Path, until: float, tests: bool
) -> Prepared:
    """Install a lock with uv, unless a run before has left it here.

    Args:
        pair: the pair.
        lock: what is installed.
        plan: how long it is likely to take.
        space: takes the environment.
        tool: uv.
        until: the value of `time.monotonic()` at which it has to be done.
        tests: whether pytest is needed as well, beside the environment: what is locked stays as it is.

    Raises:
        PreparationError: uv could not, or what it has installed is not what the wheels hold.
        OutOfTimeError: it took too long.
    """
    python = interpreter(space.environment)
    if not space.reused:
        with on_terminal(f"{pair.id}: installing", round(plan.seconds)) as progress:
            for command in (
                venv_command(tool, pair.python, space.environment),
                install_command(tool, space.environment, lock.requirements),
            ):
                client.run(command, space.log, progress, until=until)
    sites = tuple(space.environment.glob("lib/python3*/site-packages"))
    check_installed(sites, _under_test(pair))
    tools = space.folder / "tools" if tests else None
    if tools is not None:
        with on_terminal(f"{pair.id}: pytest", None) as progress:
            options = ["--python", str(python), "--target", str(tools)]
            client.run([str(tool), "pip", "install", *options, PYTEST], space.log, progress, until=until)
    return Prepared(
        python=python,
        variables=child_variables(os.environ),
        probe=("-I", PROBE),  # isolated, so that nothing outside of the environment counts
        lock=lock,
        sites=sites,
        path=() if tools is None else (tools,),
    )


def prepare_existing(
    pair: Pair, lock: Lock, environment: ExistingEnvironment, space: Workspace, *, tests: bool
) -> Prepared:
    """Compare a given environment with the lock, and return it as it is.

    Args:
        pair: the pair.
        lock: what should be there.
        environment: the environment.
        space: takes what is written meanwhile.
        tests: whether pytest is needed as well.

    Raises:
        PreparationError: its Python tells nothing, files under test were changed, or pytest is missing.
    """
    work = space.folder / "work"
    work.mkdir(exist_ok=True)
    found = existing.listing(environment, work)
    wrong, declared = existing.differences(pair, lock, environment.bundle, found)
    sites = {found.places[name] for name in _under_test(pair) if name in found.places}
    check_installed(sites, _under_test(pair), "the environment was changed; make it again")
    if tests and not wrong and "pytest" not in found.packages:
        raise PreparationError(
            f"{environment.python} has no pytest, which the level gpu needs; install it for that Python"
        )
    # A copy: beside the original, modules of this project would hide others of that name.
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
