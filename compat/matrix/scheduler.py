"""Plan and run the cells on this machine, one environment at a time, and skip finished ones."""

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from compat._cli.console import disk_message, say
from compat._cli.progress import NoteLines
from compat._cli.text import duration
from compat.errors import CLEAN, ENVIRONMENT, FINDINGS, CompatError, DiskError, UsageError
from compat.matrix.cell import LIMIT, Job, host, not_begun, run_cell, why_not_here
from compat.matrix.disk_check import DiskCheck, nearest_existing
from compat.matrix.install import disk_budget, workspace
from compat.matrix.install.existing import ExistingEnvironment
from compat.matrix.judge.gpu_tests import GpuTestOptions
from compat.matrix.judge.inputs import Sources, digests
from compat.matrix.model.outcome import (
    Cell,
    CellOutcome,
    Digests,
    Level,
    State,
    another_python,
    levels_of,
    outcome_path,
    read_outcome,
)
from compat.matrix.model.plan import Plan
from compat.model.releases import Pair
from compat.uv import client
from compat.uv.messages import nothing_to_download


class Estimate:
    """The remaining time of a run; each finished cell corrects the estimate for the others."""

    def __init__(self, planned: Sequence[float]) -> None:
        """Start with the planned seconds of each cell to run, in order."""
        self._planned = list(planned)
        self._spent: list[float] = []

    def done(self, seconds: float) -> None:
        """Record the actual duration of the current cell."""
        self._spent.append(seconds)

    @property
    def seconds(self) -> float:
        """The remaining time: the planned seconds, scaled by the ratio of actual to planned ones so far."""
        finished_cells = len(self._spent)
        planned = sum(self._planned[:finished_cells])
        ratio = sum(self._spent) / planned if planned else 1.0
        return ratio * sum(self._planned[finished_cells:])

    def line(self) -> str:
        """Return the number of the current cell and the time left: ` (2 of 5, about 6 min 10 s left)`."""
        count, number = len(self._planned), len(self._spent) + 1
        return f" ({number} of {count}, about {duration(self.seconds)} left)" if count > 1 else ""


TIMEOUT = 300.0
"""Seconds; a first import with a cold disk cache takes 40, and some modules compile code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run."""

    reports: Path
    envs: Path
    timeout: float = TIMEOUT
    """Seconds without progress after which a module counts as hung."""
    limit: float = LIMIT
    """Seconds for a whole cell."""
    levels: tuple[Level, ...] = (Level.IMPORT,)
    max_disk: int | None = None
    """Bytes that uv's cache and the environments may use together; None for no limit but the disk."""
    keep: bool = False
    rerun: bool = False
    beside: tuple[Pair, ...] = ()
    """Pairs that other processes run at the same time; they share the disk."""
    gpu_tests: GpuTestOptions = field(default_factory=GpuTestOptions)
    existing: ExistingEnvironment | None = None
    """An existing environment for one pair; the cell runs even if an earlier outcome is valid."""


def run_pairs(pairs: Sequence[Pair], sources: Sources, options: RunOptions) -> tuple[CellOutcome, ...]:
    """Run the cells and return one outcome for each, from an earlier run if that outcome is still valid.

    The plan of all cells is printed before the first download. An error in one cell does not stop the others.

    Raises:
        UsageError: a lock is missing, or another process is running one of the pairs.
        MissingToolError: uv is missing.
    """
    with stoppable():
        workspace.sweep(options.envs, NoteLines())
        jobs = list(plan_pairs(pairs, sources, options))
        for job in jobs:
            say(job.plan.line())
        if not options.reports.exists():  # a folder that is there may hold other files, which git should see
            workspace.make_ignored(options.reports)
        return _run_all(jobs, sources, options)


def _run_all(jobs: Sequence[Job], sources: Sources, options: RunOptions) -> tuple[CellOutcome, ...]:
    """Run the jobs one after another, and raise the first error at the end."""
    outcomes, failures = [], list[CompatError]()
    clock = Estimate([job.plan.seconds for job in jobs if not job.plan.finished])
    for number, job in enumerate(jobs):
        shared = any(_will_run(other) for other in jobs[number + 1 : number + 2] if other.pair == job.pair)
        try:
            disk_check = _disk_check(jobs[:number], jobs[number:], sources, options)
            outcomes.append(_outcome(replace(job, keep=job.keep or shared), disk_check, clock))
        except (CompatError, OSError) as error:
            reported = error if isinstance(error, CompatError) else DiskError(disk_message(error))
            where = (
                "" if isinstance(error, UsageError) else f"{job.cell.id}: "
            )  # a usage error names the pair
            say(f"error: {where}{reported}")
            failures.append(reported)
    if failures:
        raise failures[0]
    return tuple(outcomes)


def _will_run(job: Job) -> bool:
    """Return whether a cell will run and needs its environment."""
    return not job.plan.finished and not why_not_here(job)


def plan_pairs(pairs: Sequence[Pair], sources: Sources, options: RunOptions) -> Iterator[Job]:
    """Yield a job with its plan for each cell; nothing is downloaded or installed."""
    workspace.make_ignored(options.envs)
    tool = None if options.existing else client.find_uv()
    linked = tool is None or _share_a_disk(options.envs, client.cache_folder(tool))
    for pair in pairs:
        if not levels_of(pair, options.levels):
            raise UsageError(f'{pair.id}: matrix.toml has no "tests" for this pair, so it has no such level')
    for pair, level in ((each, level) for each in pairs for level in levels_of(each, options.levels)):
        lock = sources.lock(pair)
        now = digests(pair, lock, sources, level)
        cell = Cell(pair_id=pair.id, level=level)
        earlier = read_outcome(outcome_path(cell, options.reports), cell)
        plan = Plan(
            cell_id="" if level is Level.IMPORT else cell.id,
            pair_id=pair.id,
            describe=pair.describe(),
            modules=len(sources.expectations(pair, lock, cuda=False)),
            packages=len(pair.releases) if level is Level.IMPORT else 0,
            download_bytes=lock.download_bytes if tool else 0,
            installed_bytes=lock.installed_bytes if tool else 0,
            cached=tool is None or _is_cached(tool, pair, lock.requirements, options.envs),
            linked=linked,
            finished="" if options.rerun or options.existing else finished(earlier, now, pair.python),
        )
        yield Job(
            pair=pair,
            lock=lock,
            digests=now,
            plan=plan,
            sources=sources,
            uv=tool,
            envs=options.envs,
            reports=options.reports,
            timeout=options.timeout,
            level=level,
            limit=options.limit,
            keep=options.keep,
            max_disk=options.max_disk,
            gpu_tests=options.gpu_tests,
            existing=options.existing,
        )


def finished(earlier: CellOutcome, now: Digests, python: str) -> str:
    """Return why an earlier outcome is still valid, or an empty string if the cell must run."""
    if earlier.state not in {State.PASSED, State.FAILED} or earlier.digests != now:
        return ""
    if earlier.machine.get("driver") != host()["driver"] or another_python(earlier, python):
        return ""
    return (
        f"{earlier.state.value} on {earlier.started[:10]}; lock, index and code have not changed since "
        "(--rerun runs it again)"
    )


def exit_code(outcomes: Sequence[CellOutcome]) -> int:
    """Return the exit code of a run: a failed cell takes precedence over one that could not be prepared."""
    states = {outcome.state for outcome in outcomes}
    if State.FAILED in states:
        return FINDINGS
    return CLEAN if states <= {State.PASSED} else ENVIRONMENT


@contextmanager
def stoppable() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C inside the block, so that environments are removed."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _disk_check(done: Sequence[Job], left: Sequence[Job], sources: Sources, options: RunOptions) -> DiskCheck:
    """Return the disk check over the cells of this process and of the processes beside it."""
    finished_, others = [job.lock for job in done], [job.lock for job in left]
    for pair, level in (
        (each, level) for each in options.beside for level in levels_of(each, options.levels)
    ):
        cell = Cell(pair_id=pair.id, level=level)
        try:
            lock = sources.lock(pair)
            now = digests(pair, lock, sources, level)
        except UsageError:
            continue  # the process that runs this pair reports the error
        ended = read_outcome(outcome_path(cell, options.reports), cell).digests == now
        (finished_ if ended else others).append(lock)
    return DiskCheck(limit=options.max_disk, done=finished_, left=others)


def _outcome(job: Job, disk_check: DiskCheck, clock: Estimate) -> CellOutcome:
    name = job.plan.cell_id or job.pair.id
    if job.plan.finished:
        return read_outcome(outcome_path(job.cell, job.reports), job.cell)
    if reason := why_not_here(job):
        say(f"{name}: {State.NOT_RUN.value}: {reason}")
        return not_begun(job, reason, State.NOT_RUN)
    with disk_budget.promised(job.envs, job.pair.id, job.plan.disk_bytes) as promised:
        try:
            disk_check.check(job, promised)
        except DiskError as error:
            say(f"error: {error}")
            return not_begun(job, str(error))
        say(f"{name}: running{clock.line()}; the log is {job.envs / job.pair.id}.log")
        outcome = run_cell(job)
    clock.done(outcome.seconds)
    say(f"{name}: {outcome.state.value}{f': {outcome.reason}' if outcome.reason else ''}")
    return outcome


def _is_cached(tool: Path, pair: Pair, requirements: Path, envs: Path) -> bool:
    """Return whether uv would install the lock without a download, by a dry run in an empty environment."""
    with tempfile.TemporaryDirectory(dir=envs, prefix=f".{pair.id}-") as folder:
        empty = Path(folder, "env")
        code, _ = client.ask([*client.venv_command(tool, pair.python, empty), "--offline"])
        if code:
            return False
        return nothing_to_download(*client.ask(client.cache_query(tool, empty, requirements)))


def _share_a_disk(envs: Path, cache: Path) -> bool:
    return os.stat(envs).st_dev == os.stat(nearest_existing(cache)).st_dev  # noqa: PTH116
