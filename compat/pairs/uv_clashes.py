"""What uv says when it finds no solution, as clashes: it names one at a time, step by step."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from compat.model.releases import SGLANG, VLLM
from compat.pairs.clashes import Ask, Clash
from compat.requirements.release_requirements import ReleaseRequirements
from compat.requirements.specifiers import disjoint

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_SPECIFIER = r"(?:[<>=!~]=?=?[^\s,|]+(?:,[<>=!~]=?=?[^\s,|]+)*)?"
_MARKER = r"(?:\{[^}]*\})?"
"""As in `torchcodec{sys_platform != 'linux'}==0.11.1`."""
_DEPENDS = re.compile(
    rf"(?P<parent>{_NAME}(?:\[[^\]]*\])?)(?:==(?P<at>[^\s,|<>=!~]+)|{_SPECIFIER}) depends? on "
    rf"(?P<package>{_NAME})(?P<extras>\[[^\]]*\])?{_MARKER}(?P<specifiers>{_SPECIFIER})"
)
_AVAILABLE = re.compile(
    r"(?:Because|because|and) ((?:only|there is no version of|there are no versions of) .+?)(?: and |, )"
)
_WHEELS = re.compile(rf"({_NAME}{_SPECIFIER} has no (?:usable wheels|wheels with a [^,]+?))(?: and |, )")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One requirement that uv's explanation mentions."""

    parent: NormalizedName
    at: str
    """The parent's version, when it is told."""
    package: NormalizedName
    specifiers: SpecifierSet
    extras: frozenset[str]


def edges_of(explanation: str) -> tuple[Edge, ...]:
    """Return the requirements that an explanation mentions, in its order."""
    text = " ".join(explanation.split())
    return tuple(edge for match in _DEPENDS.finditer(text) if (edge := _edge(match)))


def clashes_in(
    explanation: str, sglang: ReleaseRequirements | None, vllm: ReleaseRequirements | None
) -> tuple[Clash, ...]:
    """Return the requirements of an explanation that exclude each other; empty when there are none.

    Args:
        explanation: what uv wrote to stderr.
        sglang: what that release asks for itself, to tell on whose behalf something is asked for.
        vllm: the same.
    """
    edges = edges_of(explanation)
    sides = _sides(edges, {needs.release.package: needs for needs in (sglang, vllm) if needs})
    found: dict[NormalizedName, Clash] = {}
    for one, other in combinations(edges, 2):
        if one.package != other.package or one.package in found:
            continue
        if one.parent != other.parent and disjoint(one.specifiers, other.specifiers):
            asks = sorted((_ask(edge, sides) for edge in (one, other)), key=lambda ask: ask.side)
            found[one.package] = Clash(
                package=one.package,
                asks=(asks[0], asks[1]),
                extras=one.extras.union(other.extras, *_extras(one.package, sglang, vllm)),
                direct=all(needs and one.package in needs.wants for needs in (sglang, vllm)),
            )
    return tuple(found.values())


def reason_in(explanation: str) -> str:
    """Return the shortest true reason in an explanation: a version that is missing, else its first step."""
    text = " ".join(explanation.split())
    for pattern in (_AVAILABLE, _WHEELS):
        if found := pattern.search(text):
            asking = _DEPENDS.search(text, found.end())
            return f"{found[1]}, and {asking[0]}" if asking else found[1]
    step = re.search(r"Because (.+?), we can conclude that", text)
    text = step[1] if step else text.removeprefix("error: ")
    return re.sub(r"\w+://\S+", "(address)", text) or "uv gave no reason"


def _edge(match: "re.Match[str]") -> Edge | None:
    try:
        specifiers = SpecifierSet(match["specifiers"])
    except InvalidSpecifier:
        return None
    extras = (match["extras"] or "").strip("[]")
    return Edge(
        parent=canonicalize_name(match["parent"].partition("[")[0]),
        at=match["at"] or "",
        package=canonicalize_name(match["package"]),
        specifiers=specifiers,
        extras=frozenset(each.strip() for each in extras.split(",") if each.strip()),
    )


def _sides(
    edges: tuple[Edge, ...], releases: Mapping[str, ReleaseRequirements]
) -> dict[NormalizedName, frozenset[str]]:
    """Return on whose behalf each distribution is there: by the releases' own requirements, then by edges."""
    sides: dict[NormalizedName, frozenset[str]] = {name: frozenset({name}) for name in (SGLANG, VLLM)}
    for name, needs in releases.items():
        for package in needs.wants:
            sides[package] = sides.get(package, frozenset()) | {name}
    for _ in edges:  # a chain is no longer than there are edges
        for edge in edges:
            if edge.package not in sides and edge.parent in sides:
                sides[edge.package] = sides[edge.parent]
    return sides


def _extras(package: NormalizedName, *sides: ReleaseRequirements | None) -> Iterator[frozenset[str]]:
    yield from (needs.extras_of.get(package, frozenset()) for needs in sides if needs)


def _ask(edge: Edge, sides: Mapping[NormalizedName, frozenset[str]]) -> Ask:
    side = " and ".join(sorted(sides.get(edge.parent, frozenset({SGLANG, VLLM}))))
    return Ask(by=f"{edge.parent} {edge.at}".strip(), side=side, specifiers=edge.specifiers)
