"""Requirements that the environment does not meet: what is asked for, extras and markers evaluated for it."""

from collections.abc import Iterable, Iterator

from compat.doctor.inspected_environment import InspectedEnvironment
from compat.model.diagnosis import Diagnosis
from compat.model.releases import KERNELS, SGLANG
from compat.requirements import check
from compat.requirements.graph import Node, RequirementEdge, UnmetRequirement

RUNTIME_EXTRAS = {str(SGLANG): ("srt",)}
"""Extras without which a package has no run time: sglang's, up to 0.5.3; later ones have no such extra."""


def described(unmet: UnmetRequirement) -> str:
    """Return a requirement that is not met in words."""
    there = f"{unmet.installed} is installed" if unmet.installed else "it is not installed"
    return f"{unmet.edge.by} {unmet.edge.version} requires {unmet.edge.wanted}, {there}"


def diagnosis(unmet: UnmetRequirement, *evidence: str) -> Diagnosis:
    """Return a requirement that is not met as a finding."""
    return check.diagnosis(unmet.edge.requirement, unmet.installed, described(unmet), *evidence)


def violations(environment: InspectedEnvironment) -> tuple[UnmetRequirement, ...]:
    """Return the requirements that are not met, of the covered packages and of all that they bring along.

    What nobody asks for is not looked at, and neither are extras that nobody asks for. Whether a distribution
    is the one of an address cannot be seen in metadata.
    """
    unmet = environment.graph.unmet(_with_extras(environment.releases))
    return tuple(each for each in unmet if not each.edge.requirement.url)


def closure(environment: InspectedEnvironment) -> tuple[str, ...]:
    """Return the covered packages and all installed distributions that they ask for, the nearest first."""
    return environment.graph.closure(environment.releases)


def required(environment: InspectedEnvironment, by: Iterable[str]) -> Iterator[RequirementEdge]:
    """Yield what distributions require here, met or not."""
    for node in _with_extras(by):
        yield from environment.graph.edges(*node)


def matters(unmet: UnmetRequirement, environment: InspectedEnvironment) -> bool:
    """Return whether it matters by itself; other unmet requirements do when an import stumbles over them.

    Kernels are made for one release of sglang: another build imports well, and fails when it is called.
    """
    return unmet.edge.name in KERNELS and unmet.edge.by in environment.releases


def _with_extras(distributions: Iterable[str]) -> Iterator[Node]:
    for name in distributions:
        yield from ((name, extra) for extra in ("", *RUNTIME_EXTRAS.get(name, ())))
