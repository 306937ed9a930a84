"""Find the requirements of installed distributions that the environment does not meet."""

from collections.abc import Iterable, Iterator

from compat.doctor.inspected_environment import InspectedEnvironment
from compat.model.diagnosis import Diagnosis
from compat.model.releases import KERNELS, SGLANG
from compat.requirements import check
from compat.requirements.graph import Node, RequirementEdge, UnmetRequirement

RUNTIME_EXTRAS = {str(SGLANG): ("srt",)}
"""Extras that are needed to run a package: sglang up to 0.5.3 has its run time in an extra."""


def described(unmet: UnmetRequirement) -> str:
    """Return one line about an unmet requirement: who requires it, and what is installed."""
    installed = f"{unmet.installed} is installed" if unmet.installed else "it is not installed"
    return f"{unmet.edge.by} {unmet.edge.version} requires {unmet.edge.wanted}, but {installed}"


def diagnosis(unmet: UnmetRequirement, *evidence: str) -> Diagnosis:
    """Return the finding for an unmet requirement."""
    return check.diagnosis(unmet.edge.requirement, unmet.installed, described(unmet), *evidence)


def violations(environment: InspectedEnvironment) -> tuple[UnmetRequirement, ...]:
    """Return the unmet requirements of the covered packages and of their dependencies.

    Distributions and extras that nothing requires are not checked, and neither are requirements with a URL:
    metadata does not show where a distribution came from.
    """
    unmet = environment.graph.unmet(_with_extras(environment.releases))
    return tuple(each for each in unmet if not each.edge.requirement.url)


def closure(environment: InspectedEnvironment) -> tuple[str, ...]:
    """Return the covered packages and their installed dependencies, the nearest first."""
    return environment.graph.closure(environment.releases)


def required(environment: InspectedEnvironment, by: Iterable[str]) -> Iterator[RequirementEdge]:
    """Yield the requirements of distributions in this environment, met or not."""
    for node in _with_extras(by):
        yield from environment.graph.edges(*node)


def matters(unmet: UnmetRequirement, environment: InspectedEnvironment) -> bool:
    """Return whether an unmet requirement is a finding even if no import fails because of it.

    This holds for kernels, which are built for one release of sglang: another build can be imported, and
    fails when it is called.
    """
    return unmet.edge.name in KERNELS and unmet.edge.by in environment.releases


def _with_extras(distributions: Iterable[str]) -> Iterator[Node]:
    for name in distributions:
        yield from ((name, extra) for extra in ("", *RUNTIME_EXTRAS.get(name, ())))
