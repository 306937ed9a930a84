"""The cells on a Ray cluster: each a task on some node, which builds the environment itself.

A task that dies with its node is run again elsewhere. What a cell writes travels back and is put where a
local run would have put it, so that reports and the gate do not know the difference.
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
from compat.matrix.outcome import Cell, CellOutcome, Level, State, outcome_path, read_outcome
from compat.matrix.report.gate import differences
from compat.model.releases import Pair

RETRIES = 3
"""How often a cell is begun anew after its node was lost."""
NOT_SHIPPED = [".?*", "reports", "dist", "bench", "node_modules"]
"""What of the project the nodes do not need, as patterns of Ray; `.*` would match the folder itself, `.`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where the cells run."""

    address: str | None
    """Of the cluster; None for the one of the environment, else one on this machine."""
    root: Path | None
    """The project that is sent to the nodes; None when they have all they need."""
    sources: Sources | None = None
    """Locks and expectations as the nodes find them; None for where this machine does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a cell has left on its node."""

    outcome: bytes
    log: bytes
    node: str
    code: str
    """Where this package lies there."""


def run_on_ray(
    pairs: Sequence[Pair], sources: Sources, options: scheduler.RunOptions, engine: Engine
) -> tuple[CellOutcome, ...]:
    """Return one outcome for each cell; each is written as soon as it is known.

    Args:
        pairs: the pairs.
        sources: locks and expectations on this machine.
        options: as for a local run; `envs` is a folder on each node.
        engine: the cluster.

    Raises:
        MissingToolError: Ray is not installed.
        UsageError: a lock is missing or stale, or there is no cluster at that address.
    """
    ray = _ray()
    cells = [(pair, level) for pair in pairs for level in options.levels]
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
                how = replace(options, levels=(level,), rerun=True)
                waiting[task.options(name=cell.id).remote(pair, engine.sources or sources, how)] = (
                    cell,
                    pair,
                )
        say(f"{len(waiting)} cells on {len(ray.nodes())} nodes")
        for outcome in _arrivals(ray, waiting, sources, options):
            known[outcome.cell] = outcome
    finally:
        ray.shutdown()
    return tuple(outcome for outcome in known.values() if outcome is not None)


def _arrivals(
    ray: Any, waiting: dict[Any, tuple[Cell, Pair]], sources: Sources, options: scheduler.RunOptions
) -> Iterator[CellOutcome]:
    """Yield the outcomes in the order in which they arrive."""
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
            reason = f"its node was lost, {RETRIES + 1} times in all ({type(error).__name__})"
            outcome = _lost(cell, pair, options, State.BLOCKED, reason)
        else:
            path = outcome_path(cell, options.reports)
            atomic_write.write_bytes(path.with_name("log.txt"), written.log)
            atomic_write.write_bytes(path, written.outcome)
            outcome = _of_this_code(read_outcome(path, cell), pair, sources, written.node)
            outcome.write(path)
            say(f"{cell.id} ran on node {written.node}, by the code in {written.code}")
        say(f"{cell.id}: {outcome.state.value}{f': {outcome.reason}' if outcome.reason else ''}")
        yield outcome


def _of_this_code(outcome: CellOutcome, pair: Pair, sources: Sources, node: str) -> CellOutcome:
    """Return an outcome, or a failed one when the node has run other code or another lock than is here."""
    stale = differences(outcome.digests, digests(pair, sources.lock(pair), sources, outcome.cell.level))
    if not stale:
        return outcome
    reason = f"node {node} ran it with another {' and another '.join(stale)} than this machine has"
    return replace(outcome, state=State.FAILED, reason=reason)


def _cell(pair: Pair, sources: Sources, options: scheduler.RunOptions) -> Written:
    """Run one cell on the node where this is called."""
    node = str(_ray().get_runtime_context().get_node_id())[:12]
    with tempfile.TemporaryDirectory(prefix="compat-cell-") as folder:
        here = replace(options, reports=Path(folder), envs=options.envs / node)
        (outcome,) = scheduler.run_pairs([pair], sources, here)
        path = outcome_path(outcome.cell, here.reports)
        log = path.with_name("log.txt")
        return Written(
            outcome=path.read_bytes(),
            log=log.read_bytes() if log.exists() else b"",
            node=node,
            code=str(Path(compat.__file__).parent),
        )


def _earlier(pair: Pair, level: Level, sources: Sources, options: scheduler.RunOptions) -> CellOutcome | None:
    """Return the outcome of an earlier run that still holds."""
    now = digests(pair, sources.lock(pair), sources, level)
    cell = Cell(pair_id=pair.id, level=level)
    earlier = read_outcome(outcome_path(cell, options.reports), cell)
    ended = earlier.state in {State.PASSED, State.FAILED} and earlier.digests == now
    if not ended or options.rerun:
        outcome_path(cell, options.reports).unlink(missing_ok=True)
        return None
    say(f"{cell.id}: {earlier.state.value} on {earlier.started[:10]}, and nothing has changed since")
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
            'this engine needs Ray, which is not installed; run `pip install "sglang-vllm-compat[ray]"`'
        ) from None
