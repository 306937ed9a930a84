"""The whole examination: what is looked at, in which order, and what counts as a finding."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from compat import errors
from compat._cli.progress import Progress
from compat._cli.text import listed
from compat.doctor import duplicates, gpu_driver, unmet_requirements
from compat.doctor.imports import ImportResults, look, resolver_of
from compat.doctor.inspected_environment import InspectedEnvironment, examine
from compat.doctor.native import gpu_code
from compat.doctor.native.linkage import Native, native
from compat.doctor.root_causes import Root, is_optional, roots
from compat.doctor.survey_runner import Asker
from compat.doctor.unmet_requirements import Violation
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import allows


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """What the command line asks for."""

    python: Path
    folder: Path
    """The current folder of a program."""
    timeout: float
    """Seconds without progress after which a child hangs."""
    imports: bool = True
    """Whether to import the quantization modules."""
    gpu: bool = False
    """Whether it is a finding that there is no GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """What the examination found."""

    environment: InspectedEnvironment
    findings: tuple[Diagnosis, ...]
    notes: tuple[str, ...]
    native: Native
    import_results: ImportResults | None


def check(options: DoctorOptions, scratch: Path, progress: Progress) -> DoctorReport:
    """Examine an environment.

    Args:
        options: what to examine, and how.
        scratch: an existing, private folder.
        progress: told of every module that has been imported.

    Raises:
        PreparationError: the interpreter does not answer.
        NothingSelectedError: neither package is installed there.
    """
    asker = Asker(python=options.python, folder=scratch, timeout=options.timeout)
    environment = examine(asker, options.folder)
    if not environment.releases:
        raise errors.NothingSelectedError(
            f"{options.python}: neither sglang nor vllm is installed there; give --python another Python"
        )
    compiled = native(environment, asker)
    unmet = unmet_requirements.violations(environment)
    findings = [
        *duplicates.leftovers(environment),
        *_python(environment),
        *gpu_driver.gpu(environment, wanted=options.gpu),
    ]
    runs = gpu_code.kernels(environment)
    findings += [*compiled.findings, *runs.findings]
    notes = [*compiled.notes, *runs.notes, *duplicates.hidden_versions(environment)]
    results: ImportResults | None = None
    found: tuple[Root, ...] = ()
    if options.imports:
        try:
            results = look(environment, resolver_of(environment, scratch), scratch, options.timeout, progress)
        except (errors.IntegrityError, errors.PreparationError) as error:
            notes.append(f"nothing was imported: {error}")
        else:
            found = roots(environment, results, unmet)
            asked = unmet_requirements.asked(environment)
            findings += [root.finding() for root in found if not is_optional(root, asked)]
            notes += [_optional(root) for root in found if is_optional(root, asked)]
            notes += _remarks(results)
    weighed = _weighed(environment, unmet, compiled, found, _unweighed(results))
    for violation, why in weighed:
        if why is None:
            findings.append(violation.diagnosis())
        else:
            notes.append(f"{violation}; {why}")
    return DoctorReport(
        environment=environment,
        findings=_distinct(findings),
        notes=tuple(dict.fromkeys(notes)),
        native=compiled,
        import_results=results,
    )


def _remarks(results: ImportResults) -> Iterator[str]:
    """Yield what is to be said of modules that neither imported by themselves nor count as failed."""
    if results.unsure:
        names = [fact.module for fact in results.unsure]
        yield f"{len(names)} more modules failed after these, and were not tried alone: {listed(names)}"
    for fact in results.late:
        yield f"{fact.module} can be imported after others only: {fact.error}"


def _unweighed(results: ImportResults | None) -> str:
    """Return what is said of a requirement that no import stumbles over."""
    if results is None:
        return "whether it matters, importing would tell"
    if results.modules and len(results.failed) + len(results.unsure) == results.modules:
        return "no import comes so far as to tell whether it matters"
    return "no import stumbles over it"


def _weighed(
    environment: InspectedEnvironment,
    unmet: tuple[Violation, ...],
    compiled: Native,
    found: tuple[Root, ...],
    otherwise: str,
) -> Iterator[tuple[Violation, str | None]]:
    """Yield the violations that are not told yet, each with why it does not matter, or None when it does."""
    causes = ("requirement_violated", "package_missing")
    told = {root.diagnosis.package for root in found if root.diagnosis.cause in causes}
    for violation in unmet:
        if violation.name in told or (violation.name == "torch" and compiled.mismatched):
            continue
        if unmet_requirements.matters(violation, environment):
            yield violation, None
        elif violation.name == "torch" and violation.installed and compiled.checked:
            yield violation, "all symbols of torch that compiled code needs are there"
        else:
            yield violation, otherwise


def _python(environment: InspectedEnvironment) -> Iterator[Diagnosis]:
    """Yield the covered packages that do not support this Python."""
    python = environment.markers["python_full_version"].removesuffix("+")  # a build after that version
    for package, version in environment.releases.items():
        distribution = environment.packages.distribution(package)
        metadata = distribution.metadata if distribution else None
        told = metadata is not None and "Requires-Python" in metadata
        wanted = str(metadata["Requires-Python"]) if metadata is not None and told else ""
        try:
            supported = allows(SpecifierSet(wanted), python)
        except InvalidSpecifier:
            continue
        if not supported:
            evidence = (f"{package} {version} requires Python {wanted}, this is Python {python}",)
            fix = Fix(kind="environment", text=f"make an environment with Python {wanted}")
            yield Diagnosis(
                cause="requirement_violated", package=package, version=version, evidence=evidence, fix=fix
            )


def _optional(root: Root) -> str:
    broken = [*root.modules, *root.stubs]
    return f"{root.diagnosis.package} is not installed, and nothing asks for it; without it: {listed(broken)}"


def _distinct(findings: list[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Return the findings; what two checks found of one distribution with one cause is told once."""
    found: dict[tuple[object, ...], Diagnosis] = {}
    for each in findings:
        key = (
            each.cause,
            each.package,
            each.module,
            each.symbol,
            *(each.evidence[:1] if not each.package else ()),
        )
        found.setdefault(key, each)
    return tuple(found.values())
