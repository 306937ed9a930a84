"""Rank the partners of a release by their requirements, from the index alone and without network."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat.index.reader import Index
from compat.model.releases import KERNELS, SGLANG, VLLM
from compat.pairs.clashes import Clash, direct_clashes
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of
from compat.requirements.specifiers import pinned

KERNEL_PACKAGES = (
    *KERNELS,
    *map(canonicalize_name, ("flashinfer-python", "flashinfer-cubin", "torch", "torchvision", "torchaudio")),
)
"""The packages that decide whether releases fit: they are compiled, large and pinned exactly."""


class SameTorch(IntEnum):
    """How closely two pins of torch agree."""

    EXACT = 0
    PATCH = 1
    """The same X.Y: most binaries load."""
    OTHER = 2
    """Different X.Y, or no pin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """One candidate of the ranking, with the values that determine its rank."""

    sglang: ReleaseRequirements
    vllm: ReleaseRequirements
    candidate: ReleaseRequirements
    """The release that is ranked, which is one of the two."""
    same_torch: SameTorch
    clashes: tuple[Clash, ...]
    """The direct clashes; each needs one override. Only a resolver finds clashes of further requirements."""
    days: int
    """Days from the other release to this one; negative if this one is earlier."""
    problem: str = ""
    """Why no override lets the two share an environment of this Python version."""

    @property
    def rank(self) -> tuple[bool, SameTorch, int, int, bool]:
        """The sort key: installable, same torch, fewest overrides, nearest in date, later one first."""
        return bool(self.problem), self.same_torch, len(self.clashes), abs(self.days), self.days < 0


def rank(
    index: Index, package: NormalizedName, version: str, python: str
) -> tuple[ReleaseRequirements, list[Partner]]:
    """Return the requirements of a release of sglang or vllm, and all partners, the best first.

    Args:
        index: the index; nothing else is read.
        package: `sglang` or `vllm`.
        version: an indexed version.
        python: `X.Y`, the Python version of the common environment.

    Raises:
        UsageError: the index has no such release.
    """
    release_index = index.release_index(package, version, "--for")
    mine = requirements_of(package, index.releases(package)[release_index], python)
    other = VLLM if package == SGLANG else SGLANG
    ranked = [
        _partner(mine, requirements_of(other, row, python), python)
        for row in index.releases(other)
        if not Version(row.version).is_prerelease
    ]
    return mine, sorted(ranked, key=lambda partner: partner.rank)


def kernels_of(needs: ReleaseRequirements) -> dict[NormalizedName, str]:
    """Return the kernel packages that a release requires, each with its version or specifier."""
    return {
        name: str(pinned(needs.wants[name]) or needs.wants[name] or "any")
        for name in KERNEL_PACKAGES
        if name in needs.wants
    }


def users_of(
    index: Index, package: NormalizedName, version: Version, python: str
) -> tuple[ReleaseRequirements, ...]:
    """Return the releases of sglang and vllm that pin a package to this version.

    If none does, return those whose specifier allows it; a plain lower bound allows every later version.
    """
    rows = ((user, row) for user in (SGLANG, VLLM) for row in index.releases(user))
    asking = [
        needs
        for needs in (requirements_of(user, row, python) for user, row in rows)
        if package in needs.wants
    ]
    exact = [needs for needs in asking if pinned(needs.wants[package]) == version]
    allowing = (needs for needs in asking if needs.wants[package].contains(version, prereleases=True))
    return tuple(exact or (needs for needs in allowing if needs.wants[package]))


def _partner(mine: ReleaseRequirements, candidate: ReleaseRequirements, python: str) -> Partner:
    sides: Mapping[str, ReleaseRequirements] = {
        mine.release.package: mine,
        candidate.release.package: candidate,
    }
    sglang, vllm = sides[SGLANG], sides[VLLM]
    refusing = [each for each in (sglang, vllm) if not each.runs_on(python)]
    reason = ", ".join(f"{each} requires Python {each.python}" for each in refusing)
    return Partner(
        sglang=sglang,
        vllm=vllm,
        candidate=candidate,
        same_torch=_same_torch(sglang.torch, vllm.torch),
        clashes=direct_clashes(sglang, vllm),
        days=(candidate.uploaded - mine.uploaded).days if candidate.uploaded and mine.uploaded else 0,
        problem=reason,
    )


def _same_torch(one: Version | None, other: Version | None) -> SameTorch:
    if one is None or other is None or one.release[:2] != other.release[:2]:
        return SameTorch.OTHER
    return SameTorch.EXACT if one == other else SameTorch.PATCH
