"""Find the requirements of installed distributions that the environment does not meet."""

import shlex
from collections.abc import Iterable, Iterator

from compat._cli.text import listed
from compat.doctor.inspected_environment import InspectedEnvironment
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import KERNELS, SGLANG
from compat.requirements import check
from compat.requirements.graph import Node, RequirementEdge, UnmetRequirement

LACKING = 3
"""With fewer missing distributions, each is a finding or note of its own."""
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


def without_dependencies(
    environment: InspectedEnvironment, unmet: Iterable[UnmetRequirement]
) -> Diagnosis | None:
    """Return the one finding for covered packages that lack most of what they require, or None.

    They were installed with `--no-deps`, or the installation broke off: a finding for each missing
    distribution would say no more.
    """
    missing = {each.edge.name for each in unmet if each.installed is None}
    bare, lines = list[str](), list[str]()
    for package, version in environment.releases.items():
        wanted = dict.fromkeys(
            edge.name for edge in required(environment, [package]) if not edge.requirement.url
        )
        lacking = [name for name in wanted if name in missing]
        if len(lacking) >= LACKING and 2 * len(lacking) > len(wanted):
            bare.append(f"{package}=={version}")
            lines.append(
                f"{package} {version} is installed without its dependencies: {len(lacking)} of the "
                f"{len(wanted)} distributions that it requires are missing: {listed(lacking)}"
            )
    if not bare:
        return None
    names = " ".join(map(shlex.quote, bare))
    return Diagnosis(
        cause="requirement_violated",
        package=bare[0].partition("==")[0],
        version=bare[0].partition("==")[2],
        evidence=tuple(lines),
        fix=Fix(
            kind="install",
            text="Install the dependencies, then check the environment again; nothing was imported.",
            command=f"{shlex.quote(str(environment.python))} -m pip install {names}",
        ),
    )


def _with_extras(distributions: Iterable[str]) -> Iterator[Node]:
    for name in distributions:
        yield from ((name, extra) for extra in ("", *RUNTIME_EXTRAS.get(name, ())))
