"""`explain` for programs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from compat.errors import UsageError
from compat.explain.context import RuleContext, foreign
from compat.explain.log.import_messages import imported
from compat.explain.log.log_reader import LogContents, read
from compat.explain.log.model import ExceptionInfo, Failure
from compat.explain.lookup.missing_symbol import locate
from compat.explain.lookup.symbol_history import History
from compat.explain.rules import (
    call_arguments,
    environment,
    guarded_imports,
    missing_extensions,
    missing_names,
    missing_packages,
    native_code,
    resolver_conflicts,
    third_party_names,
    version_checks,
    violated_requirements,
)
from compat.index.reader import Index
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM, parse_version
from compat.requirements.installed import InstalledEnvironment

Rule = Callable[[ExceptionInfo, RuleContext], Diagnosis | None]

RULES: tuple[Rule, ...] = (
    environment.shadowed,
    missing_extensions.unbuilt,
    environment.circular,
    version_checks.said,
    resolver_conflicts.unsolvable,
    missing_packages.told,
    version_checks.numpy,
    missing_names.missing_in_kernels,
    missing_names.missing_name,
    missing_names.unloaded,
    call_arguments.call,
    call_arguments.option,
    native_code.undefined_symbol,
    native_code.missing_library,
    native_code.device_code,
    missing_extensions.missing_operator,
    guarded_imports.conditional,
    guarded_imports.undefined,
    guarded_imports.placeholder,
    guarded_imports.by_name,
    guarded_imports.lying_advice,
    missing_packages.quantization_method,
    environment.no_gpu,
    violated_requirements.importer,
    missing_packages.package_missing,
    violated_requirements.python,
    violated_requirements.third_party,
    third_party_names.asked_by_a_release,
    missing_packages.advised,
)
"""In the order in which they are asked: the first that knows the cause ends the search."""
LAST: tuple[Rule, ...] = (missing_names.broken_off, environment.left_behind, missing_names.misspelt)
"""Asked when no line of the log tells anything to the others."""
MOST = 60
"""Failures of one log that are looked into."""
PRELIMINARY = ("package_missing", "missing_native_library", "no_gpu", "abi_mismatch", "requirement_violated")
"""Causes that end an import before it comes to the name that was asked for."""


def explain(
    text: str | Iterable[bytes],
    *,
    sglang: str | None = None,
    vllm: str | None = None,
    environment: InstalledEnvironment | None = None,
) -> tuple[Diagnosis, ...]:
    """Return the causes of the failures in a traceback or log, the root cause of the first failure first.

    There is always one: a failure of which nothing is known is `unknown`, with what was read as evidence.

    Args:
        text: the log, or its bytes in pieces of any size.
        sglang: the release in use, when it is known.
        vllm: likewise.
        environment: what is installed where the log comes from; see
            `compat.requirements.installed.read_environment`.

    Raises:
        UsageError: a version that is none.
    """
    given = {
        str(package): str(parse_version(version, f"--{package}"))
        for package, version in ((SGLANG, sglang), (VLLM, vllm))
        if version is not None
    }
    contents = read(text)
    return diagnose(RuleContext(contents, _history(), given, environment))


def diagnose(context: RuleContext) -> tuple[Diagnosis, ...]:
    """Return the causes of all failures of a case; lines without a traceback count when nothing else does."""
    contents = context.contents
    # With a traceback at hand, a warning about an import that was guarded is not what ended the run, unless
    # all tracebacks have lost their ends and nothing else tells.
    others = [each for each in contents.mentions if not contents.failures or not _guarded(each)]
    whole = any(failure.chain[-1].kind for failure in contents.failures)
    warned = [] if whole else contents.mentions
    stages = (contents.failures, RULES), (others, RULES), (warned, RULES), (contents.failures, LAST)
    for failures, rules in stages:
        found = _distinct(
            each for failure in _some(failures) for each in _of_failure(failure, context, rules)
        )
        if found:
            return found
    return (unknown(contents),)


def unknown(contents: LogContents) -> Diagnosis:
    """Return the diagnosis of a log of which no rule knows the cause: what was read, and nothing else."""
    failures = contents.failures or contents.mentions
    lines = [exception.line for failure in failures[-3:] for exception in failure.chain[:2] if exception.line]
    evidence = lines or ([contents.last] if contents.last else [])
    tracebacks, others = len(contents.failures), len(contents.mentions)
    said = f"{contents.lines} lines, {tracebacks} tracebacks, {others} other error lines"
    return Diagnosis(
        cause="unknown",
        evidence=(*evidence, f"read: {said}"),
        fix=Fix(kind="none", text="No rule knows this failure."),
    )


def _of_failure(failure: Failure, context: RuleContext, rules: tuple[Rule, ...]) -> Iterator[Diagnosis]:
    """Yield the cause of a failure: what is known of its earliest exception, else of the next one."""
    for exception in failure.chain:
        for rule in rules:
            found = rule(exception, context)
            if found is not None:
                yield found
                yield from _asked_first(failure.chain[-1], found, context)
                return


def _asked_first(exception: ExceptionInfo, found: Diagnosis, context: RuleContext) -> Iterator[Diagnosis]:
    """Yield what else is wrong with the user's own import, which failed before it came to that."""
    users = (frame for frame in exception.frames if not foreign(frame) and context.module(frame) is None)
    own = next((frame for frame in users if imported(frame.source)), None)
    asked = imported(own.source) if own is not None else None
    if asked is None or own is exception.frames[-1] or found.cause not in PRELIMINARY:
        return
    package = context.owner(asked.module)
    if package is None or context.release_index(package) is None:
        return  # of a release that is only assumed, nothing is known to be wrong
    for name in asked.names or ("",):
        line = f"asked for in the first place: `{own.source}`" if own else ""
        other = locate(context, package, asked.module, name, evidence=(line,))
        if other is not None:
            yield other


def _guarded(mention: Failure) -> bool:
    return any("Failed to import" in exception.text for exception in mention.chain)


def _some(failures: list[Failure]) -> list[Failure]:
    """Return the failures to look into: all, or the first and the last of very many."""
    return failures if len(failures) <= MOST else [*failures[: MOST // 2], *failures[-MOST // 2 :]]


def _distinct(found: Iterable[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Return the diagnoses, each cause of each thing once."""
    kept: dict[tuple[str | None, ...], Diagnosis] = {}
    for each in found:
        evidence = tuple(dict.fromkeys(each.evidence))  # a line may be read as two things
        kept.setdefault(
            (each.cause, each.package, each.module, each.symbol), replace(each, evidence=evidence)
        )
    return tuple(kept.values())


@lru_cache(maxsize=1)
def _history() -> History:
    return History(Index())


__all__ = ["UsageError", "diagnose", "explain", "unknown"]
