"""The context of a rule: the contents of the log, the known releases, the environment and the index."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.version import InvalidVersion, Version

from compat.callables.by_release import ReleaseSignatures
from compat.explain.log.log_reader import LogContents
from compat.explain.log.model import TracebackFrame
from compat.explain.lookup.module_paths import ALIASES, below_site, distribution_of, indexed_module, top_of
from compat.explain.lookup.release_lines import described, fitting_indexes, release_fits, shipped_outlines
from compat.explain.lookup.symbol_history import History
from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import companions
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, KERNELS, SGLANG, VLLM, newest
from compat.requirements.installed import InstalledEnvironment
from compat.source_outlines.reader import KnownMessage, SourceOutlines
from compat.source_outlines.release_fit import ReleaseFit

MOST_MODULES = 200
"""Most modules of tracebacks that narrow down an unknown release."""


FEWEST_PREFIXES = 2
"""From this many prefixes of log lines on, they tell a release without a frame: plug-ins write some too."""
_PLACEHOLDERS = ((0, 0), (0, 1), (1, 0))
"""The first two numbers of versions that builds without a tag get: `0.1.dev1`, `1.0.0.dev`."""
_CLAIMED = "the text mentions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The version of a distribution, and the source of that knowledge."""

    version: str
    source: str
    """For people: `given by the user`, `the log says “…”`, `installed here`."""


class RuleContext:
    """One log, with everything that rules may ask about its releases and its environment.

    Args:
        contents: the failures and versions that the log contains.
        history: answers about all indexed releases, cached.
        given: package to the version that the user passed.
        environment: the environment that may have written the log, if known.
        outlines: the outlines of the releases' source files; by default the shipped ones.
    """

    def __init__(
        self,
        contents: LogContents,
        history: History,
        given: dict[str, str],
        environment: InstalledEnvironment | None,
        outlines: SourceOutlines | None = None,
    ) -> None:
        self.contents = contents
        self.index = history.index
        self.history = history
        self.given = given
        self.environment = environment
        self.outlines = outlines or shipped_outlines()
        self.messages: dict[tuple[str, str], list[KnownMessage]] | None = None
        """The messages of the packages that are in the log, by kind and text, once a rule has found them."""

    @cached_property
    def signatures(self) -> ReleaseSignatures | None:
        """Signatures and members by release; None without the outlines."""
        return (
            None
            if self.outlines is None
            else ReleaseSignatures(self.outlines, self.index, self.history.resolver)
        )

    @cached_property
    def _fits(self) -> dict[str, ReleaseFit]:
        return {} if self.outlines is None else release_fits(self.contents, self.index, self.outlines)

    @cached_property
    def fitting_releases(self) -> dict[str, list[int]]:
        """Package to its releases that the lines of the log fit; an empty list if the log fits none."""
        if self.outlines is None:
            return {}
        return {
            package: fitting_indexes(each, self.index, self.outlines)
            for package, each in self._fits.items()
            if each.frames or each.places >= FEWEST_PREFIXES
        }

    def fit_line(self, package: str) -> str | None:
        """Return one line about the releases that the lines of the log fit, or None without such lines."""
        found = self._fits.get(package)
        return described(found, self.outlines) if found is not None and self.outlines is not None else None

    def known(self, distribution: str) -> Known | None:
        """Return the version of a distribution: given, printed, by its lines, installed, or in prose."""
        if distribution in self.given:
            version = self.given[distribution]
            at = release_index_of(self.index, distribution, version)
            build = None if at is None else self.index.addition(distribution, at)
            told = "" if build is None else f": {build.label}, nearest to {build.nearest}"
            return Known(version=version, source=f"given by the user{told}")
        printed = self._stated(self.contents.facts.printed, distribution)
        if printed:
            return Known(version=printed[0], source=f"the log says “{printed[1]}”")
        fitting = self.fitting_releases.get(distribution)
        if fitting and len(fitting) == 1:
            version = self.index.versions(distribution)[fitting[0]]
            return Known(version=version, source=self.fit_line(distribution) or "")
        installed = (
            self.environment.version(distribution) if self.environment and self.environment_matches else None
        )
        if installed:
            return Known(version=installed, source="installed here")
        facts = self.contents.facts
        claim = facts.claims.get(distribution)
        if claim is None and distribution not in self.index.packages:
            claim = self._stated(facts.others, distribution)
            claim = claim if claim and claim[0] else None
        if claim and fitting and release_index_of(self.index, distribution, claim[0]) not in fitting:
            return None  # the person speaks of another release than the one that wrote the log
        return Known(version=claim[0], source=f"{_CLAIMED} “{claim[1]}”") if claim else None

    def _stated(self, found: Mapping[str, tuple[str, str]], distribution: str) -> tuple[str, str] | None:
        """Return a version that the text gives a distribution, by its name or its import name.

        People write `flashinfer` for `flashinfer-python`. An import name that something else has too, such as
        `cuda`, does not count.
        """
        short = distribution.removesuffix("-python")
        return found.get(distribution) or (None if short in ALIASES else found.get(short))

    def is_only_claimed(self, package: str) -> bool:
        """Return whether the only source for a release is prose in the log."""
        known = self.known(package)
        return known is not None and known.source.startswith(_CLAIMED)

    @cached_property
    def environment_matches(self) -> bool:
        """Whether the environment may have written the log: no version in the log contradicts it."""
        if self.environment is None:
            return False
        logged, installed = {**self.contents.facts.versions(), **self.given}, self.environment.versions
        pair = (SGLANG, VLLM)
        agree = all(
            name in installed and _equal(logged[name], installed[name]) for name in pair if name in logged
        )
        fits = all(
            release_index_of(self.index, name, installed[name]) in fitting
            for name, fitting in self.fitting_releases.items()
            if fitting and name in installed and self._fits[name].frames
        )
        return agree and fits and any(name in installed for name in pair)

    def is_absent(self, distribution: str) -> bool:
        """Return whether a distribution is known to be missing in the environment that wrote the log."""
        if distribution in self.given or self.contents.facts.printed.get(distribution):
            return False
        if self.environment is not None and self.environment_matches:
            return self.environment.version(distribution) is None
        top = IMPORT_NAMES.get(distribution, distribution)
        lacking = re.compile(rf"No module named '?{re.escape(top)}'?(?![\w.])")
        everything = (*self.contents.failures, *self.contents.mentions)
        return any(lacking.search(exception.message) for failure in everything for exception in failure.chain)

    def release_index(self, package: str) -> int | None:
        """Return the release_index of a package's known release, or None if unknown or not indexed."""
        known = self.known(package)
        return None if known is None else release_index_of(self.index, package, known.version)

    @cached_property
    def release_indexes(self) -> dict[str, int]:
        """Package to the release_index of its known release; includes the kernels that sglang pins."""
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
        """A resolver for the known releases."""
        absent = frozenset(IMPORT_NAMES[name] for name in (SGLANG, VLLM) if self.is_absent(name))
        return NameResolver(self.index, Facts(release_indexes=self.release_indexes, absent=absent))

    def candidate_releases(self, package: str) -> list[int]:
        """Return the releases that the lines fit and that have every module in the tracebacks."""
        found = self.fitting_releases.get(package) or list(range(len(self.index.versions(package))))
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
    def in_indexed_package(self) -> bool:
        """Whether a traceback has a frame in an indexed package."""
        return bool(self._modules)

    @cached_property
    def distributions_in_tracebacks(self) -> frozenset[str]:
        """The distributions that own a frame of a traceback."""
        chains = (failure.chain for failure in self.contents.failures)
        frames = (frame for chain in chains for exception in chain for frame in exception.frames)
        return frozenset(distribution_of(top) for frame in frames if (top := top_of(frame.path)))

    @cached_property
    def likely_releases(self) -> dict[str, int]:
        """The known releases, or the newest releases of both packages if none is known."""
        return self.release_indexes or {package: self.newest_release(package) for package in (SGLANG, VLLM)}

    def newest_release(self, package: str) -> int:
        """Return the release_index of the newest final release."""
        return newest(self.index.versions(package)[: self.index.published(package)])

    @cached_property
    def resolvers_by_cuda(self) -> dict[bool, NameResolver]:
        """Resolvers for the known releases, without and with a CUDA device."""
        facts = self.resolver.environment
        return {cuda: NameResolver(self.index, facts._replace(cuda=cuda)) for cuda in (False, True)}

    def module(self, frame: TracebackFrame) -> str | None:
        """Return the indexed module that a frame runs in, or None."""
        return indexed_module(frame.path, self.index)

    def mentions(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Return the first match of a pattern in the error lines outside tracebacks."""
        for failure in self.contents.mentions:
            for exception in failure.chain:
                found = pattern.search(exception.text)
                if found:
                    return found
        return None

    def import_name(self, distribution: str) -> str:
        """Return the import name of a distribution, a guess for distributions that are not indexed."""
        return IMPORT_NAMES.get(distribution, distribution.removesuffix("-python").replace("-", "_"))

    def is_in_tracebacks(self, top: str) -> bool:
        """Return whether a traceback contains the path of an installed file of a top-level name."""
        installed = re.compile(rf"(?:site|dist)-packages/{re.escape(top)}[/.]")
        return any(
            installed.search(exception.text)
            or any(installed.search(frame.path) for frame in exception.frames)
            for failure in self.contents.failures
            for exception in failure.chain
        )

    def is_extension(self, module: str, package: str, at: int | None) -> bool:
        """Return whether a module is an extension in a release, or in any release if `at` is None."""
        places = range(len(self.index.versions(package))) if at is None else (at,)
        rows = (self.index.module(module, package, place) for place in places)
        return any(row is not None and row.form == "extension" for row in rows)

    @cached_property
    def _extensions(self) -> dict[str, set[str]]:
        """The last component of each extension's name to the top-level names that contain it."""
        found: dict[str, set[str]] = {}
        for package in self.index.packages:
            for entry in self.index.module_ranges(package):
                if entry.form == "extension":
                    top, _, rest = entry.module.partition(".")
                    found.setdefault(rest.rpartition(".")[2], set()).add(top)
        return found

    def package_of_extension(self, stem: str) -> str | None:
        """Return the top-level name that contains an extension of this name, if it is unique."""
        tops = self._extensions.get(stem, set())
        return next(iter(tops)) if len(tops) == 1 else None

    def owner(self, module: str) -> str | None:
        """Return the indexed package that provides a module, preferring packages with a known release."""
        owners = self.index.owners.get(module.partition(".")[0], [])
        likely = [name for name in owners if self.known(name)] or [
            n for n in owners if n in self.release_indexes
        ]
        return next(iter([*likely, *owners]), None)


def importer_of(context: RuleContext, frame: TracebackFrame | None, package: str) -> str:
    """Return the distribution in which a frame lies that the user cannot edit; empty for the user's own code.

    A frame in sglang or vllm counts even in a checkout, unless it is in the package that is asked for.
    """
    if frame is None:
        return ""
    module = context.module(frame)
    owner = context.owner(module) if module else None
    if owner is not None and owner != package:
        return owner
    top = top_of(frame.path)
    return distribution_of(top) if top is not None else ""


def in_installed_package(frame: TracebackFrame | None) -> bool:
    """Return whether a frame lies in an installed package, which the user cannot edit."""
    return frame is not None and below_site(frame.path) is not None


def release_index_of(index: Index, package: str, version: str) -> int | None:
    """Return the release_index of a version, or of the last release before it; None if there is none.

    An installed package may have a version that does not follow PEP 440, such as `unknown`: also None.
    """
    try:
        wanted = Version(version)
    except InvalidVersion:
        return None
    if wanted.is_devrelease and wanted.release[:2] in _PLACEHOLDERS:
        return None  # what a build without tags calls itself
    earlier = [at for at, each in enumerate(index.versions(package)) if Version(each) <= wanted]
    return earlier[-1] if earlier else None


def _equal(left: str, right: str) -> bool:
    try:
        return Version(left).public == Version(right).public
    except InvalidVersion:
        return left == right
