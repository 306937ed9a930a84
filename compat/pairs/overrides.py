"""Overrides: what an installer takes instead of what two releases ask for, from which side, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from packaging.utils import NormalizedName
from packaging.version import Version

from compat.pairs.clashes import Clash, ClashSide

NEVER = "; python_version < '3'"
"""A marker that holds nowhere: a requirement with it is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One override, as `matrix.toml` keeps it, with its grounds."""

    package: NormalizedName
    specifier: str
    """What follows the name: extras and versions, or the marker `NEVER`."""
    side: str
    """Whose requirement it is: `sglang`, `vllm`, `torch` for what follows torch, `date` for what has
    drifted since the releases, `none` for a dropped one."""
    reason: str
    bound: bool = False
    """Whether it is torch or compiled against it: then only kernels can tell whether it is right."""
    clash: Clash | None = None
    """The clash that it settles."""

    def __str__(self) -> str:
        return f"{self.package}{self.specifier}"


def choose(clash: Clash) -> Override:
    """Return the override that takes the newer side of a clash.

    What was written for an older version usually runs with a newer one, for the newer adds; what was written
    for a newer one fails on the first name that the older lacks.
    """
    newer, older = clash.newer, clash.older
    if clash.given is not None:
        return _take(clash, newer, f"the pair's own: {older}")
    return _take(clash, newer, f"the newer: {newer}, {older}")


def flipped(override: Override, why: str) -> Override | None:
    """Return the override with the other side of its clash; None when it has none, or is bound to torch.

    There is no other side either where the clash is about a release of the pair.
    """
    if override.clash is None or override.bound or override.clash.given is not None:
        return None
    clash = override.clash
    other = next(ask for ask in clash.asks if _specifier(clash, ask) != override.specifier)
    return _take(clash, other, f"{why}: {other}")


def of_its_time(package: NormalizedName, then: Version, why: str) -> Override:
    """Return the override for what nobody pins: the version of the time of the releases."""
    reason = f"{why}; this one is of the time of the releases"
    return Override(package=package, specifier=f"=={then}", side="date", reason=reason)


def dropped(package: NormalizedName, why: str) -> Override:
    """Return the override that drops a requirement that cannot be installed."""
    return Override(package=package, specifier=NEVER, side="none", reason=why)


def follows_torch(package: NormalizedName, version: Version, torch: Version, clash: Clash | None) -> Override:
    """Return the override for what is compiled against torch: the version that is made for this torch."""
    reason = f"made for torch {torch}" + (f"; {', '.join(map(str, clash.asks))}" if clash else "")
    return Override(
        package=package, specifier=f"=={version}", side="torch", reason=reason, bound=True, clash=clash
    )


def as_mapping(overrides: Iterable[Override]) -> Mapping[str, str]:
    """Return the overrides as a pair keeps them: name to specifier, by name."""
    ordered = sorted(overrides, key=lambda override: override.package)
    return {override.package: override.specifier for override in ordered}


def _take(clash: Clash, ask: ClashSide, reason: str) -> Override:
    override = Override(
        package=clash.package, specifier=_specifier(clash, ask), side=ask.side, reason=reason, clash=clash
    )
    if not clash.bound:
        return override
    return replace(
        override,
        bound=True,
        reason=f"{reason}; what the other side has compiled was built for another torch: run it on a GPU",
    )


def _specifier(clash: Clash, ask: ClashSide) -> str:
    # An override replaces the whole requirement, the extras that were asked for included.
    extras = f"[{','.join(sorted(clash.extras))}]" if clash.extras else ""
    return f"{extras}{ask.specifiers}"
