"""Run the cells of the matrix on a Ray cluster: each is a task on a node, which installs the environment.

A task that is lost with its node runs again on another one. Outcome and log come back to the same files as in
a local run, so that reports and the gate work alike for both.
"""

import importlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import compat
from compat._cli.console import say
from compat._util import atomic_write
from compat.errors import CompatError, MissingToolError, UsageError
from compat.matrix import scheduler
from compat.matrix.judge.inputs import Sources, digests
from compat.matrix.model.outcome import (
    Cell,
    CellOutcome,
    Level,
    State,
    another_python,
    levels_of,
    outcome_path,
    read_outcome,
)
from compat.matrix.report.gate import differences
from compat.model.releases import Pair

RETRIES = 3
"""How many times a cell is restarted after its node was lost."""
NOT_SHIPPED = [".?*", "reports", "dist", "bench", "node_modules"]
"""Ray patterns of the project's files that nodes do not need; `.*` would match the folder itself, `.`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The Ray cluster on which the cells run."""

    address: str | None
    """Address of the cluster; None for the one in the environment, or else a local one."""
    root: Path | None
    """The project folder to send to the nodes; None when they have it already."""
    sources: Sources | None = None
    """Locks and expectations on the nodes; None when they are as on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files that a cell has written on its node."""

    outcome: bytes
    log: bytes
    node: str
    code: str
    """The folder of this package on the node."""


def run_on_ray(
    pairs: Sequence[Pair], sources: Sources, options: scheduler.RunOptions, engine: Engine
) -> tuple[CellOutcome, ...]:
    """Run the cells on a cluster and return one outcome for each; each is written as soon as it arrives.

    Args:
        pairs: the pairs.
        sources: locks and expectations on this machine.
        options: as for a local run; `envs` is a folder on each node.
        engine: the cluster.

    Raises:
        MissingToolError: Ray is not installed.
        UsageError: a lock is missing or stale, or no cluster has this address.
    """
    ray = _ray()
    cells = [(pair, level) for pair in pairs for level in levels_of(pair, options.levels)]
    known = {
        Cell(pair_id=pair.id, level=level): _earlier(pair, level, sources, options) for pair, level in cells
    }
    _connect(ray, engine)
    try:
        waiting = {}
        for pair, level in cells:
            cell = Cell(pair_id=pair.id, level=level)
            if known[cell] is None and level is Level.GPU and not ray.cluster_resources().get("GPU"):
                known[cell] = _lost(
                    cell, pair, options, State.NOT_RUN, "no GPU: no node of the cluster has one"
                )
            elif known[cell] is None:
                task = ray.remote(num_cpus=1, num_gpus=int(level is Level.GPU), max_retries=RETRIES)(_cell)
                task_options = replace(options, levels=(level,), rerun=True)
                waiting[task.options(name=cell.id).remote(pair, engine.sources or sources, task_options)] = (
                    cell,
                    pair,
                )
        say(f"running {len(waiting)} cells on {len(ray.nodes())} nodes")
        for outcome in _arrivals(ray, waiting, sources, options):
            known[outcome.cell] = outcome
    finally:
        ray.shutdown()
    return tuple(outcome for outcome in known.values() if outcome is not None)


def _arrivals(
    ray: Any, waiting: dict[Any, tuple[Cell, Pair]], sources: Sources, options: scheduler.RunOptions
) -> Iterator[CellOutcome]:
    """Yield the outcomes in the order of their arrival."""
    while waiting:
        (done, *_), _ = ray.wait(list(waiting), num_returns=1)
        cell, pair = waiting.pop(done)
        try:
            written = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            reason = str(cause) if isinstance(cause, CompatError) else str(error).strip().splitlines()[-1]
            outcome = _lost(cell, pair, options, State.BLOCKED, reason)
        except ray.exceptions.RayError as error:
            reason = f"its node was lost {RETRIES + 1} times ({type(error).__name__})"
            outcome = _lost(cell, pair, options, State.BLOCKED, reason)
        else:
            path = outcome_path(cell, options.reports)
            atomic_write.write_bytes(path.with_name("log.txt"), written.log)
            atomic_write.write_bytes(path, written.outcome)
            outcome = _of_this_code(read_outcome(path, cell), pair, sources, written.node)
            outcome.write(path)
            say(f"{cell.id} ran on node {written.node}, with the code in {written.code}")
        say(f"{cell.id}: {outcome.state.value}{f': {outcome.reason}' if outcome.reason else ''}")
        yield outcome


def _of_this_code(outcome: CellOutcome, pair: Pair, sources: Sources, node: str) -> CellOutcome:
    """Return an outcome, or a failed one if the node had another lock, index or code than this machine."""
    stale = differences(outcome.digests, digests(pair, sources.lock(pair), sources, outcome.cell.level))
    if not stale:
        return outcome
    reason = f"node {node} has another {' and another '.join(stale)} than this machine"
    return replace(outcome, state=State.FAILED, reason=reason)


def _cell(pair: Pair, sources: Sources, options: scheduler.RunOptions) -> Written:
    """Run one cell on the current node, and return its files."""
    node = str(_ray().get_runtime_context().get_node_id())[:12]
    with tempfile.TemporaryDirectory(prefix="compat-cell-") as folder:
        local = replace(options, reports=Path(folder), envs=options.envs / node)
        (outcome,) = scheduler.run_pairs([pair], sources, local)
        path = outcome_path(outcome.cell, local.reports)
        log = path.with_name("log.txt")
        return Written(
            outcome=path.read_bytes(),
            log=log.read_bytes() if log.exists() else b"",
            node=node,
            code=str(Path(compat.__file__).parent),
        )


def _earlier(pair: Pair, level: Level, sources: Sources, options: scheduler.RunOptions) -> CellOutcome | None:
    """Return the outcome of an earlier run if it is still valid, or remove it and return None."""
    now = digests(pair, sources.lock(pair), sources, level)
    cell = Cell(pair_id=pair.id, level=level)
    earlier = read_outcome(outcome_path(cell, options.reports), cell)
    ended = earlier.state in {State.PASSED, State.FAILED} and earlier.digests == now
    if not ended or options.rerun or another_python(earlier, pair.python):
        outcome_path(cell, options.reports).unlink(missing_ok=True)
        return None
    say(f"{cell.id}: {earlier.state.value} on {earlier.started[:10]}; nothing has changed since")
    return earlier


def _lost(cell: Cell, pair: Pair, options: scheduler.RunOptions, state: State, reason: str) -> CellOutcome:
    outcome = CellOutcome(cell=cell, state=state, reason=reason, pair=pair.describe())
    outcome.write(outcome_path(cell, options.reports))
    return outcome


def _connect(ray: Any, engine: Engine) -> None:
    shipped: dict[str, Any] = {}
    if engine.root is not None:
        shipped = {"working_dir": str(engine.root), "excludes": NOT_SHIPPED}
        if not (engine.root / "compat").is_dir():
            shipped["py_modules"] = [str(Path(compat.__file__).parent)]
    try:
        ray.init(
            address=engine.address, runtime_env=shipped, log_to_driver=False, logging_level="error",
            configure_logging=False,
        )  # fmt: skip
    except (ConnectionError, ValueError) as error:
        raise UsageError(f"--address {engine.address}: {str(error).splitlines()[0]}") from None


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise MissingToolError(
            "--engine ray: Ray is not installed; run \"pip install 'sglang-vllm-compat[ray]'\""
        ) from None
