"""Everything that a rule may look at: what the log tells, what is installed, and the index."""

import re
from dataclasses import dataclass
from functools import cached_property

from packaging.version import InvalidVersion, Version

from compat.explain.log.log_reader import LogContents
from compat.explain.log.model import TracebackFrame
from compat.explain.lookup.module_paths import below_site, distribution_of, indexed_module, top_of
from compat.explain.lookup.symbol_history import History
from compat.index.query.name_resolution import Facts, NameResolver
from compat.index.query.single_release import companions
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, KERNELS, SGLANG, VLLM, newest
from compat.requirements.installed import InstalledEnvironment

MOST_MODULES = 200
"""Modules of tracebacks by which a release is looked for."""


_SPEAKS = "the text speaks of"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The version of a distribution, and how it is known."""

    version: str
    source: str
    """For people: `given`, `the log says …`, `installed here`."""


class RuleContext:
    """One log with what is known around it.

    Args:
        contents: what the log tells.
        history: the index of all releases, and what has been asked of it so far.
        given: versions that the user named, by package.
        environment: what is installed where the log comes from, as far as that is known.
    """

    def __init__(
        self,
        contents: LogContents,
        history: History,
        given: dict[str, str],
        environment: InstalledEnvironment | None,
    ) -> None:
        self.contents = contents
        self.index = history.index
        self.history = history
        self.given = given
        self.environment = environment

    def known(self, distribution: str) -> Known | None:
        """Return the version of a distribution: given, told by the log, installed, or claimed by a person."""
        if distribution in self.given:
            return Known(version=self.given[distribution], source="given")
        told = self.contents.facts.told.get(distribution)
        if told:
            return Known(version=told[0], source=f"the log says “{told[1]}”")
        version = self.environment.version(distribution) if self.environment and self.fits else None
        if version:
            return Known(version=version, source="installed here")
        claim = self.contents.facts.claims.get(distribution)
        return Known(version=claim[0], source=f"{_SPEAKS} “{claim[1]}”") if claim else None

    def claimed(self, package: str) -> bool:
        """Return whether a release is known from nothing but what a person says of it."""
        known = self.known(package)
        return known is not None and known.source.startswith(_SPEAKS)

    @cached_property
    def fits(self) -> bool:
        """Whether the environment may be that of the log: nothing that is told of releases contradicts it."""
        if self.environment is None:
            return False
        told, here = {**self.contents.facts.versions(), **self.given}, self.environment.versions
        pair = (SGLANG, VLLM)
        agree = all(name in here and _equal(told[name], here[name]) for name in pair if name in told)
        return agree and any(name in here for name in pair)

    def absent(self, distribution: str) -> bool:
        """Return whether a distribution is known not to be installed where the log comes from."""
        if distribution in self.given or self.contents.facts.told.get(distribution):
            return False
        if self.environment is not None and self.fits:
            return self.environment.version(distribution) is None
        top = IMPORT_NAMES.get(distribution, distribution)
        lacking = re.compile(rf"No module named '?{re.escape(top)}'?(?![\w.])")
        everything = (*self.contents.failures, *self.contents.mentions)
        return any(lacking.search(exception.message) for failure in everything for exception in failure.chain)

    def release_index(self, package: str) -> int | None:
        """Return the position of the known release in the index; None when it is not known or not indexed."""
        known = self.known(package)
        return None if known is None else position_of(self.index, package, known.version)

    @cached_property
    def release_indexes(self) -> dict[str, int]:
        """The known releases, with the kernels that the sglang release pins."""
        known: dict[str, int] = {}
        for package in self.index.packages:
            at = self.release_index(package)
            if at is not None:
                known[package] = at
        if SGLANG in known and not any(kernel in known for kernel in KERNELS):
            known |= companions(self.index, SGLANG, known[SGLANG])
        return known

    @cached_property
    def resolver(self) -> NameResolver:
        """The world of the known releases."""
        absent = frozenset(IMPORT_NAMES[name] for name in (SGLANG, VLLM) if self.absent(name))
        return NameResolver(self.index, Facts(release_indexes=self.release_indexes, absent=absent))

    def candidates(self, package: str) -> list[int]:
        """Return the releases of a package that have every module in which a traceback has been."""
        found = list(range(len(self.index.versions(package))))
        for module in self._modules:
            if package in self.index.owners[module.partition(".")[0]]:
                flags = self.history.flags(package, module, "")
                found = [at for at in found if flags[at]] or found
        return found

    @cached_property
    def _modules(self) -> tuple[str, ...]:
        chains = (failure.chain for failure in self.contents.failures)
        frames = (frame for chain in chains for exception in chain for frame in exception.frames)
        modules = (indexed_module(frame.path, self.index) for frame in frames)
        return tuple(dict.fromkeys(module for module in modules if module))[:MOST_MODULES]

    @property
    def inside(self) -> bool:
        """Whether a traceback has been in the modules of an indexed package."""
        return bool(self._modules)

    @cached_property
    def involved(self) -> frozenset[str]:
        """The distributions in whose files a traceback has been."""
        chains = (failure.chain for failure in self.contents.failures)
        frames = (frame for chain in chains for exception in chain for frame in exception.frames)
        return frozenset(distribution_of(top) for frame in frames if (top := top_of(frame.path)))

    @cached_property
    def likely(self) -> dict[str, int]:
        """The known releases; where nothing is known, the newest of both packages."""
        return self.release_indexes or {package: self.newest(package) for package in (SGLANG, VLLM)}

    def newest(self, package: str) -> int:
        """Return the position of the newest final release."""
        return newest(self.index.versions(package))

    @cached_property
    def resolvers_by_cuda(self) -> dict[bool, NameResolver]:
        """The world of the known releases, without and with a CUDA device."""
        facts = self.resolver.environment
        return {cuda: NameResolver(self.index, facts._replace(cuda=cuda)) for cuda in (False, True)}

    def module(self, frame: TracebackFrame) -> str | None:
        """Return the indexed module of a frame."""
        return indexed_module(frame.path, self.index)

    def mentions(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Return the first match among the lines that tell of errors outside tracebacks."""
        for failure in self.contents.mentions:
            for exception in failure.chain:
                found = pattern.search(exception.text)
                if found:
                    return found
        return None

    def top(self, distribution: str) -> str:
        """Return the import name of a distribution, as far as it is known."""
        return IMPORT_NAMES.get(distribution, distribution.removesuffix("-python").replace("-", "_"))

    def seen(self, top: str) -> bool:
        """Return whether an installed file of an import name shows in a traceback or its messages."""
        installed = re.compile(rf"(?:site|dist)-packages/{re.escape(top)}[/.]")
        return any(
            installed.search(exception.text)
            or any(installed.search(frame.path) for frame in exception.frames)
            for failure in self.contents.failures
            for exception in failure.chain
        )

    def compiled(self, module: str, package: str, at: int | None) -> bool:
        """Return whether a module is an extension in a release; without one, whether it is in any."""
        places = range(len(self.index.versions(package))) if at is None else (at,)
        rows = (self.index.module(module, package, place) for place in places)
        return any(row is not None and row.form == "extension" for row in rows)

    @cached_property
    def _extensions(self) -> dict[str, set[str]]:
        """The last parts of the names of extensions, with the import names below which they lie."""
        found: dict[str, set[str]] = {}
        for package in self.index.packages:
            for entry in self.index.module_ranges(package):
                if entry.form == "extension":
                    top, _, rest = entry.module.partition(".")
                    found.setdefault(rest.rpartition(".")[2], set()).add(top)
        return found

    def top_with_extension(self, stem: str) -> str | None:
        """Return the import name below which an extension is called so, if there is just one."""
        tops = self._extensions.get(stem, set())
        return next(iter(tops)) if len(tops) == 1 else None

    def owner(self, module: str) -> str | None:
        """Return the indexed package that a module belongs to; of several, the one of which most is known."""
        owners = self.index.owners.get(module.partition(".")[0], [])
        likely = [name for name in owners if self.known(name)] or [
            n for n in owners if n in self.release_indexes
        ]
        return next(iter([*likely, *owners]), None)


def foreign(frame: TracebackFrame | None) -> bool:
    """Return whether a frame lies in an installed package, where the user has nothing to edit."""
    return frame is not None and below_site(frame.path) is not None


def position_of(index: Index, package: str, version: str) -> int | None:
    """Return the position of a release, or of the last one before it; None when there is none.

    What is installed may have a version of no known form (`unknown`): then nothing is known of it.
    """
    try:
        wanted = Version(version)
    except InvalidVersion:
        return None
    earlier = [at for at, each in enumerate(index.versions(package)) if Version(each) <= wanted]
    return earlier[-1] if earlier else None


def _equal(left: str, right: str) -> bool:
    try:
        return Version(left).public == Version(right).public
    except InvalidVersion:
        return left == right
