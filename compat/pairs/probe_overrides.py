"""Choose overrides by imports: install a pair, import its modules, and flip the override that fails."""

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
from compat._cli.text import counted
from compat.explain.engine import explain
from compat.explain.rules.native.cuda_libraries import DRIVER_LIBRARIES
from compat.locks.lockfile import Lock, read_lock, write_lock
from compat.matrix.cell import Job, run_cell
from compat.matrix.judge.compare import IMPORTS, LATE
from compat.matrix.judge.inputs import Shipped, Sources, digests
from compat.matrix.model.outcome import CellOutcome, Disagreement
from compat.matrix.model.plan import Plan
from compat.matrix.scheduler import TIMEOUT
from compat.model.releases import PACKAGES, KnownFailure, Pair
from compat.pairs.json_output import ProbeAttempt
from compat.pairs.solve import Solution, as_of, solve
from compat.partners.overrides import Override, flipped, of_its_time
from compat.probe.probe_runner import CIRCULAR
from compat.requirements.release_summary import ABI_BOUND
from compat.uv.compile import WheelReader, compile_requirements
from compat.wheels.package_index import Registry

MOST_FLIPS = 4
"""The number of overrides that may be flipped; a pair with more wrong ones is given up."""

NO_DRIVER = KnownFailure(
    location="sgl_kernel",
    reason="its extension module needs libcuda.so.1 of the NVIDIA driver",
    when="no-cuda",
    spreads=True,
)
RETRIES = 1000
"""Enough for all modules; a limit also lets the probe confirm only one of several equal failures."""

Solve = Callable[[tuple[Override, ...]], Solution]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSetup:
    """The tools and folders of the probe."""

    uv: str
    envs: Path
    """The folder for the environment."""
    sources: Callable[[Path], Sources]


def probe(
    solution: Solution,
    uv: str,
    envs: str | None,
    progress: Progress,
    sources: Callable[[Path], Sources] = Shipped,
) -> tuple[Solution, list[ProbeAttempt]]:
    """Return the best solution by its imports, and the record of all attempts.

    Args:
        solution: a solution that resolves.
        uv: path of the uv program.
        envs: a folder for the environment; None for a temporary one.
        progress: gets a note about every attempt.
        sources: returns locks and expectations for a folder of locks.

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
    """Try solutions until no override can be improved; return the best one and the record of all attempts.

    Args:
        solution: the first solution to try.
        again: resolves again with some overrides fixed.
        tried: installs a solution and imports its modules.
        then: returns the versions that would have been installed when the releases were published.
        progress: gets a note about every attempt.
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
    best = min(range(len(candidates)), key=lambda position: (candidates[position][0], position))
    record.append(record.pop(best))  # the attempt of the returned solution comes last
    return candidates[best][1], record


def _broken(outcome: CellOutcome) -> tuple[list[Disagreement], list[Disagreement]]:
    """Return the modules that cannot be imported: for their own reason, and for lack of a GPU.

    A module that can be imported after others counts as importable, since the release itself is circular.
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
    """Return whether a module fails with a circular import in a package that needs a GPU itself."""
    found = re.search(r"\(([\w/]+)\.py:\d+\)$", entry.observed)
    if CIRCULAR not in entry.observed or found is None:
        return False
    raised = found[1].replace("/", ".")
    return any(raised == other.location or raised.startswith(f"{other.location}.") for other in waiting)


def wants_gpu(error: str) -> bool:
    """Return whether the cause of an import error is a missing GPU or driver."""
    return any(
        found.cause == "no_gpu"
        or (found.cause == "missing_native_library" and (found.symbol or "").startswith(DRIVER_LIBRARIES))
        for found in explain(error)
    )


def named_in(error: str, lock: Lock) -> set[NormalizedName]:
    """Return the locked packages whose modules or files an import error names."""
    words = set(re.findall(r"(?<![\w./])[A-Za-z_]\w*", error))
    return {name for name, tops in lock.imports.items() if words.intersection(tops)}


def _turned(
    solution: Solution, errors: Sequence[str], lock: Lock, settled: Mapping[NormalizedName, Override]
) -> Override | None:
    """Return the other side of the override that most errors name, or None if none can be flipped."""
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
    """Return an override to the older version of an unpinned package that errors name, or None."""
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
    """Return the date one week after the later release, to include fixes of its dependencies."""
    days = [needs.uploaded for needs in (solution.sglang, solution.vllm) if needs.uploaded]
    return max(days, default=date.today()) + timedelta(days=7)  # noqa: DTZ011 -- a day is all it needs


def _attempt(
    solution: Solution,
    outcome: CellOutcome,
    broken: Sequence[Disagreement],
    waiting: Sequence[Disagreement],
    turned: Override | None,
) -> ProbeAttempt:
    problem = _summary(broken, "cannot be imported") if broken else ""
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
        without_gpu_why=_summary(waiting, "cannot be imported without a GPU") if waiting else "",
        seconds=outcome.seconds,
    )


def _summary(entries: Sequence[Disagreement], what: str) -> str:
    return f"{counted(len(entries), 'module')} {what}, such as {entries[0].location}: {entries[0].observed}"


def _tried(
    solution: Solution, folder: Path, reader: WheelReader, bench: ProbeSetup, progress: Progress
) -> tuple[CellOutcome, Lock]:
    """Lock and install a solution, compare its modules with the index, and return outcome and lock."""
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
