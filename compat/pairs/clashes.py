"""Where the requirements of two releases exclude each other, decided from the specifiers alone."""

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
    """One side of a clash."""

    by: str
    """Who asks, as `outlines 0.1.11`."""
    side: str
    """The release on whose behalf: `sglang`, `vllm`, or both as `sglang and vllm`."""
    specifiers: SpecifierSet

    @property
    def reach(self) -> Version:
        """The version around which the requirement lies: its highest lower bound, else an upper one."""
        named = [(each.operator, named_version(each)) for each in self.specifiers]
        lower = [version for operator, version in named if operator in {"==", "===", ">=", "~=", ">"}]
        upper = [version for operator, version in named if operator in {"<", "<="}]
        return max(lower) if lower else min(upper, default=Version("0"))

    def __str__(self) -> str:
        return f"{self.by} asks for {self.specifiers}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A distribution for which no version satisfies both who ask for it."""

    package: NormalizedName
    asks: tuple[ClashSide, ClashSide]
    extras: frozenset[str] = frozenset()
    """The extras that are asked of it."""
    direct: bool = True
    """Whether both releases ask for it themselves: then no resolution can avoid it."""

    @property
    def bound(self) -> bool:
        """Whether it is torch, or compiled against it."""
        return self.package in ABI_BOUND

    @property
    def newer(self) -> ClashSide:
        """The side that asks for the newer version; of equals the one that allows more.

        Where a release asks for another version of the other release, the pair is what it is.
        """
        if (given := self.given) is not None:
            return given
        return max(self.asks, key=lambda ask: (ask.reach, not _exact(ask.specifiers)))

    @property
    def given(self) -> ClashSide | None:
        """The pair's own word, where the clash is about one of its two releases."""
        return next((ask for ask in self.asks if ask.side == self.package), None)

    @property
    def older(self) -> ClashSide:
        """The other side."""
        return next(ask for ask in self.asks if ask is not self.newer)

    def __str__(self) -> str:
        return f"{self.package}: {'; '.join(map(str, self.asks))}"


def direct_clashes(sglang: ReleaseRequirements, vllm: ReleaseRequirements) -> tuple[Clash, ...]:
    """Return the clashes between what two releases ask for themselves, those about each other first."""
    return (*_about_each_other(sglang, vllm), *_between(sglang, vllm))


def _about_each_other(sglang: ReleaseRequirements, vllm: ReleaseRequirements) -> Iterator[Clash]:
    """Yield a clash for a release that asks for another version of the other one: sglang did, up to 0.4."""
    for asking, other in ((sglang, vllm), (vllm, sglang)):
        name = other.release.package
        if name in asking.wants and not asking.wants[name].contains(other.release.version, prereleases=True):
            own = SpecifierSet(f"=={other.release.version}")
            given = ClashSide(by="this pair", side=name, specifiers=own)
            yield Clash(package=name, asks=(_ask(asking, name), given), extras=frozenset(other.extras))


def _between(sglang: ReleaseRequirements, vllm: ReleaseRequirements) -> tuple[Clash, ...]:
    return tuple(
        Clash(
            package=name,
            asks=(_ask(sglang, name), _ask(vllm, name)),
            extras=sglang.extras_of[name] | vllm.extras_of[name],
        )
        for name in sorted(sglang.wants.keys() & vllm.wants.keys())
        if disjoint(sglang.wants[name], vllm.wants[name])
    )


def _ask(needs: ReleaseRequirements, name: NormalizedName) -> ClashSide:
    package = needs.release.package
    return ClashSide(by=str(needs.release), side=package, specifiers=needs.wants[name])


def _exact(specifiers: SpecifierSet) -> bool:
    return any(each.operator in {"==", "==="} for each in specifiers)
