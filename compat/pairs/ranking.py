"""Rank the partners of a release by their requirements, from the index alone and without network."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.companions.reader import Companions
from compat.index.query.release_summaries import direct_clashes, summaries
from compat.model.package_names import SGLANG, VLLM
from compat.requirements.release_summary import KERNEL_PACKAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from compat.index.query.release_summaries import DirectClash
    from compat.index.reader import Index
    from compat.requirements.release_summary import ReleaseSummary

    SameTorch = Literal["exact", "patch", "other"]
    """How near two pins of torch are: of one version, of the same X.Y, of another or unknown one."""

FAR = 365
"""Days; what requires little was written for other releases all the same, so a year apart comes last."""
_ORDER = ("exact", "patch", "other")
"""Binaries mostly load where no more than the patch of torch differs."""


class Partner(NamedTuple):
    """One candidate, with all that its place depends on."""

    sglang: ReleaseSummary
    vllm: ReleaseSummary
    candidate: ReleaseSummary
    """That of the two which is ranked."""
    same_torch: SameTorch
    clashes: tuple[DirectClash, ...]
    """The direct ones; each takes one override. What lies deeper only a resolver can tell."""
    days: int
    """How much later than the other release it was published; negative for earlier."""
    problem: str
    """Why the two do not work in one environment of this Python, whatever is overridden; else empty."""
    wrong_python: bool
    """Whether one of the two excludes this Python."""

    @property
    def rank(self) -> tuple[bool, bool, int, int, int, bool]:
        """The sort key: works, of one time, same torch, fewest overrides, nearest in date, then the later."""
        torch = _ORDER.index(self.same_torch)
        return (
            bool(self.problem),
            abs(self.days) > FAR,
            torch,
            len(self.clashes),
            abs(self.days),
            self.days < 0,
        )


def rank(index: Index, package: str, version: str, python: str) -> tuple[ReleaseSummary, list[Partner]]:
    """Return a release of sglang or vllm, and all final releases of the other, the best first.

    Args:
        index: the index; nothing else is read.
        package: `sglang` or `vllm`.
        version: an indexed version.
        python: `X.Y`, the Python version of the common environment.

    Raises:
        UsageError: the index has no such release.
    """
    release_index = index.release_index(package, version, "--for")
    mine = summaries(index, package, python, KERNEL_PACKAGES)[release_index]
    others = summaries(index, VLLM if package == SGLANG else SGLANG, python, KERNEL_PACKAGES)
    clashes = direct_clashes(index, package, release_index, python)
    broken = Companions().broken_pairs(package, mine.version)
    ranked = [
        _partner(mine, each, clashes.get(at, ()), broken.get(each.version))
        for at, each in enumerate(others)
        if each.final
    ]
    return mine, sorted(ranked, key=lambda partner: partner.rank)


def users_of(index: Index, package: str, version: str, python: str) -> tuple[ReleaseSummary, ...]:
    """Return the releases of sglang and vllm that pin a distribution to this version.

    If none does, return those whose specifier allows it; a plain lower bound allows every later version.
    """
    from packaging.specifiers import SpecifierSet  # loading it takes longer than to rank a hundred releases
    from packaging.version import Version

    from compat.model.releases import parse_version

    asked = parse_version(version, "--for")
    names = (*KERNEL_PACKAGES, package)
    asking = [
        (each, each.wants[package])
        for user in (SGLANG, VLLM)
        for each in summaries(index, user, python, names)
        if package in each.wants
    ]
    exact = [each for each, wanted in asking if wanted.pin and Version(wanted.pin) == asked]
    return tuple(exact) or tuple(
        each
        for each, wanted in asking
        if wanted.specifier and SpecifierSet(wanted.specifier).contains(asked, prereleases=True)
    )


def _partner(
    mine: ReleaseSummary,
    candidate: ReleaseSummary,
    clashes: tuple[DirectClash, ...],
    broken: tuple[str, str] | None,
) -> Partner:
    sglang, vllm = (mine, candidate) if mine.package == SGLANG else (candidate, mine)
    problems = [f"{each} requires Python {each.python}" for each in (sglang, vllm) if each.excluded]
    if broken is not None:
        module, target = broken
        problems.append(
            f"{module} imports {target.replace(':', '.')}, which vllm {vllm.version} does not have"
        )
    return Partner(
        sglang=sglang,
        vllm=vllm,
        candidate=candidate,
        same_torch=_same_torch(sglang.torch, vllm.torch),
        clashes=clashes,
        days=candidate.day - mine.day if candidate.day and mine.day else 0,
        problem=", ".join(problems),
        wrong_python=sglang.excluded or vllm.excluded,
    )


def _same_torch(one: str | None, other: str | None) -> SameTorch:
    if one is None or other is None or one.split(".")[:2] != other.split(".")[:2]:
        return "other"
    return "exact" if _stripped(one) == _stripped(other) else "patch"


def _stripped(version: str) -> str:
    """Return a version without the zeros at its end, which make no difference."""
    while version.endswith(".0"):
        version = version.removesuffix(".0")
    return version
