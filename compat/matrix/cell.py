"""Run one cell: prepare the environment, run the probe or the GPU tests, and judge the result."""

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from compat._cli import console
from compat._cli.progress import on_terminal
from compat._cli.text import counted
from compat._util import atomic_write
from compat.errors import DiskError, NetworkError, OutOfTimeError, PreparationError
from compat.locks.lockfile import Lock
from compat.matrix.install import prepare
from compat.matrix.install.disk_usage import used_bytes
from compat.matrix.install.existing import ExistingEnvironment
from compat.matrix.install.prepare import Prepared
from compat.matrix.install.workspace import Workspace, claimed
from compat.matrix.judge import expected_failures, gpu_tests, rehearsals, user_tests
from compat.matrix.judge.compare import judge
from compat.matrix.judge.gpu_tests import GpuTestOptions
from compat.matrix.judge.inputs import Sources
from compat.matrix.judge.rehearsals import Rehearsal
from compat.matrix.judge.user_tests import UserTestSetup
from compat.matrix.model.outcome import Cell, CellOutcome, Digests, Disagreement, Level, State, outcome_path
from compat.matrix.model.plan import Plan
from compat.model.releases import Pair
from compat.probe import driver_stub
from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_records import ModuleFact
from compat.probe.probe_runner import ProbeRunner
from compat.uv import client

FULL = 50_000_000
"""With fewer free bytes than this after a run, a failure may be due to the full disk."""


INTERRUPTED = "interrupted; run the cell again"

LIMIT = 3600.0
"""Seconds; a slow connection needs minutes for 5 GB, and some kernels compile for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cell to run, with its lock, plan and options."""

    pair: Pair
    lock: Lock
    digests: Digests
    plan: Plan
    sources: Sources
    uv: Path | None
    """The path of uv; None when nothing is installed."""
    envs: Path
    reports: Path
    timeout: float
    """Seconds without progress after which a module counts as hung."""
    level: Level = Level.IMPORT
    limit: float = LIMIT
    """Seconds after which the cell and its child processes are killed."""
    retries: int | None = None
    """See `ProbeRunner.retries`."""
    keep: bool = False
    max_disk: int | None = None
    """Bytes that uv's cache and all environments may use together."""
    gpu_tests: GpuTestOptions = field(default_factory=GpuTestOptions)
    existing: ExistingEnvironment | None = None
    """An existing environment to use and leave unchanged; None to install one for the cell."""

    @property
    def cell(self) -> Cell:
        """Pair and level of the cell."""
        return Cell(pair_id=self.pair.id, level=self.level)

    @property
    def folder(self) -> Path:
        """The report folder of the cell."""
        return self.reports / self.cell.id


def run_cell(job: Job) -> CellOutcome:
    """Run a cell from installation to removal of the environment, and return the outcome.

    Log and outcome are written to the report folder; of an interrupted cell, only the outcome, which says so.

    Raises:
        UsageError: another process is running this pair.
    """
    begun = time.monotonic()
    outcome = _begun(job)
    # A cell in an existing environment needs its own folder: the pair's may hold a kept environment.
    name = job.pair.id if job.existing is None else f"{job.pair.id}+given"
    with claimed(job.envs, name, job.lock.digest) as space:
        # After an interruption, an old outcome must not pass for the new one.
        outcome_path(job.cell, job.reports).unlink(missing_ok=True)
        try:
            outcome = _checked(job, space, outcome, begun + job.limit)
        except KeyboardInterrupt:
            (job.folder / "log.txt").unlink(missing_ok=True)
            replace(outcome, reason=INTERRUPTED).write(outcome_path(job.cell, job.reports))
            raise
        except OutOfTimeError as error:
            reason = f"did not finish within {job.limit:g} s: {error}"
            outcome = replace(outcome, state=State.FAILED, reason=reason)
        except (PreparationError, DiskError, NetworkError) as error:
            outcome = replace(outcome, state=State.BLOCKED, reason=str(error))
        except OSError as error:
            outcome = replace(outcome, state=State.BLOCKED, reason=console.disk_message(error))
        outcome = replace(outcome, peak_bytes=space.used_bytes())
        if job.max_disk is not None and job.uv is not None:  # walking the cache takes seconds
            shared = used_bytes(client.cache_folder(job.uv), job.envs)
            outcome = replace(outcome, shared_bytes=shared, budget_bytes=job.max_disk)
        space.clear()
        with atomic_write.replacing(job.folder / "log.txt") as part:
            shutil.copyfile(space.log_path, part)
    outcome = replace(outcome, seconds=round(time.monotonic() - begun, 1))
    outcome.write(outcome_path(job.cell, job.reports))
    return outcome


def not_begun(job: Job, reason: str, state: State = State.BLOCKED) -> CellOutcome:
    """Write and return the outcome of a cell that could not start."""
    outcome = replace(_begun(job), state=state, reason=reason)
    (job.folder / "log.txt").unlink(missing_ok=True)
    outcome.write(outcome_path(job.cell, job.reports))
    return outcome


def host() -> dict[str, str]:
    """Return the facts about this machine that are known before an installation: the NVIDIA driver."""
    try:
        version = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return {"driver": ""}
    return {"driver": version.splitlines()[0].strip()}


def _begun(job: Job) -> CellOutcome:
    return CellOutcome(
        cell=job.cell,
        state=State.NOT_RUN,
        reason="not finished",
        pair=job.pair.describe(),
        digests=job.digests,
        machine=host(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def why_not_here(job: Job) -> str:
    """Return why this machine cannot run the cell, or an empty string if it can."""
    if job.level is Level.GPU and not host()["driver"]:
        return "no GPU: this machine has no NVIDIA driver"
    return ""


def _checked(job: Job, space: Workspace, outcome: CellOutcome, until: float) -> CellOutcome:
    if job.level is Level.IMPORT and not host()["driver"]:
        driver_stub.compiler()  # report a missing compiler before the install
    ready = _prepared(job, space, until)
    machine = {"environment": ready.what} if ready.what else {}
    outcome = replace(outcome, machine={**outcome.machine, **machine}, declared=ready.declared)
    if ready.wrong:
        reason = f"the environment differs from the lock: {_first(outcome, ready.wrong)}"
        return replace(outcome, state=State.FAILED, reason=reason, disagreements=ready.wrong)
    runner = ProbeRunner(
        python=ready.python,
        folder=space.folder,
        log=space.log,
        timeout=job.timeout,
        until=until,
        variables=ready.variables,
        probe=ready.probe,
        retries=job.retries,
    )
    machine = runner.machine()
    cuda = bool(machine.get("cuda"))
    outcome = replace(outcome, machine=_machine(outcome, machine))
    if job.level is Level.TESTS:
        return _tested_by_user(job, ready, space, outcome, until)
    if job.level is Level.GPU:
        return _tested(job, ready, space, outcome, until, cuda=cuda)
    expected = job.sources.expectations(job.pair, ready.lock, cuda=cuda)
    facts = _look(job, runner, expected, job.sources.common(ready.lock))
    rehearsed = _rehearse(job, ready, runner, cuda=cuda)
    if shutil.disk_usage(space.folder).free < FULL:
        raise DiskError(
            f"{job.pair.id}: the disk of {space.folder} is full; free disk space and run the cell again"
        )
    return _judged(job, outcome, expected, facts, rehearsed, cuda=cuda)


def _prepared(job: Job, space: Workspace, until: float) -> Prepared:
    tests = prepare.test_requirements(job.gpu_tests.workers) if job.level is not Level.IMPORT else ()
    if job.level is Level.TESTS:
        tests += job.pair.tests_install
    if job.existing is not None:
        ready = prepare.prepare_existing(job.pair, job.lock, job.existing, space, tests=tests)
    else:
        tool = job.uv or client.find_uv()
        ready = prepare.prepare_installed(job.pair, job.lock, space, tool=tool, until=until, tests=tests)
    if job.keep:
        space.keep()
    return ready


def _first(outcome: CellOutcome, wrong: tuple[Disagreement, ...]) -> str:
    """Return the first difference, and the number of further ones."""
    more = len(wrong) - 1
    return f"{outcome.complaint(wrong[0])}{f', and {more} more' if more else ''}"


def _tested(
    job: Job, ready: Prepared, space: Workspace, outcome: CellOutcome, until: float, *, cuda: bool
) -> CellOutcome:
    """Run the GPU tests if torch finds a GPU, and return the outcome."""
    if not cuda:
        return replace(outcome, state=State.NOT_RUN, reason="no GPU: the torch of the pair finds none")
    bench = gpu_tests.GpuTestSetup(
        python=ready.python,
        path=ready.path,
        tests=job.sources.gpu_tests(),
        folder=space.folder,
        log=space.log,
        variables=ready.variables,
        until=until,
        options=job.gpu_tests,
    )
    outcome = replace(outcome, options=job.gpu_tests.described)
    with on_terminal(f"{job.cell.id}: GPU tests", None) as progress:
        ran = gpu_tests.run_tests(bench, progress)
    return replace(outcome, state=ran.state, reason=ran.reason, counts=ran.counts, disagreements=ran.failed)


def _tested_by_user(
    job: Job, ready: Prepared, space: Workspace, outcome: CellOutcome, until: float
) -> CellOutcome:
    """Run the tests of the user's own project, and return the outcome."""
    setup = UserTestSetup(
        command=job.pair.tests,
        python=ready.python,
        path=ready.path,
        root=job.sources.root(),
        folder=space.folder,
        log=space.log,
        variables=ready.variables,
        until=until,
    )
    with on_terminal(f"{job.cell.id}: tests", None) as progress:
        ran = user_tests.run_tests(setup, progress)
    return replace(outcome, state=ran.state, reason=ran.reason, counts=ran.counts, disagreements=ran.failed)


def _look(
    job: Job,
    runner: ProbeRunner,
    expected: tuple[ModuleExpectation, ...],
    common: Mapping[str, Sequence[str]] | None,
) -> dict[str, ModuleFact]:
    facts: dict[str, ModuleFact] = {}
    with (
        on_terminal(f"{job.pair.id}: importing", len(expected)) as progress,
        contextlib.closing(runner.facts(expected, common)) as seen,
    ):
        for fact in seen:
            facts[fact.module] = fact
            progress.advance()
    return facts


def _rehearse(job: Job, ready: Prepared, runner: ProbeRunner, *, cuda: bool) -> tuple[Rehearsal, ...]:
    """Rehearse each package of the pair, with the library of the driver or, without a GPU, a stub of it."""
    stub = None if cuda else driver_stub.build(ready.sites, runner.folder)
    given = rehearsals.variables(runner, job.sources.code(), stub)
    with on_terminal(f"{job.pair.id}: building layers", None) as progress:
        return tuple(
            rehearsals.rehearse(release.package, runner, given, progress) for release in job.pair.releases
        )


def _machine(outcome: CellOutcome, found: Mapping[str, Any]) -> dict[str, str]:
    return {**outcome.machine, **{key: str(value) for key, value in found.items()}}


def _judged(
    job: Job,
    outcome: CellOutcome,
    expected: tuple[ModuleExpectation, ...],
    facts: Mapping[str, ModuleFact],
    rehearsed: tuple[Rehearsal, ...],
    *,
    cuda: bool,
) -> CellOutcome:
    verdict = judge(expected, facts)
    found = (*verdict.disagreements, *(entry for each in rehearsed for entry in each.broken))
    left, met, idle = expected_failures.explain(found, job.pair.expect, cuda=cuda)
    counts = replace(verdict.counts, disagreements=len(left), expected=len(met))
    broken = sum(entry.is_layer for entry in left)
    reasons = []
    if contradicted := len(left) - broken:
        reasons.append(f"{counted(contradicted, 'disagreement')} between index and run time")
    if broken:
        reasons.append(f"{counted(broken, 'layer')} that cannot be built")
    reasons += [problem for each in rehearsed for problem in each.problems]
    reasons += [f"an expected failure did not happen: {entry.location}" for entry in idle]
    tested = {release.package for release in job.pair.releases}
    reasons += [
        f"the expected failures cover every name of {package}, so nothing of it is checked"
        for package in expected_failures.covered_packages(expected, job.pair.expect, cuda=cuda)
        if package in tested
    ]
    if not counts.imported:
        reasons.append("nothing was imported: no name that the index lists is bound in this environment")
    elif not counts.checked:
        reasons.append("nothing was checked: the index has no definite answer about any name")
    return replace(
        outcome,
        state=State.FAILED if reasons else State.PASSED,
        reason="; ".join(reasons),
        counts=counts,
        agreed=verdict.agreed,
        layers={each.package: each.layers for each in rehearsed},
        disagreements=left,
        expected=met,
    )
