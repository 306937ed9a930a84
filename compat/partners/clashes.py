"""Find requirements of two releases that exclude each other, from the specifiers alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from compat.requirements.release_requirements import ReleaseRequirements
from compat.requirements.release_summary import ABI_BOUND
from compat.requirements.specifiers import disjoint, named_version


@dataclass(frozen=True, slots=True, kw_only=True)
class ClashSide:
    """One of the two requirements in a clash."""

    by: str
    """The package that has the requirement, such as `outlines 0.1.11`."""
    side: str
    """The release that needs this package: `sglang`, `vllm`, or `sglang and vllm`."""
    specifiers: SpecifierSet

    @property
    def reference_version(self) -> Version:
        """The version by which requirements are compared: the highest lower bound, or else an upper one."""
        named = [(each.operator, named_version(each)) for each in self.specifiers]
        lower = [version for operator, version in named if operator in {"==", "===", ">=", "~=", ">"}]
        upper = [version for operator, version in named if operator in {"<", "<="}]
        return max(lower) if lower else min(upper, default=Version("0"))

    def __str__(self) -> str:
        return f"{self.by} requires {self.specifiers}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A package of which no version meets two requirements."""

    package: NormalizedName
    sides: tuple[ClashSide, ClashSide]
    extras: frozenset[str] = frozenset()
    """The extras of the package that are required."""
    direct: bool = True
    """Whether both releases require the package themselves, so that no resolution can avoid the clash."""

    @property
    def bound(self) -> bool:
        """Whether the package is torch, or compiled against it."""
        return self.package in ABI_BOUND

    @property
    def newer(self) -> ClashSide:
        """The side with the newer version, or the less strict one if both are equal.

        In a clash about a release of the pair itself, it is the side of the pair.
        """
        if (pair_side := self.pair_side) is not None:
            return pair_side
        return max(self.sides, key=lambda side: (side.reference_version, not _exact(side.specifiers)))

    @property
    def pair_side(self) -> ClashSide | None:
        """The side of the pair itself, in a clash about one of its two releases."""
        return next((side for side in self.sides if side.side == self.package), None)

    @property
    def older(self) -> ClashSide:
        """The side that is not `newer`."""
        return next(side for side in self.sides if side is not self.newer)

    def __str__(self) -> str:
        return f"{self.package}: {'; '.join(map(str, self.sides))}"


def direct_clashes(sglang: ReleaseRequirements, vllm: ReleaseRequirements) -> tuple[Clash, ...]:
    """Return the clashes between the requirements of two releases, those about each other first."""
    return (*_about_each_other(sglang, vllm), *_between(sglang, vllm))


def _about_each_other(sglang: ReleaseRequirements, vllm: ReleaseRequirements) -> Iterator[Clash]:
    """Yield a clash for a release that requires another version of the other one, as sglang did up to 0.4."""
    for asking, other in ((sglang, vllm), (vllm, sglang)):
        name = other.release.package
        if name in asking.wants and not asking.wants[name].contains(other.release.version, prereleases=True):
            own = SpecifierSet(f"=={other.release.version}")
            pair_side = ClashSide(by="this pair", side=name, specifiers=own)
            yield Clash(package=name, sides=(_side(asking, name), pair_side), extras=frozenset(other.extras))


def _between(sglang: ReleaseRequirements, vllm: ReleaseRequirements) -> tuple[Clash, ...]:
    return tuple(
        Clash(
            package=name,
            sides=(_side(sglang, name), _side(vllm, name)),
            extras=sglang.extras_of[name] | vllm.extras_of[name],
        )
        for name in sorted(sglang.wants.keys() & vllm.wants.keys())
        if disjoint(sglang.wants[name], vllm.wants[name])
    )


def _side(needs: ReleaseRequirements, name: NormalizedName) -> ClashSide:
    package = needs.release.package
    return ClashSide(by=str(needs.release), side=package, specifiers=needs.wants[name])


def _exact(specifiers: SpecifierSet) -> bool:
    return any(each.operator in {"==", "==="} for each in specifiers)
