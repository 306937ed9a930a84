"""Which partners go with a release: all of them, ranked, from the index alone and without the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat.index.reader import Index
from compat.model.releases import KERNELS, SGLANG, VLLM
from compat.pairs.clashes import Clash, direct_clashes
from compat.requirements.release_requirements import Needs, needs_of, pinned

KERNEL_PACKAGES = (
    *KERNELS,
    *map(canonicalize_name, ("flashinfer-python", "flashinfer-cubin", "torch", "torchvision", "torchaudio")),
)
"""What people ask for when they ask what goes with a release: compiled, large, and exactly pinned."""


class SameTorch(IntEnum):
    """How near two pins of torch are."""

    EXACT = 0
    PATCH = 1
    """The same X.Y: binaries mostly load."""
    OTHER = 2
    """Another X.Y, or no pin to compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """One candidate, with all that its place depends on."""

    sglang: Needs
    vllm: Needs
    candidate: Needs
    """That of the two which is ranked."""
    same_torch: SameTorch
    clashes: tuple[Clash, ...]
    """The direct ones; each takes one override. What lies deeper only a resolver can tell."""
    days: int
    """How much later than the other release it was published; negative for earlier."""
    problem: str = ""
    """Why the two cannot share an environment of this Python, whatever is overridden."""

    @property
    def rank(self) -> tuple[bool, SameTorch, int, int, bool]:
        """The sort key: installable, same torch, fewest overrides, nearest in date, then the later."""
        return bool(self.problem), self.same_torch, len(self.clashes), abs(self.days), self.days < 0


def rank(index: Index, package: NormalizedName, version: str, python: str) -> tuple[Needs, list[Partner]]:
    """Return what a release of sglang or vllm asks for, and all releases of the other, the best first.

    Args:
        index: the index; nothing else is read.
        package: `sglang` or `vllm`.
        version: an indexed version.
        python: `X.Y`, the Python of the common environment.

    Raises:
        UsageError: the index has no such release.
    """
    release_index = index.release_index(package, version, "--for")
    mine = needs_of(package, index.releases(package)[release_index], python)
    other = VLLM if package == SGLANG else SGLANG
    ranked = [
        _partner(mine, needs_of(other, row, python), python)
        for row in index.releases(other)
        if not Version(row.version).is_prerelease
    ]
    return mine, sorted(ranked, key=lambda partner: partner.rank)


def kernels_of(needs: Needs) -> dict[NormalizedName, str]:
    """Return the kernel packages that a release pins, each with its version or specifier."""
    return {
        name: str(pinned(needs.wants[name]) or needs.wants[name] or "any")
        for name in KERNEL_PACKAGES
        if name in needs.wants
    }


def users_of(index: Index, package: NormalizedName, version: Version, python: str) -> tuple[Needs, ...]:
    """Return the releases of sglang and vllm that pin a distribution to this version.

    When none does, those that allow it by a range: of a floor from years ago every later version is one.
    """
    rows = ((user, row) for user in (SGLANG, VLLM) for row in index.releases(user))
    asking = [
        needs for needs in (needs_of(user, row, python) for user, row in rows) if package in needs.wants
    ]
    exact = [needs for needs in asking if pinned(needs.wants[package]) == version]
    allowing = (needs for needs in asking if needs.wants[package].contains(version, prereleases=True))
    return tuple(exact or (needs for needs in allowing if needs.wants[package]))


def _partner(mine: Needs, candidate: Needs, python: str) -> Partner:
    sides: Mapping[str, Needs] = {mine.release.package: mine, candidate.release.package: candidate}
    sglang, vllm = sides[SGLANG], sides[VLLM]
    refusing = [each for each in (sglang, vllm) if not each.runs_on(python)]
    reason = ", ".join(f"{each} needs Python {each.python}" for each in refusing)
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
