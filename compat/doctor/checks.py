"""Run all checks of `compat doctor` and decide which of their results are findings, and which are notes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compat import errors
from compat._cli.progress import Progress
from compat._cli.text import counted, listed
from compat.doctor import duplicates, foretold, gpu_driver, unmet_requirements
from compat.doctor.imports import ImportResults, import_modules, resolver_of
from compat.doctor.inspected_environment import InspectedEnvironment, examine
from compat.doctor.native import gpu_code
from compat.doctor.native.linkage import LinkageReport, check_linkage
from compat.doctor.root_causes import RootCause, find_root_causes, is_optional
from compat.doctor.survey_runner import Asker
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import allows
from compat.requirements.graph import UnmetRequirement
from compat.requirements.specifiers import python_specifier


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """What to examine, from the command line."""

    python: Path
    folder: Path
    """The folder in which the user starts programs."""
    timeout: float
    """Seconds without progress after which a child process counts as hanging."""
    imports: bool = True
    """Whether to import the quantization modules."""
    gpu: bool = False
    """Whether a missing GPU is a finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """The results of all checks on one environment."""

    environment: InspectedEnvironment
    findings: tuple[Diagnosis, ...]
    notes: tuple[str, ...]
    native: LinkageReport
    import_results: ImportResults | None


def check(options: DoctorOptions, scratch: Path, progress: Progress) -> DoctorReport:
    """Examine an environment and return the findings and notes.

    Args:
        options: what to examine, and how.
        scratch: an existing, private folder.
        progress: advances with every imported module.

    Raises:
        PreparationError: the interpreter does not start or does not answer.
        NothingSelectedError: neither sglang nor vllm is installed.
    """
    asker = Asker(python=options.python, folder=scratch, timeout=options.timeout)
    environment = examine(asker, options.folder)
    if not environment.releases:
        raise errors.NothingSelectedError(
            f"{options.python}: neither sglang nor vllm is installed; pass another Python with --python"
        )
    linkage = check_linkage(environment, asker)
    unmet = unmet_requirements.violations(environment)
    bare = unmet_requirements.without_dependencies(environment, unmet)
    findings = [
        *([bare] if bare else []),
        *duplicates.check_duplicates(environment),
        *_python(environment),
        *gpu_driver.check_driver(environment, wanted=options.gpu),
    ]
    overwritten, remarks = foretold.overwritten_files(environment)
    runs = gpu_code.check_gpu_code(environment)
    findings += [*overwritten, *linkage.findings, *runs.findings]
    notes = [*remarks, *linkage.notes, *runs.notes, *duplicates.hidden_versions(environment)]
    results: ImportResults | None = None
    found: tuple[RootCause, ...] = ()
    if bare:
        unmet = tuple(each for each in unmet if each.installed is not None)
    failing = () if bare else foretold.failing_imports(environment)
    for each in failing:
        progress.note(f"cannot be imported, by metadata alone: {each.evidence[0]}")
    if not options.imports:
        findings += failing
    if options.imports and not bare:
        try:
            results = import_modules(
                environment, resolver_of(environment, scratch), scratch, options.timeout, progress
            )
        except (errors.IntegrityError, errors.PreparationError) as error:
            notes.append(f"no module was imported: {error}")
        else:
            found = find_root_causes(environment, results, unmet)
            required = unmet_requirements.required(environment, unmet_requirements.closure(environment))
            asked = frozenset(edge.name for edge in required)
            findings += [root.finding() for root in found if not is_optional(root, asked)]
            notes += [_optional(root) for root in found if is_optional(root, asked)]
            notes += _import_notes(results)
    judged = _judged(environment, unmet, linkage, found, _no_effect(results))
    for requirement, why in judged:
        if why is None:
            findings.append(unmet_requirements.diagnosis(requirement))
        else:
            notes.append(f"{unmet_requirements.described(requirement)}; {why}")
    return DoctorReport(
        environment=environment,
        findings=_distinct(findings),
        notes=tuple(dict.fromkeys(notes)),
        native=linkage,
        import_results=results,
    )


def _import_notes(results: ImportResults) -> Iterator[str]:
    """Yield notes on modules that could not be imported first, but did not fail for certain."""
    if results.unsure:
        names = [fact.module for fact in results.unsure]
        modules = counted(len(names), "more module")
        yield f"{modules} failed after others in the same process and were not tried alone: {listed(names)}"
    for fact in results.late:
        yield f"{fact.module} can be imported only after other modules: {fact.error}"


def _no_effect(results: ImportResults | None) -> str:
    """Return the remark on an unmet requirement that explains no failed import."""
    if results is None:
        return "no module was imported, so its effect is unknown"
    if results.modules and len(results.failed) + len(results.unsure) == results.modules:
        return "all imports fail earlier, so its effect is unknown"
    return "no import fails because of it"


def _judged(
    environment: InspectedEnvironment,
    unmet: tuple[UnmetRequirement, ...],
    linkage: LinkageReport,
    found: tuple[RootCause, ...],
    otherwise: str,
) -> Iterator[tuple[UnmetRequirement, str | None]]:
    """Yield each unmet requirement that no finding covers, with why it is harmless, or None if it is not."""
    causes = ("requirement_violated", "package_missing")
    reported = {root.diagnosis.package for root in found if root.diagnosis.cause in causes}
    for each in unmet:
        name = each.edge.name
        if name in reported or (name == "torch" and linkage.mismatched):
            continue
        if unmet_requirements.matters(each, environment):
            yield each, None
        elif name == "torch" and each.installed and linkage.checked:
            yield each, "the installed torch defines all symbols that compiled code needs"
        else:
            yield each, otherwise


def _python(environment: InspectedEnvironment) -> Iterator[Diagnosis]:
    """Yield a finding for each covered package that does not support this Python."""
    python = environment.markers["python_full_version"].removesuffix(
        "+"
    )  # `3.12.0+` is a build made after 3.12.0
    for package, version in environment.releases.items():
        distribution = environment.packages.distribution(package)
        metadata = distribution.metadata if distribution else None
        has_python = metadata is not None and "Requires-Python" in metadata
        wanted = str(metadata["Requires-Python"]) if metadata is not None and has_python else ""
        if not allows(python_specifier(wanted), python):
            evidence = (f"{package} {version} requires Python {wanted}, and this is Python {python}",)
            fix = Fix(kind="environment", text=f"Create an environment with Python {wanted}.")
            yield Diagnosis(
                cause="requirement_violated", package=package, version=version, evidence=evidence, fix=fix
            )


def _optional(root: RootCause) -> str:
    broken = [*root.modules, *root.stubs]
    return (
        f"{root.diagnosis.package} is not installed, and no package requires it; "
        f"without it these cannot be used: {listed(broken)}"
    )


def _distinct(findings: list[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Return the findings without duplicates: each cause of each distribution or symbol once."""
    found: dict[tuple[object, ...], Diagnosis] = {}
    for each in findings:
        key = (
            each.cause,
            each.package,
            each.module,
            each.symbol,
            *(each.evidence[:1] if not each.package or each.cause == "unknown" else ()),
        )
        found.setdefault(key, each)
    return tuple(found.values())
