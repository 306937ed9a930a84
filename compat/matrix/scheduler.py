"""Running many cells: plan first, one environment at a time, nothing twice."""

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from compat._cli.console import disk_message, say
from compat._cli.progress import NoteLines
from compat.errors import CLEAN, ENVIRONMENT, FINDINGS, CompatError, DiskError, UsageError
from compat.matrix.cell import LIMIT, Job, host, not_begun, run_cell, why_not_here
from compat.matrix.disk_check import DiskCheck, nearest_existing
from compat.matrix.install import disk_budget, workspace
from compat.matrix.install.existing import ExistingEnvironment
from compat.matrix.judge.inputs import Sources, digests
from compat.matrix.outcome import Cell, CellOutcome, Digests, Level, State, outcome_path, read_outcome
from compat.matrix.plan import Plan, cache_query, duration, nothing_to_download, venv_command
from compat.model.releases import Pair
from compat.uv import client


class Estimate:
    """Plans in order; each finished cell corrects what is thought of the others."""

    def __init__(self, planned: Sequence[float]) -> None:
        """Begin with the planned seconds of each cell that is to be run."""
        self._planned = list(planned)
        self._spent: list[float] = []

    def done(self, seconds: float) -> None:
        """Tell how long the current cell has really taken."""
        self._spent.append(seconds)

    @property
    def seconds(self) -> float:
        """The time that is left: what is planned, by the ratio of real to planned so far."""
        place = len(self._spent)
        planned = sum(self._planned[:place])
        ratio = sum(self._spent) / planned if planned else 1.0
        return ratio * sum(self._planned[place:])

    def line(self) -> str:
        """Return the place among several cells and the time left: ` (2 of 5, about 6 min 10 s left)`."""
        count, place = len(self._planned), len(self._spent) + 1
        return f" ({place} of {count}, about {duration(self.seconds)} left)" if count > 1 else ""


TIMEOUT = 300.0
"""Seconds; a first import from a cold disk takes 40, and some modules compile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run goes about it."""

    reports: Path
    envs: Path
    timeout: float = TIMEOUT
    """Seconds without progress after which a module hangs."""
    limit: float = LIMIT
    """Seconds for a whole cell."""
    levels: tuple[Level, ...] = (Level.IMPORT,)
    max_disk: int | None = None
    """Bytes that uv's cache and the environments may take together; None for what the disk has."""
    keep: bool = False
    rerun: bool = False
    beside: tuple[Pair, ...] = ()
    """Other pairs of the same run, in processes of their own: they share the disk."""
    existing: ExistingEnvironment | None = None
    """An environment that is there already, for one pair; it is looked into whatever was found earlier."""


def run_pairs(pairs: Sequence[Pair], sources: Sources, options: RunOptions) -> tuple[CellOutcome, ...]:
    """Return one outcome for each pair, from a run or from the report of an earlier one that still holds.

    The plan of all of them is told before the first download.

    Whatever happens in one cell, the others are run.

    Raises:
        UsageError: a lock is missing, or another process is running one of the pairs.
        MissingToolError: uv is missing.
    """
    with stoppable():
        workspace.sweep(options.envs, NoteLines())
        jobs = list(plan_pairs(pairs, sources, options))
        for job in jobs:
            say(job.plan.line())
        return _run_all(jobs, sources, options)


def _run_all(jobs: Sequence[Job], sources: Sources, options: RunOptions) -> tuple[CellOutcome, ...]:
    """Run the jobs one after another; one that is refused is told when the others are done."""
    outcomes, refused = [], list[CompatError]()
    clock = Estimate([job.plan.seconds for job in jobs if not job.plan.finished])
    for place, job in enumerate(jobs):
        shared = any(_will_run(other) for other in jobs[place + 1 : place + 2] if other.pair == job.pair)
        try:
            disk_check = _disk_check(jobs[:place], jobs[place:], sources, options)
            outcomes.append(_outcome(replace(job, keep=job.keep or shared), disk_check, clock))
        except (CompatError, OSError) as error:
            told = error if isinstance(error, CompatError) else DiskError(disk_message(error))
            where = "" if isinstance(error, UsageError) else f"{job.cell.id}: "  # that one names its pair
            say(f"error: {where}{told}")
            refused.append(told)
    if refused:
        raise refused[0]
    return tuple(outcomes)


def _will_run(job: Job) -> bool:
    """Return whether a cell is going to need its environment."""
    return not job.plan.finished and not why_not_here(job)


def plan_pairs(pairs: Sequence[Pair], sources: Sources, options: RunOptions) -> Iterator[Job]:
    """Yield what running each pair would take; nothing is downloaded and nothing is installed."""
    workspace.make_root(options.envs)
    tool = None if options.existing else client.find_uv()
    linked = tool is None or _share_a_disk(options.envs, client.cache_folder(tool))
    for pair, level in ((pair, level) for pair in pairs for level in options.levels):
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
            finished="" if options.rerun or options.existing else finished(earlier, now),
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
            existing=options.existing,
        )


def finished(earlier: CellOutcome, now: Digests) -> str:
    """Return why an earlier outcome still holds; empty when the cell has to be run."""
    if earlier.state not in {State.PASSED, State.FAILED} or earlier.digests != now:
        return ""
    if earlier.machine.get("driver") != host()["driver"]:
        return ""
    return (
        f"{earlier.state.value} on {earlier.started[:10]}, and lock, index and probe are the same "
        "(--rerun runs it again)"
    )


def exit_code(outcomes: Sequence[CellOutcome]) -> int:
    """Return the exit code of a run: a failed cell weighs more than one that could not be prepared."""
    states = {outcome.state for outcome in outcomes}
    if State.FAILED in states:
        return FINDINGS
    return CLEAN if states <= {State.PASSED} else ENVIRONMENT


@contextmanager
def stoppable() -> Iterator[None]:
    """Make a polite request to stop (SIGTERM, SIGHUP) the same as Ctrl-C, so that nothing is left behind."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _disk_check(done: Sequence[Job], left: Sequence[Job], sources: Sources, options: RunOptions) -> DiskCheck:
    """Return what decides whether there is room: the cells of this process, and those beside it."""
    finished_, others = [job.lock for job in done], [job.lock for job in left]
    for pair, level in ((pair, level) for pair in options.beside for level in options.levels):
        cell = Cell(pair_id=pair.id, level=level)
        try:
            lock = sources.lock(pair)
            now = digests(pair, lock, sources, level)
        except UsageError:
            continue  # its own process says so
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
        say(f"{name}: running{clock.line()}; its log grows in {job.envs / job.pair.id}.log")
        outcome = run_cell(job)
    clock.done(outcome.seconds)
    say(f"{name}: {outcome.state.value}{f': {outcome.reason}' if outcome.reason else ''}")
    return outcome


def _is_cached(tool: Path, pair: Pair, requirements: Path, envs: Path) -> bool:
    """Ask uv, in an empty environment, whether it would have to download anything."""
    with tempfile.TemporaryDirectory(dir=envs, prefix=f".{pair.id}-") as folder:
        empty = Path(folder, "env")
        code, _ = client.ask([*venv_command(tool, pair.python, empty), "--offline"])
        if code:
            return False
        return nothing_to_download(*client.ask(cache_query(tool, empty, requirements)))


def _share_a_disk(envs: Path, cache: Path) -> bool:
    return os.stat(envs).st_dev == os.stat(nearest_existing(cache)).st_dev  # noqa: PTH116
