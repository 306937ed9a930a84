"""Whether a site is complete: every requirement of what it holds is in it, or is the runner's."""

from collections.abc import Collection, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compat.bundle.provided import Package, find
from compat.model.releases import marker_variables
from compat.requirements.graph import Node, RequirementGraph, UnmetRequirement
from compat.requirements.installed import read_environment

LAST = 99
"""The release of the runner's Python that is assumed: the last."""


def unmet(
    site: Path,
    roots: Collection[Requirement],
    provided: tuple[Package, ...],
    *,
    python: str,
    excused: Collection[str] = (),
) -> list[UnmetRequirement]:
    """Return what neither the site nor the runner has, sorted.

    Args:
        site: the folder with the installed distributions.
        roots: what the pair asks for, with extras.
        provided: what the runner has.
        python: `X.Y` of the runner.
        excused: names that the pair overrides, so that their absence is meant.
    """
    carried = read_environment([site])
    graph = RequirementGraph(carried.versions, carried.requires, marker_variables(python, LAST))
    found = {}
    for edge in graph.walk(_nodes(carried.versions, roots)):
        if edge.name in carried.versions or edge.name in excused:
            continue  # the lock settled which version of it
        has = find(edge.name, provided)
        if has is None or (
            has.version and not edge.requirement.specifier.contains(has.version, prereleases=True)
        ):
            installed = None if has is None else str(has.version)
            found[edge.by, str(edge.requirement)] = UnmetRequirement(edge=edge, installed=installed)
    return [found[key] for key in sorted(found)]


def _nodes(carried: Collection[str], roots: Collection[Requirement]) -> Iterator[Node]:
    yield from ((name, "") for name in carried)
    for root in roots:
        yield from ((canonicalize_name(root.name), canonicalize_name(extra)) for extra in root.extras)
