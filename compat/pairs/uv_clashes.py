"""Find clashes in the explanation that uv prints when it finds no solution."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from packaging.utils import NormalizedName

from compat.model.releases import SGLANG, VLLM
from compat.partners.clashes import Clash, ClashSide
from compat.requirements.graph import RequirementEdge
from compat.requirements.release_requirements import ReleaseRequirements
from compat.requirements.specifiers import disjoint
from compat.uv import messages


def clashes_in(
    explanation: str, sglang: ReleaseRequirements | None, vllm: ReleaseRequirements | None
) -> tuple[Clash, ...]:
    """Return the clashes between requirements in an explanation.

    Args:
        explanation: uv's output on stderr.
        sglang: the requirements of that release, which determine the side of a requirement.
        vllm: the requirements of that release.
    """
    edges = tuple(messages.edges(explanation))
    sides = _sides(edges, {needs.release.package: needs for needs in (sglang, vllm) if needs})
    found: dict[NormalizedName, Clash] = {}
    for one, other in combinations(edges, 2):
        name, specifiers = one.name, (one.requirement.specifier, other.requirement.specifier)
        if name != other.name or name in found or one.by == other.by or not disjoint(*specifiers):
            continue
        clashing = sorted((_side(edge, sides) for edge in (one, other)), key=lambda side: side.side)
        extras = one.requirement.extras.union(other.requirement.extras, *_extras(name, sglang, vllm))
        found[name] = Clash(
            package=name,
            sides=(clashing[0], clashing[1]),
            extras=frozenset(extras),
            direct=all(needs and name in needs.wants for needs in (sglang, vllm)),
        )
    return tuple(found.values())


def _sides(
    edges: tuple[RequirementEdge, ...], releases: Mapping[str, ReleaseRequirements]
) -> dict[str, frozenset[str]]:
    """Return the releases that need each package, by their own requirements and then by those of others."""
    sides: dict[str, frozenset[str]] = {name: frozenset({name}) for name in (SGLANG, VLLM)}
    for name, needs in releases.items():
        for package in needs.wants:
            sides[package] = sides.get(package, frozenset()) | {name}
    for _ in edges:  # a chain of requirements has at most this many edges
        for edge in edges:
            if edge.name not in sides and edge.by in sides:
                sides[edge.name] = sides[edge.by]
    return sides


def _extras(package: NormalizedName, *sides: ReleaseRequirements | None) -> Iterator[frozenset[str]]:
    yield from (needs.extras_of.get(package, frozenset()) for needs in sides if needs)


def _side(edge: RequirementEdge, sides: Mapping[str, frozenset[str]]) -> ClashSide:
    side = " and ".join(sorted(sides.get(edge.by, frozenset({SGLANG, VLLM}))))
    by = f"{edge.by} {edge.exact_version or ''}".strip()
    return ClashSide(by=by, side=side, specifiers=edge.requirement.specifier)
