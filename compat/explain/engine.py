"""`explain`, the function behind the command: it applies the rules to the failures of a log, in order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from compat._cli.text import counted
from compat.errors import UsageError
from compat.explain.context import RuleContext, in_installed_package
from compat.explain.log.import_messages import imported
from compat.explain.log.log_reader import LogContents, read
from compat.explain.log.model import ExceptionInfo, Failure
from compat.explain.lookup.installable import installable
from compat.explain.lookup.missing_symbol import locate
from compat.explain.lookup.release_lines import described, release_fits
from compat.explain.lookup.symbol_history import History
from compat.explain.rules import (
    attributes,
    call_arguments,
    environment,
    foreign_names,
    guarded_imports,
    incomplete_installs,
    missing_extensions,
    missing_names,
    missing_packages,
    package_messages,
    unexplained,
)
from compat.explain.rules.native import device_code, missing_libraries, undefined_symbols
from compat.explain.rules.versions import (
    command_options,
    companion_names,
    installer_refusals,
    model_types,
    resolver_conflicts,
    source_builds,
    third_party_names,
    third_party_objects,
    version_checks,
    violated_requirements,
)
from compat.index.extended import open_index
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM, parse_version
from compat.requirements.installed import InstalledEnvironment
from compat.source_outlines.reader import SourceOutlines, indexes


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReleases:
    """The releases of one package that the lines of a log fit."""

    package: str
    releases: tuple[str, ...]
    """Oldest first; empty if no release fits: a fork, a local build, or a newer release."""
    places: int
    """The number of frames and log lines that were compared."""
    unfitting: int
    """The number of frames that fit no release."""
    line: str
    """The same for people."""


Rule = Callable[[ExceptionInfo, RuleContext], Diagnosis | None]

RULES: tuple[Rule, ...] = (
    environment.shadowed,
    missing_extensions.kernels_not_loaded,
    missing_extensions.missing_extension,
    environment.circular,
    version_checks.stated_requirement,
    source_builds.on_windows,
    resolver_conflicts.unsolvable,
    installer_refusals.refused,
    model_types.unrecognized,
    model_types.unsupported,
    missing_packages.stated_package,
    version_checks.numpy,
    incomplete_installs.missing_file,
    incomplete_installs.other_copy,
    missing_names.missing_in_kernels,
    missing_names.missing_name,
    missing_names.unimported_submodule,
    call_arguments.call,
    command_options.option,
    undefined_symbols.undefined_symbol,
    missing_libraries.missing_library,
    device_code.device_code,
    missing_extensions.missing_operator,
    guarded_imports.unbound_name,
    guarded_imports.name_error,
    guarded_imports.placeholder,
    guarded_imports.removed_name,
    guarded_imports.wrong_advice,
    missing_packages.quantization_method,
    environment.no_gpu,
    violated_requirements.importing_package,
    missing_packages.package_missing,
    violated_requirements.python_too_old,
    violated_requirements.model_code,
    companion_names.in_other_releases,
    violated_requirements.attribute,
    violated_requirements.call,
    attributes.attribute,
    third_party_objects.attribute,
    third_party_objects.call,
    violated_requirements.hidden_import,
    violated_requirements.third_party_package,
    third_party_names.imported_by_a_release,
    missing_packages.advised,
)
"""All rules in the order of their application: the first that returns a diagnosis ends the search."""
LAST: tuple[Rule, ...] = (
    missing_names.truncated_traceback,
    environment.earlier_import_failed,
    missing_names.misspelt,
    missing_names.never_lacking,
    attributes.in_no_release,
    third_party_objects.listed,
    third_party_objects.named,
    foreign_names.foreign,
    command_options.option_of_others,
    package_messages.stated_by_package,
    third_party_objects.raised_inside,
)
"""Rules that are applied when `RULES` find no cause in the whole log."""
LAST_OF_LINES: tuple[Rule, ...] = (
    missing_names.misspelt,
    missing_names.never_lacking,
    missing_names.unplaced_name,
    attributes.in_no_release,
    third_party_objects.named,
    foreign_names.foreign,
    command_options.option_of_others,
    package_messages.stated_by_package,
)
"""Those of `LAST` that need no traceback."""
MOST = 60
"""Most failures of one log that are diagnosed."""
PRELIMINARY = ("package_missing", "missing_native_library", "no_gpu", "abi_mismatch", "requirement_violated")
"""Causes that end an import before Python looks up the requested name."""


def explain(
    text: str | Iterable[bytes],
    *,
    sglang: str | None = None,
    vllm: str | None = None,
    environment: InstalledEnvironment | None = None,
    index: Sequence[str] = (),
) -> tuple[Diagnosis, ...]:
    """Return the causes of the failures in a log, the root cause of the first failure first.

    The result is never empty: without a known cause it is one `unknown` diagnosis that quotes the log.

    Args:
        text: the log, or its bytes in chunks of any size.
        sglang: the release of sglang that wrote the log, if known.
        vllm: the release of vllm that wrote the log, if known.
        environment: the environment that may have written the log; see
            `compat.requirements.installed.read_environment`.
        index: further index files, with builds and commits that are no releases.

    Raises:
        UsageError: `sglang` or `vllm` is not a version.
    """
    given = {
        str(package): str(parse_version(version, f"--{package}"))
        for package, version in ((SGLANG, sglang), (VLLM, vllm))
        if version is not None
    }
    contents = read(text)
    return diagnose(RuleContext(contents, _history(tuple(index)), given, environment))


def which(text: str | Iterable[bytes]) -> tuple[FoundReleases, ...]:
    """Return the releases of each package that the lines of a log fit, by the outlines of the releases.

    Args:
        text: the log, or its bytes in chunks of any size.

    Raises:
        IntegrityError: the outlines are missing.
    """
    outlines = SourceOutlines()
    fits = release_fits(read(text), _history().index, outlines)
    return tuple(
        FoundReleases(
            package=package,
            releases=tuple(outlines.versions(package)[at] for at in indexes(each.releases)),
            places=each.places,
            unfitting=each.unfitting,
            line=described(each, outlines),
        )
        for package, each in fits.items()
    )


def diagnose(context: RuleContext) -> tuple[Diagnosis, ...]:
    """Return the causes of all failures in a log; error lines count only if no traceback has a cause."""
    contents = context.contents
    # A warning about a guarded import did not end a run that left a traceback. It counts only when all
    # tracebacks are truncated and no other line has a cause.
    others = [each for each in contents.mentions if not contents.failures or not _guarded(each)]
    whole = any(failure.chain[-1].kind for failure in contents.failures)
    warned = [] if whole else contents.mentions
    stages: tuple[tuple[list[Failure], tuple[Rule, ...]], ...] = (
        (contents.failures, RULES),
        (others, RULES),
        (warned, RULES),
        (contents.failures, LAST),
        (contents.mentions, LAST_OF_LINES),
    )
    for failures, rules in stages:
        found = _distinct(
            each for failure in _some(failures) for each in _of_failure(failure, context, rules)
        )
        if found:
            return tuple(_with_releases(installable(each, context), context) for each in found)
    told = (
        unexplained.unexplained(each, context)
        for failure in _some([*contents.failures, *contents.mentions])
        for each in failure.chain
    )
    first = next((each for each in told if each is not None), None)
    return (_with_releases(first or unknown(contents), context),)


def _with_releases(diagnosis: Diagnosis, context: RuleContext) -> Diagnosis:
    """Return a diagnosis with the releases that the lines of the log fit, where these are not one release."""
    packages = (diagnosis.package,) if diagnosis.package in (SGLANG, VLLM) else (SGLANG, VLLM)
    lines = [
        line
        for package in packages
        if package and context.known(package) is None and (line := context.fit_line(package))
    ]
    return replace(diagnosis, evidence=(*diagnosis.evidence, *lines)) if lines else diagnosis


_NO_ERROR = "No error was found: pass the whole log of the failed run, with its standard error (2>&1)."


def unknown(contents: LogContents) -> Diagnosis:
    """Return the `unknown` diagnosis of a log: the last error lines and how much was read."""
    failures = contents.failures or contents.mentions
    lines = [exception.line for failure in failures[-3:] for exception in failure.chain[:2] if exception.line]
    evidence = lines or ([contents.last] if contents.last else [])
    tracebacks, others = len(contents.failures), len(contents.mentions)
    read_ = (
        counted(contents.lines, "line"),
        counted(tracebacks, "traceback"),
        counted(others, "other error line"),
    )
    return Diagnosis(
        cause="unknown",
        evidence=(*evidence, f"read: {', '.join(read_)}"),
        fix=Fix(kind="none", text="No rule covers this failure." if failures else _NO_ERROR),
    )


def _of_failure(failure: Failure, context: RuleContext, rules: tuple[Rule, ...]) -> Iterator[Diagnosis]:
    """Yield the cause of a failure: of its earliest exception that a rule covers."""
    for exception in failure.chain:
        for rule in rules:
            found = rule(exception, context)
            if found is not None:
                yield found
                yield from _asked_first(failure.chain[-1], found, context)
                return


def _asked_first(exception: ExceptionInfo, found: Diagnosis, context: RuleContext) -> Iterator[Diagnosis]:
    """Yield what is also wrong with the user's import, which failed too early to report it."""
    users = (
        frame
        for frame in exception.frames
        if not in_installed_package(frame) and context.module(frame) is None
    )
    own = next((frame for frame in users if imported(frame.source)), None)
    asked = imported(own.source) if own is not None else None
    if asked is None or own is exception.frames[-1] or found.cause not in PRELIMINARY:
        return
    package = context.owner(asked.module)
    if package is None or context.release_index(package) is None:
        return  # the release is a guess, so the name may exist in the real one
    for name in asked.names or ("",):
        line = f"the import that led here also fails: `{own.source}`" if own else ""
        other = locate(context, package, asked.module, name, evidence=(line,))
        if other is not None:
            yield other


def _guarded(mention: Failure) -> bool:
    return any("Failed to import" in exception.text for exception in mention.chain)


def _some(failures: list[Failure]) -> list[Failure]:
    """Return the failures to diagnose: all, or the first and the last of very many."""
    return failures if len(failures) <= MOST else [*failures[: MOST // 2], *failures[-MOST // 2 :]]


def _distinct(found: Iterable[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Return the diagnoses without duplicates: each cause of each symbol once."""
    kept: dict[tuple[str | None, ...], Diagnosis] = {}
    for each in found:
        evidence = tuple(dict.fromkeys(each.evidence))  # two rules may quote the same line
        kept.setdefault(
            (each.cause, each.package, each.module, each.symbol), replace(each, evidence=evidence)
        )
    return tuple(kept.values())


@lru_cache(maxsize=1)
def _history(files: tuple[str, ...] = ()) -> History:
    return History(open_index(files))


__all__ = ["UsageError", "diagnose", "explain", "unknown", "which"]
