"""Find what one release requires and a distribution that the other one pins excludes.

Only exact pins count: of a distribution that a release requires in a range, another version may agree. A pin
that clashes itself is overridden, so what its version requires does not matter.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName

from compat.companions.reader import Companions
from compat.index.query.release_summaries import DirectClash
from compat.index.reader import Index
from compat.model.package_names import SGLANG, VLLM
from compat.model.pythons import python_bit
from compat.model.releases import marker_variables
from compat.partners.clashes import Clash, ClashSide, direct_clashes
from compat.requirements.graph import RequirementGraph, required_name
from compat.requirements.release_requirements import ReleaseRequirements
from compat.requirements.specifiers import disjoint, pinned

Requirements = Callable[[str, str, Collection[str]], Mapping[NormalizedName, SpecifierSet]]
"""Returns which of some distributions a version of another one requires without extras, if it is known."""


class IndirectClash(NamedTuple):
    """A distribution of which a release requires another version than what the other release pins."""

    package: str
    sglang: str
    """The specifier on the side of the sglang release."""
    vllm: str
    """The same for the vllm release."""
    side: str
    """The package, `sglang` or `vllm`, whose release pins the distribution that has the specifier."""
    through: str
    """This distribution and its version."""


class _Required(NamedTuple):
    """A distribution that a range of releases requires."""

    name: NormalizedName
    first: int
    last: int
    specifier: str
    pin: str | None


def known_requirements(companions: Companions, python: str) -> Requirements:
    """Return the reader of what distributions require on the Python version `X.Y`."""
    variables = marker_variables(python, 0)

    @cache
    def lines(name: str, version: str) -> Sequence[tuple[NormalizedName, str]]:
        at = companions.release_index(name, version) if name in companions.read else None
        found = () if at is None else companions.requires_dist(name, at)
        return [(required_name(line), line) for line in found]

    def read(name: str, version: str, asked: Collection[str]) -> Mapping[NormalizedName, SpecifierSet]:
        concerned = [line for required, line in lines(name, version) if required in asked]
        if not concerned:
            return {}
        graph = RequirementGraph({name: version}, lambda _: concerned, variables)
        return {edge.name: edge.requirement.specifier for edge in graph.edges(name)}

    return read


def predicted_clashes(
    sglang: ReleaseRequirements, vllm: ReleaseRequirements, required: Requirements
) -> tuple[Clash, ...]:
    """Return the direct clashes of two releases, then those of what one pins with what the other requires."""
    return (*direct_clashes(sglang, vllm), *_indirect(sglang, vllm, required))


def _indirect(
    sglang: ReleaseRequirements, vllm: ReleaseRequirements, required: Requirements
) -> Iterator[Clash]:
    settled = {clash.package for clash in direct_clashes(sglang, vllm)}
    for pinning, asking in ((sglang, vllm), (vllm, sglang)):
        own, others = pinning.release.package, asking.release.package
        for name, specifiers in sorted(pinning.wants.items()):
            pin = pinned(specifiers)
            if pin is None or name in settled:
                continue
            for needed, specifier in required(name, str(pin), asking.wants).items():
                if needed in settled or not disjoint(specifier, asking.wants[needed]):
                    continue
                settled.add(needed)
                sides = (
                    ClashSide(by=f"{name} {pin}", side=own, specifiers=specifier),
                    ClashSide(by=str(asking), side=others, specifiers=asking.wants[needed]),
                )
                yield Clash(package=needed, sides=sides, direct=False)


def ranked_clashes(
    index: Index,
    package: str,
    release_index: int,
    python: str,
    *,
    direct: Mapping[int, Sequence[DirectClash]],
    required: Requirements,
) -> dict[int, tuple[IndirectClash, ...]]:
    """Return the indirect clashes of one release with each of the other package, by index of the latter.

    Args:
        index: the index with the requirements of sglang and vllm.
        package: `sglang` or `vllm`.
        release_index: the index of its release.
        python: `X.Y`, for markers.
        direct: the direct clashes of the release, by the same indexes.
        required: what the pinned distributions require.
    """
    mine = [
        each for each in _requirements(index, package, python) if each.first <= release_index <= each.last
    ]
    other = VLLM if package == SGLANG else SGLANG
    theirs = _requirements(index, other, python)
    found: dict[int, dict[str, IndirectClash]] = {}
    for pinning, asking in ((mine, theirs), (theirs, mine)):
        for pin, asked, specifier in _exclusive(pinning, asking, required):
            side = package if pinning is mine else other
            texts = str(specifier), asked.specifier
            one, two = texts if side == SGLANG else texts[::-1]
            clash = IndirectClash(asked.name, one, two, side, f"{pin.name} {pin.pin}")
            ranged = asked if pinning is mine else pin
            for at in range(ranged.first, ranged.last + 1):
                if not {each.package for each in direct.get(at, ())} & {asked.name, pin.name}:
                    found.setdefault(at, {}).setdefault(asked.name, clash)
    return {at: tuple(clashes[name] for name in sorted(clashes)) for at, clashes in found.items()}


def _exclusive(
    pinning: Collection[_Required], asking: Collection[_Required], required: Requirements
) -> Iterator[tuple[_Required, _Required, SpecifierSet]]:
    """Yield each pin with the requirement that what it requires excludes, and the specifier that does."""
    by_name: dict[str, list[_Required]] = {}
    for each in asking:
        by_name.setdefault(each.name, []).append(each)
    for pin in pinning:
        for name, specifier in required(pin.name, pin.pin, by_name).items() if pin.pin else ():
            for asked in by_name.get(name, ()):
                if disjoint(specifier, SpecifierSet(asked.specifier)):
                    yield pin, asked, specifier


def _requirements(index: Index, package: str, python: str) -> list[_Required]:
    rows = index.rows(
        """
        SELECT name, first, last, text, pin FROM requirements JOIN specifiers ON specifiers.id = specifier
        WHERE package = ? AND (pythons >> ?) & 1 ORDER BY name, first""",
        index.packages[package],
        python_bit(python),
    )
    return [_Required(NormalizedName(name), *columns) for name, *columns in rows]
