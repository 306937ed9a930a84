"""Check that every requirement of a bundle's packages is in the bundle or on the runner."""

from collections.abc import Collection, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compat.bundle.provided import Package, find
from compat.model.releases import marker_variables
from compat.requirements.graph import Node, RequirementGraph, UnmetRequirement
from compat.requirements.installed import read_environment

LAST = 99
"""The micro version that is assumed for the runner's Python: higher than any that exists."""


def unmet(
    site: Path,
    roots: Collection[Requirement],
    provided: tuple[Package, ...],
    *,
    python: str,
    excused: Collection[str] = (),
) -> list[UnmetRequirement]:
    """Return the requirements that neither the bundle nor the runner meets, sorted.

    Args:
        site: the folder with the installed distributions.
        roots: the requirements of the pair, with extras.
        provided: what the runner has.
        python: `X.Y` of the runner.
        excused: names of packages that the pair overrides, so that they may be absent.
    """
    carried = read_environment([site])
    graph = RequirementGraph(carried.versions, carried.requires, marker_variables(python, LAST))
    found = {}
    for edge in graph.walk(_nodes(carried.versions, roots)):
        if edge.name in carried.versions or edge.name in excused:
            continue  # the lock determines its version
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
