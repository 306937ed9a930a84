"""Overrides, which replace requirements of two releases: which side of a clash they take, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from packaging.utils import NormalizedName
from packaging.version import Version

from compat.partners.clashes import Clash, ClashSide

NEVER = "; python_version < '3'"
"""A marker that is never true; an override with it drops the requirement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One override as in `matrix.toml`, with its reason."""

    package: NormalizedName
    specifier: str
    """The text after the name: extras and specifiers, or the marker `NEVER`."""
    side: str
    """The origin: `sglang` or `vllm` for the requirement of that release, `torch` for a version that follows
    torch, `date` for one from the time of the releases, `none` for a dropped
    requirement, or a release instead of one that does not exist."""
    reason: str
    bound: bool = False
    """Whether the package is torch or compiled against it, so that only running kernels can confirm it."""
    clash: Clash | None = None
    """The clash that the override resolves."""

    def __str__(self) -> str:
        return f"{self.package}{self.specifier}"


def choose(clash: Clash) -> Override:
    """Return the override that takes the newer side of a clash.

    Code for an older version usually runs with a newer one, which adds names; code for a newer version fails
    at the first name that the older one lacks.
    """
    newer, older = clash.newer, clash.older
    if clash.pair_side is not None:
        return _take(clash, newer, f"the release of this pair: {older}")
    return _take(clash, newer, f"the newer side: {newer}, {older}")


def flipped(override: Override, why: str) -> Override | None:
    """Return the override with the other side of its clash, or None.

    None is returned for an override without a clash, for one that is bound to torch, and for one about a
    release of the pair itself.
    """
    if override.clash is None or override.bound or override.clash.pair_side is not None:
        return None
    clash = override.clash
    other = next(side for side in clash.sides if _specifier(clash, side) != override.specifier)
    return _take(clash, other, f"{why}: {other}")


def of_its_time(package: NormalizedName, then: Version, why: str) -> Override:
    """Return the override for a package that no requirement pins: its version at the time of the releases."""
    reason = f"{why}; this version is from the time of the releases"
    return Override(package=package, specifier=f"=={then}", side="date", reason=reason)


def replaced(package: NormalizedName, version: Version, why: str) -> Override:
    """Return the override for a pinned version that nobody can install: the nearest release that exists."""
    return Override(
        package=package, specifier=f"=={version}", side="none", reason=f"{why}; the nearest release"
    )


def dropped(package: NormalizedName, why: str) -> Override:
    """Return the override that drops a package that cannot be installed."""
    return Override(package=package, specifier=NEVER, side="none", reason=why)


def apart(package: NormalizedName, specifier: str, why: str) -> Override:
    """Return the override for a package that brings files of another one in a different form."""
    return Override(package=package, specifier=specifier, side="none", reason=why)


def follows_torch(package: NormalizedName, version: Version, torch: Version, clash: Clash | None) -> Override:
    """Return the override for a package that is compiled against torch: the version for this torch."""
    reason = f"built for torch {torch}" + (f"; {', '.join(map(str, clash.sides))}" if clash else "")
    return Override(
        package=package, specifier=f"=={version}", side="torch", reason=reason, bound=True, clash=clash
    )


def as_mapping(overrides: Iterable[Override]) -> Mapping[str, str]:
    """Return the specifier of each override by package, sorted, as in `Pair.overrides`."""
    ordered = sorted(overrides, key=lambda override: override.package)
    return {override.package: override.specifier for override in ordered}


def _take(clash: Clash, side: ClashSide, reason: str) -> Override:
    override = Override(
        package=clash.package, specifier=_specifier(clash, side), side=side.side, reason=reason, clash=clash
    )
    if not clash.bound:
        return override
    return replace(
        override,
        bound=True,
        reason=f"{reason}; extensions of the other side were built for another torch: test them on a GPU",
    )


def _specifier(clash: Clash, side: ClashSide) -> str:
    # An override replaces the whole requirement, including its extras.
    extras = f"[{','.join(sorted(clash.extras))}]" if clash.extras else ""
    return f"{extras}{side.specifiers}"
