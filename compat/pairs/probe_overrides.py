"""Let the imports decide: install a pair, import its modules, turn the override that one stumbles over."""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from packaging.utils import NormalizedName
from packaging.version import Version

from compat._cli.progress import Progress
from compat.explain.engine import explain
from compat.explain.rules.native_code import DRIVER_LIBRARIES
from compat.locks.lockfile import Lock, read_lock, write_lock
from compat.matrix.cell import Job, run_cell
from compat.matrix.judge.compare import IMPORTS, LATE
from compat.matrix.judge.inputs import Shipped, Sources, digests
from compat.matrix.outcome import CellOutcome, Disagreement
from compat.matrix.plan import Plan
from compat.matrix.scheduler import TIMEOUT
from compat.model.releases import PACKAGES, KnownFailure, Pair
from compat.pairs.json_output import ProbeAttempt
from compat.pairs.overrides import Override, flipped, of_its_time
from compat.pairs.solve import Solution, as_of, solve
from compat.probe.probe_runner import CIRCULAR
from compat.requirements.release_summary import ABI_BOUND
from compat.uv.compile import WheelReader, compile_requirements
from compat.wheels.package_index import Registry

MOST_FLIPS = 4
"""Overrides that may take their other side; a pair in which more than that is wrong is not to be had so."""

NO_DRIVER = KnownFailure(
    location="sgl_kernel",
    reason="its compiled part needs libcuda.so.1, the NVIDIA driver's",
    when="no-cuda",
    spreads=True,
)
RETRIES = 1000
"""Enough for all modules; but of those that fail alike, one in a process of its own is enough."""

Solve = Callable[[tuple[Override, ...]], Solution]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSetup:
    """What probing works with."""

    uv: str
    envs: Path
    """Where the environment is made."""
    sources: Callable[[Path], Sources]


def probe(
    solution: Solution,
    uv: str,
    envs: str | None,
    progress: Progress,
    sources: Callable[[Path], Sources] = Shipped,
) -> tuple[Solution, list[ProbeAttempt]]:
    """Return the solution under which the imports succeed, and the record of what was tried.

    Args:
        solution: one that resolves.
        uv: path of the uv program.
        envs: a folder for the environment; None for a temporary one.
        progress: told of every attempt.
        sources: gives what the index expects, and locks from a folder.

    Raises:
        PreparationError: the pair cannot be installed.
        NetworkError: the package index cannot be reached.
        DiskError: the disk is full.
    """

    def again(settled: tuple[Override, ...]) -> Solution:
        return solve(solution.sglang, solution.vllm, solution.python, uv, progress, start=settled)

    with tempfile.TemporaryDirectory(prefix="compat-probe-") as folder, Registry() as registry:
        reader = WheelReader(registry)
        bench = ProbeSetup(uv=uv, envs=Path(envs or folder).resolve(), sources=sources)
        return decide(
            solution,
            again,
            lambda each: _tried(each, Path(folder), reader, bench, progress),
            lambda each: as_of(each, _day(each), uv),
            progress,
        )


def decide(
    solution: Solution,
    again: Solve,
    tried: Callable[[Solution], tuple[CellOutcome, Lock]],
    then: Callable[[Solution], Mapping[NormalizedName, Version]],
    progress: Progress,
) -> tuple[Solution, list[ProbeAttempt]]:
    """Return the best of the solutions that were tried, and the record.

    Args:
        solution: the first to try.
        again: resolves anew with some overrides settled.
        tried: installs a solution and imports its modules.
        then: what would have been installed when the releases were published.
        progress: told of every attempt.
    """
    record: list[ProbeAttempt] = []
    candidates: list[tuple[int, Solution]] = []
    settled: dict[NormalizedName, Override] = {}
    while True:
        outcome, lock = tried(solution)
        broken, waiting = _broken(outcome)
        errors = [entry.observed for entry in broken]
        turned = _turned(solution, errors, lock, settled) or _drifted(solution, errors, lock, then)
        done = turned is None or len(settled) >= MOST_FLIPS
        record.append(_attempt(solution, outcome, broken, waiting, None if done else turned))
        candidates.append(
            (len(broken) if outcome.counts.imported else len(outcome.disagreements) + 1, solution)
        )
        if done or turned is None:
            break
        progress.note(f"{turned.reason}; taking {turned}")
        settled[turned.package] = turned
        solution = again(tuple(settled.values()))
        if solution.blocked:
            break
    best = min(range(len(candidates)), key=lambda place: (candidates[place][0], place))
    record.append(record.pop(best))  # what is answered stands last
    return candidates[best][1], record


def _broken(outcome: CellOutcome) -> tuple[list[Disagreement], list[Disagreement]]:
    """Return the modules that do not import, for a reason of their own and for want of a GPU.

    A module that imports after others counts as one that does: that it is circular is the release's doing.
    """
    broken = [
        entry
        for entry in outcome.disagreements
        if entry.expected == IMPORTS and not entry.observed.endswith(LATE)
    ]
    if outcome.machine.get("cuda") == str(True):
        return broken, []
    waiting = [entry for entry in broken if wants_gpu(entry.observed)]
    waiting += [entry for entry in broken if _is_behind(entry, waiting)]
    return [entry for entry in broken if entry not in waiting], waiting


def _is_behind(entry: Disagreement, waiting: Sequence[Disagreement]) -> bool:
    """Return whether a module meets a circular import in a package that itself cannot be imported here."""
    found = re.search(r"\(([\w/]+)\.py:\d+\)$", entry.observed)
    if CIRCULAR not in entry.observed or found is None:
        return False
    raised = found[1].replace("/", ".")
    return any(raised == other.location or raised.startswith(f"{other.location}.") for other in waiting)


def wants_gpu(error: str) -> bool:
    """Return whether an import error says that a GPU or its driver is missing, and nothing else."""
    return any(
        found.cause == "no_gpu"
        or (found.cause == "missing_native_library" and (found.symbol or "").startswith(DRIVER_LIBRARIES))
        for found in explain(error)
    )


def named_in(error: str, lock: Lock) -> set[NormalizedName]:
    """Return the locked packages of which an import error names a module or a file."""
    words = set(re.findall(r"(?<![\w./])[A-Za-z_]\w*", error))
    return {name for name, tops in lock.imports.items() if words.intersection(tops)}


def _turned(
    solution: Solution, errors: Sequence[str], lock: Lock, settled: Mapping[NormalizedName, Override]
) -> Override | None:
    """Return the other side of the override that most errors name; None when none can be turned."""
    blamed = {
        override: [error for error in errors if override.package in named_in(error, lock)]
        for override in solution.overrides
        if override.package not in settled
    }
    for override, those in sorted(blamed.items(), key=lambda item: -len(item[1])):
        if those and (other := flipped(override, f"with {override} an import fails ({those[0]})")):
            return other
    return None


def _drifted(
    solution: Solution,
    errors: Sequence[str],
    lock: Lock,
    then: Callable[[Solution], Mapping[NormalizedName, Version]],
) -> Override | None:
    """Return the older version of what an error names and nobody pins; None when that is not wrong."""
    fixed = {override.package for override in solution.overrides} | {*PACKAGES, *ABI_BOUND}
    blamed = Counter(name for error in errors for name in named_in(error, lock) - fixed)
    old = then(solution) if blamed else {}
    for name, _ in blamed.most_common():
        if name in old and old[name] < lock.packages[name]:
            error = next(error for error in errors if name in named_in(error, lock))
            return of_its_time(
                name, old[name], f"with {name} {lock.packages[name]} an import fails ({error})"
            )
    return None


def _day(solution: Solution) -> date:
    """Return the day after which both releases were there, with a week for what was mended at once."""
    days = [needs.uploaded for needs in (solution.sglang, solution.vllm) if needs.uploaded]
    return max(days, default=date.today()) + timedelta(days=7)  # noqa: DTZ011 -- a day is all it needs


def _attempt(
    solution: Solution,
    outcome: CellOutcome,
    broken: Sequence[Disagreement],
    waiting: Sequence[Disagreement],
    turned: Override | None,
) -> ProbeAttempt:
    problem = _told(broken, "do not import") if broken else ""
    if not outcome.counts.imported:
        problem = problem or outcome.reason
    return ProbeAttempt(
        overrides=tuple(map(str, solution.overrides)),
        imported=not problem,
        problem=problem,
        flipped=str(turned) if turned else "",
        modules=outcome.counts.modules,
        checked=outcome.counts.checked,
        disagreements=len(outcome.disagreements) - len(waiting),
        without_gpu=len(waiting),
        without_gpu_why=_told(waiting, "need a GPU to be imported") if waiting else "",
        seconds=outcome.seconds,
    )


def _told(entries: Sequence[Disagreement], what: str) -> str:
    return f"{len(entries)} modules {what}, such as {entries[0].location}: {entries[0].observed}"


def _tried(
    solution: Solution, folder: Path, reader: WheelReader, bench: ProbeSetup, progress: Progress
) -> tuple[CellOutcome, Lock]:
    """Lock and install a solution, and compare its modules with the index."""
    pair = replace(solution.pair("probe"), expect=(NO_DRIVER,))
    progress.note(f"installing {pair.describe()} with {len(solution.overrides)} overrides")
    write_lock(pair, reader.read(compile_requirements(pair, bench.uv), pair.python), folder)
    lock = read_lock(pair.id, folder)
    job = _job(pair, lock, folder, bench)
    return run_cell(job), lock


def _job(pair: Pair, lock: Lock, folder: Path, bench: ProbeSetup) -> Job:
    sources = bench.sources(folder)
    plan = Plan(
        pair_id=pair.id,
        describe=pair.describe(),
        modules=0,
        download_bytes=lock.download_bytes,
        installed_bytes=lock.installed_bytes,
        cached=False,
        linked=True,
    )
    return Job(
        pair=pair,
        lock=lock,
        digests=digests(pair, lock, sources),
        plan=plan,
        sources=sources,
        uv=Path(bench.uv),
        envs=bench.envs,
        reports=folder / "reports",
        timeout=TIMEOUT,
        retries=RETRIES,
    )
