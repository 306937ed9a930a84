"""Rank the partners of a release by their requirements, from the index alone and without network."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.companions.reader import Companions
from compat.index.query.release_summaries import direct_clashes, summaries
from compat.model.package_names import SGLANG, VLLM
from compat.partners.indirect_clashes import known_requirements, ranked_clashes
from compat.requirements.release_summary import KERNEL_PACKAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Literal

    from compat.companions.reader import BrokenImport
    from compat.index.query.release_summaries import DirectClash
    from compat.index.reader import Index
    from compat.partners.indirect_clashes import IndirectClash
    from compat.requirements.release_summary import ReleaseSummary, Wanted

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
    """The direct ones; each takes one override."""
    indirect: tuple[IndirectClash, ...]
    """Those with what a release pins; each takes one override. What lies deeper only a resolver can tell."""
    days: int
    """How much later than the other release it was published; negative for earlier."""
    problem: str
    """Why the two do not work in one environment of this Python, whatever is overridden; else empty."""
    wrong_python: bool
    """Whether one of the two excludes this Python."""
    broken: BrokenImport | None
    """What a part of sglang imports that this vllm does not have, though the server starts."""

    @property
    def rank(self) -> tuple[bool, bool, int, int, int, int, bool]:
        """The sort key: works, of one time, fewest failing modules, then torch, direct clashes and date."""
        torch = _ORDER.index(self.same_torch)
        return (
            bool(self.problem),
            abs(self.days) > FAR,
            self.broken_modules,
            torch,
            len(self.clashes),
            abs(self.days),
            self.days < 0,
        )

    @property
    def overrides(self) -> int:
        """How many overrides the known clashes take."""
        return len(self.clashes) + len(self.indirect)

    @property
    def broken_modules(self) -> int:
        """How many modules of sglang cannot be imported, though the server starts."""
        return (self.broken.modules or 0) if self.broken else 0


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
    companions = Companions()
    direct = direct_clashes(index, package, release_index, python)
    required = known_requirements(companions, python)
    indirect = ranked_clashes(index, package, release_index, python, direct=direct, required=required)
    broken = companions.broken_pairs(package, mine.version)
    ranked = [
        _partner(mine, each, direct.get(at, ()), indirect.get(at, ()), broken.get(each.version))
        for at, each in enumerate(others)
        if each.final
    ]
    return mine, sorted(ranked, key=lambda partner: partner.rank)


class PackageUser(NamedTuple):
    """A release of sglang or vllm that needs a distribution in a version."""

    release: ReleaseSummary
    wanted: Wanted
    through: tuple[ReleaseSummary, ...] = ()
    """The vllm releases that require it, if this release of sglang only requires one of these."""


def users_of(index: Index, package: str, version: str, python: str) -> tuple[PackageUser, ...]:
    """Return the releases of sglang and vllm that pin a distribution to this version.

    A release of sglang that does not require the distribution, but a vllm that pins it, counts beside that
    vllm. If none pins it, return the releases whose specifier allows it; a plain lower bound allows every
    later version.
    """
    from packaging.specifiers import SpecifierSet  # loading it takes longer than to rank a hundred releases
    from packaging.version import Version

    from compat.model.releases import parse_version

    asked = parse_version(version, "--for")
    names = (*KERNEL_PACKAGES, package, VLLM)
    releases = {user: summaries(index, user, python, names) for user in (SGLANG, VLLM)}
    asking = [
        PackageUser(each, each.wants[package])
        for user in (SGLANG, VLLM)
        for each in releases[user]
        if package in each.wants
    ]
    exact = [each for each in asking if each.wanted.pin and Version(each.wanted.pin) == asked]
    if exact:
        pinning = [each for each in exact if each.release.package == VLLM]
        return (*_through(releases[SGLANG], pinning, package), *exact)
    return tuple(
        each
        for each in asking
        if each.wanted.specifier and SpecifierSet(each.wanted.specifier).contains(asked, prereleases=True)
    )


def _through(
    releases: Iterable[ReleaseSummary], pinning: Sequence[PackageUser], package: str
) -> Iterator[PackageUser]:
    """Yield the releases of sglang that get a distribution from the vllm that they require and work with."""
    from packaging.specifiers import SpecifierSet

    companions = Companions()
    for release in releases:
        wanted = release.wants.get(package)
        if VLLM not in release.wants or (wanted is not None and wanted.specifier) or not pinning:
            continue
        broken = companions.broken_pairs(SGLANG, release.version)
        admitted = SpecifierSet(release.wants[VLLM].specifier)
        found = [
            user
            for user in pinning
            if admitted.contains(user.release.version, prereleases=True)
            and user.release.version not in broken
            and abs((user.release.day or 0) - (release.day or 0)) <= FAR
        ]
        if found:
            yield PackageUser(release, found[0].wanted, tuple(each.release for each in found))


def _partner(
    mine: ReleaseSummary,
    candidate: ReleaseSummary,
    clashes: tuple[DirectClash, ...],
    indirect: tuple[IndirectClash, ...],
    broken: BrokenImport | None,
) -> Partner:
    sglang, vllm = (mine, candidate) if mine.package == SGLANG else (candidate, mine)
    problems = [f"{each} requires Python {each.python}" for each in (sglang, vllm) if each.excluded]
    if broken is not None and broken.modules is None:
        problems.append(lack(broken, vllm))
    return Partner(
        sglang=sglang,
        vllm=vllm,
        candidate=candidate,
        same_torch=_same_torch(sglang.torch, vllm.torch),
        clashes=clashes,
        indirect=indirect,
        days=candidate.day - mine.day if candidate.day and mine.day else 0,
        problem=", ".join(problems),
        wrong_python=sglang.excluded or vllm.excluded,
        broken=None if broken is None or broken.modules is None else broken,
    )


def lack(broken: BrokenImport, vllm: ReleaseSummary) -> str:
    """Return which import fails, as text."""
    target = broken.target.replace(":", ".")
    return f"{broken.module} imports {target}, which vllm {vllm.version} does not have"


def _same_torch(one: str | None, other: str | None) -> SameTorch:
    if one is None or other is None or one.split(".")[:2] != other.split(".")[:2]:
        return "other"
    return "exact" if _stripped(one) == _stripped(other) else "patch"


def _stripped(version: str) -> str:
    """Return a version without the zeros at its end, which make no difference."""
    while version.endswith(".0"):
        version = version.removesuffix(".0")
    return version
