"""Import every quantization module of the environment in child processes, and find failures and stubs."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from compat._cli.progress import Progress
from compat.doctor.inspected_environment import InspectedEnvironment
from compat.doctor.survey_runner import variables
from compat.index.query.answers import Facts
from compat.index.query.expected_modules import expected_in
from compat.index.query.installed_releases import installed_index
from compat.index.query.name_resolution import NameResolver
from compat.index.query.stubs import is_at_home, is_chosen, lacking, wanted
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES
from compat.model.symbols import Status, location, split_location
from compat.probe.expectation import ModuleExpectation, NameExpectation
from compat.probe.probe_process import PROBE
from compat.probe.probe_records import ModuleFact, NameFact
from compat.probe.probe_runner import ProbeRunner

REAL: frozenset[Status] = frozenset({"defined", "reexported", "lazy"})
"""The statuses of names that are real objects according to the index, even if they look like stubs."""

RETRIES = 12
"""Most failed modules of a package that are retried in a process of their own; each takes seconds."""

LOG_ROOM = 16_000_000
"""Most bytes of output that are kept of the child processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """A name that is bound to a stub instead of the real object."""

    module: str
    name: str
    what: str
    """`none`, `any`, `hollow class` or `hollow function`."""
    guard: str
    """The guard of the branch that bound it, as text."""
    lacking: tuple[str, ...]
    """Top-level names that are not installed, and without which the name is a stub."""
    wanted: tuple[str, ...]
    """The modules that its guards import."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResults:
    """The results of importing the quantization modules."""

    failed: tuple[ModuleFact, ...]
    """Modules that cannot be imported."""
    unsure: tuple[ModuleFact, ...]
    """Modules that failed after others in the same process and were not retried alone."""
    late: tuple[ModuleFact, ...]
    """Modules that can be imported only after other modules."""
    stubs: tuple[Stub, ...]
    modules: int
    symbols: int
    """The number of names that are bound to the real object."""


def resolver_of(environment: InspectedEnvironment, folder: Path) -> NameResolver:
    """Return a resolver for the examined environment.

    Args:
        environment: the environment.
        folder: an existing folder for a temporary index of releases that the shipped index lacks.

    Raises:
        IntegrityError: a release that the shipped index lacks is installed without files.
    """
    releases, index = environment.releases, Index()
    if all(index.knows(package, version) for package, version in releases.items()):
        release_indexes = {
            package: index.release_index(package, version, package) for package, version in releases.items()
        }
    else:
        found = {package: environment.packages.distribution(package) for package in releases}
        known = {package: each for package, each in found.items() if each is not None}
        index = installed_index(tuple(known), folder, known)
        release_indexes = dict.fromkeys(known, 0)
    tops = {IMPORT_NAMES[package] for package in releases}
    absent = {top for top in IMPORT_NAMES.values() if top not in tops and not environment.installed.get(top)}
    return NameResolver(
        index,
        Facts(
            release_indexes=release_indexes,
            absent=frozenset(absent),
            provided=frozenset(_provided(environment)),
            cuda=environment.cuda,
        ),
    )


def import_modules(
    environment: InspectedEnvironment,
    resolver: NameResolver,
    folder: Path,
    timeout: float,
    progress: Progress,
) -> ImportResults:
    """Import every quantization module, look up its names and return the results.

    Args:
        environment: the environment.
        resolver: a resolver for the environment.
        folder: an existing, private folder.
        timeout: seconds without progress after which an import counts as hanging.
        progress: advances with every module.

    Raises:
        PreparationError: a child process ended before its first module.
    """
    expected = tuple(module for module in expected_in(resolver) if module.exists)
    facts = dict(_facts(environment, expected, folder, timeout, progress))
    stubs = [stub for module in expected for stub in _stubs(resolver, module, facts[module.module])]
    bound = sum(fact.bound for module in facts.values() for fact in (module.names or {}).values())
    failed = [fact for fact in facts.values() if not fact.imported and fact.names is None]
    return ImportResults(
        failed=tuple(fact for fact in failed if fact.confirmed),
        unsure=tuple(fact for fact in failed if not fact.confirmed),
        late=tuple(fact for fact in facts.values() if not fact.imported and fact.names is not None),
        stubs=tuple(stubs),
        modules=len(expected),
        symbols=bound - len(stubs),
    )


def _facts(
    environment: InspectedEnvironment,
    expected: tuple[ModuleExpectation, ...],
    folder: Path,
    timeout: float,
    progress: Progress,
) -> Iterator[tuple[str, ModuleFact]]:
    # The probe runs as a copy, because Python puts the script's folder on the import path, where modules of
    # this project would shadow others. It is not isolated: the user's PYTHONPATH belongs to the environment.
    probe = folder / "compat_probe.py"
    probe.write_bytes(PROBE.read_bytes())
    with (folder / "imports.log").open("ab", buffering=0) as log:
        runner = ProbeRunner(
            python=environment.python,
            folder=folder,
            log=log,
            timeout=timeout,
            variables={**variables(), "PYTHONUSERBASE": environment.user_base},
            probe=(probe,),
            retries=RETRIES,
            room=LOG_ROOM,
        )
        # Each package gets a process of its own, because a failed import leaves a broken state behind.
        for top in dict.fromkeys(module.module.partition(".")[0] for module in expected):
            mine = [module for module in expected if module.module.partition(".")[0] == top]
            with closing(runner.facts(mine)) as facts:
                for fact in facts:
                    progress.advance()
                    yield fact.module, fact


def _stubs(resolver: NameResolver, module: ModuleExpectation, fact: ModuleFact) -> Iterator[Stub]:
    names: Mapping[str, NameFact] = fact.names or {}
    for expected in module.names:
        seen = names.get(expected.name)
        if seen is None or not _is_stub(resolver, module.module, expected, seen):
            continue
        answer = resolver.answer(module.module, expected.name)
        home, name = module.module, expected.name
        if not wanted(resolver, home, name):
            # Where a module re-exports a stub, the guards stand in the one that binds it.
            home, name = split_location(answer.origin or location(home, name))
        if is_chosen(resolver, home, name):
            continue
        yield Stub(
            module=module.module,
            name=expected.name,
            what=seen.stub,
            guard=answer.guard or "",
            lacking=lacking(resolver, home, name),
            wanted=wanted(resolver, home, name),
        )


def _is_stub(resolver: NameResolver, module: str, expected: NameExpectation, seen: NameFact) -> bool:
    """Return whether an object is a stub, and not a real None or empty class according to the index.

    What is a stub in every environment of the release says nothing about this one.
    """
    if expected.status == "placeholder" and not expected.guarded:
        return False
    if seen.stub.startswith("hollow"):
        return not is_at_home(resolver, module, expected.name, seen.module, seen.qualname)
    if seen.stub == "none":
        return expected.status not in REAL or expected.kind != "value"
    # A name that is unconditionally `Any` at run time exists for annotations.
    return seen.stub == "any" and (expected.status not in REAL or expected.guarded)


def _provided(environment: InspectedEnvironment) -> Iterator[str]:
    """Yield the top-level names in the folders of the import path."""
    for entry in environment.path:
        folder = Path(entry)
        if folder.is_dir():
            yield from (path.name.partition(".")[0] for path in folder.iterdir())
