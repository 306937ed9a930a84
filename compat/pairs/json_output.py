"""The JSON documents of `compat pairs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compat._cli import console
from compat.partners.clashes import Clash
from compat.partners.overrides import Override, choose
from compat.partners.ranking_output import release_document
from compat.requirements.release_requirements import ReleaseRequirements

if TYPE_CHECKING:  # without a resolution, nothing of it is needed
    from compat.pairs.solve import Solution


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAttempt:
    """The result of one installation by `--probe`."""

    overrides: tuple[str, ...]
    imported: bool
    """Whether every module that the index expects to import did, except those that need a GPU."""
    problem: str = ""
    """The reason if not."""
    flipped: str = ""
    """The override that is replaced by its other side in the next attempt."""
    modules: int = 0
    checked: int = 0
    disagreements: int = 0
    """Disagreements between index and run time, modules that cannot be imported included."""
    without_gpu: int = 0
    """Modules that this machine cannot import without a GPU or driver; not among the disagreements."""
    without_gpu_why: str = ""
    seconds: float = 0.0


def of_clashes(
    sglang: ReleaseRequirements, vllm: ReleaseRequirements, clashes: Sequence[Clash], python: str
) -> str:
    """Return the document of the clashes that the metadata of two releases shows."""
    overrides = [_override(choose(clash)) for clash in clashes]
    return console.document(
        "pairs",
        sglang=release_document(sglang.summary),
        vllm=release_document(vllm.summary),
        python=python,
        clashes=[_clash(clash) for clash in clashes],
        overrides=overrides,
        resolved=None,
    )


def of_solution(solution: Solution, record: Sequence[ProbeAttempt]) -> str:
    """Return the document of a solution and of the attempts of the probe."""
    return console.document(
        "pairs",
        sglang=release_document(solution.sglang.summary),
        vllm=release_document(solution.vllm.summary),
        python=solution.python,
        clashes=[_clash(clash) for clash in solution.clashes],
        overrides=[_override(override) for override in solution.overrides],
        resolved=not solution.blocked,
        blocked=solution.blocked or None,
        packages={name: str(version) for name, version in solution.packages.items()},
        rounds=solution.rounds,
        seconds=round(solution.seconds, 1),
        probe=[
            {
                "overrides": list(attempt.overrides),
                "imported": attempt.imported,
                "problem": attempt.problem or None,
                "flipped": attempt.flipped or None,
                "modules": attempt.modules,
                "checked": attempt.checked,
                "disagreements": attempt.disagreements,
                "without_gpu": attempt.without_gpu,
                "without_gpu_why": attempt.without_gpu_why or None,
                "seconds": attempt.seconds,
            }
            for attempt in record
        ],
    )


def _clash(clash: Clash) -> dict[str, Any]:
    return {
        "package": clash.package,
        "direct": clash.direct,
        "abi_bound": clash.bound,
        "asks": [
            {"by": side.by, "side": side.side, "specifiers": str(side.specifiers)} for side in clash.sides
        ],
    }


def _override(override: Override) -> dict[str, Any]:
    return {
        "package": override.package,
        "specifier": override.specifier,
        "side": override.side,
        "abi_bound": override.bound,
        "reason": override.reason,
    }
