"""Find overrides with which two releases resolve: predicted from metadata, completed by uv's errors."""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat._cli.progress import Progress, Silent
from compat._util.subprocesses import CommandResult
from compat.check.foretell import overrides_against_collisions
from compat.locks.lockfile import Inputs
from compat.model.releases import SGLANG, VLLM, Pair
from compat.pairs import unbuildable_sdists
from compat.pairs.uv_clashes import clashes_in
from compat.partners.clashes import Clash, direct_clashes
from compat.partners.overrides import (
    Override,
    apart,
    as_mapping,
    choose,
    dropped,
    flipped,
    follows_torch,
    replaced,
)
from compat.requirements.release_requirements import TORCH, ReleaseRequirements
from compat.requirements.release_summary import ABI_BOUND
from compat.requirements.specifiers import pinned
from compat.uv.compile import resolve
from compat.uv.messages import conflict_reason, no_version
from compat.uv.pylock import LockedFile, read_pylock


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The overrides and packages with which two releases install together, or the reason why they cannot."""

    sglang: ReleaseRequirements
    vllm: ReleaseRequirements
    python: str
    clashes: tuple[Clash, ...] = ()
    """Direct clashes first, then those that only the resolver found."""
    overrides: tuple[Override, ...] = ()
    packages: Mapping[NormalizedName, Version] = field(default_factory=dict)
    """The resolved versions; empty when blocked."""
    blocked: str = ""
    """The reason why no overrides help, in one line; empty for a solution."""
    rounds: int = 0
    """The number of resolutions by uv."""
    seconds: float = 0.0

    def pair(self, pair_id: str) -> Pair:
        """Return the solution as a pair of the matrix."""
        return pair_of(self.sglang, self.vllm, self.python, self.overrides, pair_id)


def pair_of(
    sglang: ReleaseRequirements,
    vllm: ReleaseRequirements,
    python: str,
    overrides: Iterable[Override],
    pair_id: str,
) -> Pair:
    """Return two releases with their overrides as a pair of the matrix."""
    releases = {needs.release.package: needs for needs in (sglang, vllm)}
    return Pair(
        id=pair_id,
        python=python,
        sglang=releases[SGLANG].release.version,
        sglang_extras=releases[SGLANG].extras,
        vllm=releases[VLLM].release.version,
        overrides=MappingProxyType(dict(as_mapping(overrides))),
    )


MOST_ROUNDS = 40
"""The maximal number of resolutions; a pair has about a dozen clashes at most."""


def solve(
    sglang: ReleaseRequirements,
    vllm: ReleaseRequirements,
    python: str,
    uv: str,
    progress: Progress | None = None,
    *,
    predict: bool = True,
    start: Iterable[Override] = (),
) -> Solution:
    """Return a small set of overrides with which uv resolves the two releases.

    Args:
        sglang: the requirements of that release.
        vllm: the requirements of that release.
        python: `X.Y` of the common environment.
        uv: path of the uv program.
        progress: gets a note about every clash.
        predict: whether to override direct clashes before the first resolution; without it, every clash
            costs one resolution.
        start: overrides that stay as they are.

    Raises:
        NetworkError: the package index cannot be reached.
        DiskError: uv cannot write to its cache, or the disk is full.
        PreparationError: a source archive cannot be built, since this Python version is not available.
    """
    begun = time.monotonic()
    search = _Search(sglang, vllm, python, uv, progress or Silent())
    refusing = [needs for needs in (sglang, vllm) if not needs.runs_on(python)]
    if refusing:
        blocked = "; ".join(f"{needs} requires Python {needs.python}, not {python}" for needs in refusing)
    else:
        search.settle(start)
        if predict:
            search.add(direct_clashes(sglang, vllm))
        blocked = search.run()
    return Solution(
        sglang=sglang,
        vllm=vllm,
        python=python,
        clashes=tuple(search.clashes.values()),
        overrides=tuple(sorted(search.overrides.values(), key=lambda each: (not each.bound, each.package))),
        packages=MappingProxyType({} if blocked else {file.package: file.version for file in search.found}),
        blocked=blocked,
        rounds=search.rounds,
        seconds=time.monotonic() - begun,
    )


def as_of(solution: Solution, day: date, uv: str) -> dict[NormalizedName, Version]:
    """Return the versions that uv would have chosen for a solution on a date; empty if it cannot resolve.

    Raises:
        NetworkError: the package index cannot be reached.
    """
    inputs = Inputs.of(solution.pair("pair"))
    attempt = resolve(inputs, uv, "--format", "pylock.toml", "--exclude-newer", day.isoformat())
    return {} if attempt.code else {file.package: file.version for file in read_pylock(attempt.stdout)}


class _Search:
    """The state of one search for overrides."""

    def __init__(
        self, sglang: ReleaseRequirements, vllm: ReleaseRequirements, python: str, uv: str, progress: Progress
    ) -> None:
        self.sglang, self.vllm, self.python, self.uv, self.progress = sglang, vllm, python, uv, progress
        self.clashes: dict[NormalizedName, Clash] = {}
        self.overrides: dict[NormalizedName, Override] = {}
        self.settled: set[NormalizedName] = set()
        self.found: tuple[LockedFile, ...] = ()
        self.rounds = 0

    def settle(self, overrides: Iterable[Override]) -> None:
        """Add overrides that the search must not change."""
        for override in overrides:
            self.overrides[override.package] = override
            self.settled.add(override.package)

    def add(self, clashes: Iterable[Clash]) -> None:
        """Add an override for each clash; after one for torch, adapt the packages compiled against it."""
        for clash in clashes:
            self.clashes[clash.package] = clash
            if clash.package not in self.overrides:
                self.overrides[clash.package] = choose(clash)
        if TORCH in self.clashes and TORCH not in self.settled:
            self._move_with_torch()
            self.settled.add(TORCH)

    def run(self) -> str:
        """Add overrides until uv resolves; return the reason if that fails, or else an empty string."""
        for _ in range(MOST_ROUNDS):
            attempt = self.ask(self.overrides.values())
            if attempt.code == 0:
                break
            clashes = clashes_in(attempt.stderr, self.sglang, self.vllm)
            fresh = [clash for clash in clashes if clash.package not in self.overrides]
            if fresh:
                self.add(fresh)
                self.progress.note(f"clash: {'; '.join(map(str, fresh))}")
            elif not self._turn(attempt.stderr) and not self._substitute(attempt.stderr):
                return conflict_reason(attempt.stderr)
        else:
            return f"no solution after {MOST_ROUNDS} resolutions"
        self.found = read_pylock(attempt.stdout)
        self._drop_stubs()
        self._shrink()
        self._part_collisions()
        return ""

    def ask(self, overrides: Iterable[Override]) -> CommandResult:
        """Return the result of a resolution with these overrides."""
        self.rounds += 1
        inputs = Inputs.of(pair_of(self.sglang, self.vllm, self.python, overrides, "pair"))
        return resolve(inputs, self.uv, "--format", "pylock.toml")

    def _turn(self, explanation: str) -> bool:
        """Flip an override whose version does not exist; return whether there was one."""
        reason = conflict_reason(explanation)
        for name, override in self.overrides.items():
            other = flipped(override, f"{override} is not available")
            if other is not None and name not in self.settled and _names(reason, name):
                self.overrides[name] = other
                self.settled.add(name)
                self.progress.note(f"{name}: taking the other side, since {reason}")
                return True
        return False

    def _substitute(self, explanation: str) -> bool:
        """Override a pinned version that was withdrawn or never published; return whether there was one."""
        reason = conflict_reason(explanation)
        gone = _uninstallable(reason)
        if gone is None or gone[0] in self.overrides:
            return False
        name, version, why = gone
        following = f"{version.major}.{version.minor + 1}"
        wants = [str(needs.wants[name]) for needs in (self.sglang, self.vllm) if name in needs.wants]
        fitting = [each for each in wants if pinned(SpecifierSet(each)) != version]
        # The nearest release is the next one, then any later one, then an earlier one.
        for bounds in (f">{version},<{following}", f">{version}", f"<{version}"):
            found = self._resolves(name + ",".join([bounds, *filter(None, fitting)]))
            if found is not None:
                self.overrides[name] = replaced(name, found[name], f"{name} {version} {why}")
                self.settled.add(name)
                self.progress.note(f"{name}: taking {found[name]}, since {reason}")
                return True
        return False

    def _move_with_torch(self) -> None:
        """Override the packages that are compiled against torch, unless they fit the chosen version."""
        chosen = str(self.overrides[TORCH])
        version = next(iter(SpecifierSet(self.overrides[TORCH].specifier))).version
        for name in ABI_BOUND[1:]:
            wants = [needs.wants[name] for needs in (self.sglang, self.vllm) if name in needs.wants]
            if not wants or name in self.settled:
                continue
            # Resolve without overrides, so that the package's own requirement on torch must hold.
            if self._resolves(chosen, *(f"{name}{specifiers}" for specifiers in wants)) is not None:
                self.overrides.pop(name, None)
                continue
            # Try the versions that the releases require first, since some versions require no torch at all.
            tries = (
                self._resolves(chosen, requirement)
                for requirement in [*(f"{name}{each}" for each in wants), name]
            )
            if fitting := next((found for found in tries if found is not None), None):
                clash = self.clashes.get(name)
                self.overrides[name] = follows_torch(name, fitting[name], Version(version), clash)

    def _resolves(self, *requirements: str) -> dict[NormalizedName, Version] | None:
        self.rounds += 1
        inputs = Inputs(python=self.python, requirements=requirements, overrides=())
        attempt = resolve(inputs, self.uv, "--format", "pylock.toml")
        if attempt.code:
            return None
        return {file.package: file.version for file in read_pylock(attempt.stdout)}

    def _drop_stubs(self) -> None:
        """Drop the packages that have no wheel and whose source archive cannot be built."""
        sources = [file for file in self.found if not file.has_wheel]
        reasons = unbuildable_sdists.unbuildable(sources, self.python, self.uv, self.progress)
        for file in sources:
            if why := reasons.get(file.package):
                self.overrides[file.package] = dropped(file.package, why)
                self.progress.note(f"{file.package} {file.version} is dropped: {why}")
        if reasons:
            attempt = self.ask(self.overrides.values())
            self.found = read_pylock(attempt.stdout)

    def _shrink(self) -> None:
        """Remove each override without which uv resolves as well.

        Overrides of direct clashes stay, since nothing else avoids these. So do those of packages compiled
        against torch: with an override of torch, uv does not see that other versions would not fit.
        """
        for name, override in sorted(self.overrides.items()):
            clash = self.clashes.get(name)
            if override.bound or override.clash is None or name in self.settled or (clash and clash.direct):
                continue
            rest = {other: each for other, each in self.overrides.items() if other != name}
            attempt = self.ask(rest.values())
            if attempt.code == 0:
                self.overrides, self.found = rest, read_pylock(attempt.stdout)
                self.progress.note(f"{name}: the override is not needed any more")

    def _part_collisions(self) -> None:
        """Override packages that bring modules of others in a different form, if uv still resolves."""
        versions = {str(file.package): str(file.version) for file in self.found}
        for name, specifier, why in overrides_against_collisions(versions, self.python):
            package = canonicalize_name(name)
            override = apart(package, specifier, why)
            attempt = self.ask(
                [*(each for each in self.overrides.values() if each.package != package), override]
            )
            if package in self.settled or attempt.code:
                self.progress.note(why)
                continue
            self.overrides[package] = override
            self.settled.add(package)
            self.found = read_pylock(attempt.stdout)
            self.progress.note(f"{override}: {why}")


_YANKED = re.compile(r"(?<![\w.-])([\w.-]+?)==([\w.!+]+) was yanked")


def _uninstallable(reason: str) -> tuple[NormalizedName, Version, str] | None:
    """Return the exact version that a reason calls withdrawn or not existing, if it names one."""
    yanked = _YANKED.search(reason)
    if yanked:
        return canonicalize_name(yanked[1]), Version(yanked[2]), "was withdrawn"
    missing = no_version(reason)
    version = None if missing is None else pinned(missing.specifier)
    if missing is None or version is None:
        return None
    return canonicalize_name(missing.name), version, "does not exist"


def _names(reason: str, package: NormalizedName) -> bool:
    """Return whether a reason names a package; `openai-harmony` does not name `openai`."""
    return re.search(rf"(?<![\w.-]){re.escape(package)}(?![\w-])", reason) is not None
