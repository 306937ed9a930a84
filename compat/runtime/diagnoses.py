"""Diagnoses for `load`: why the installed release has no real object for a query."""

import traceback
from dataclasses import dataclass, replace
from functools import cache

from packaging.version import Version

from compat.errors import SymbolUnavailable
from compat.explain.engine import explain
from compat.index.query.name_resolution import NameResolver
from compat.index.query.stubs import lacking
from compat.index.reader import Index
from compat.index.records import Successor
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES
from compat.model.symbols import import_statement, location
from compat.probe import probe
from compat.requirements.installed import InstalledEnvironment, read_environment
from compat.resolve.canonical import nearness
from compat.resolve.query import Query
from compat.resolve.search import Found
from compat.resolve.suggestions import hint

Location = tuple[str, str]
"""Module and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDistribution:
    """An installed distribution in which `load` looks for a symbol."""

    resolver: NameResolver
    package: str

    @property
    def version(self) -> str:
        """The installed version."""
        return self.resolver.index.versions(self.package)[
            self.resolver.environment.release_indexes[self.package]
        ]

    def __str__(self) -> str:
        return f"{self.package} {self.version}"

    def diagnosis(self, cause: Cause, place: Location, evidence: list[str], fix: Fix) -> Diagnosis:
        """Return a diagnosis with this distribution as its package."""
        return Diagnosis(
            cause=cause,
            package=self.package,
            version=self.version,
            module=place[0] or None,
            symbol=place[1] or None,
            evidence=tuple(evidence),
            fix=fix,
        )


def as_error(diagnosis: Diagnosis) -> SymbolUnavailable:
    """Return the error for a diagnosis; its message is the first line of evidence and the fix."""
    return SymbolUnavailable(f"{diagnosis.evidence[0]}. {diagnosis.fix.text}", diagnosis)


def not_installed(package: str, text: str) -> Diagnosis:
    """Return the diagnosis for a query that needs a package which is not installed."""
    return Diagnosis(
        cause="package_missing",
        package=package,
        evidence=(f"{text}: {package} is not installed in this interpreter",),
        fix=of_missing_package(IMPORT_NAMES[package], _environment()).fix,
    )


def not_found(shipped: Index, subject: AskedDistribution, query: Query, found: Found) -> Diagnosis:
    """Return the diagnosis for a name that has no real object in the installed release.

    Args:
        shipped: the shipped index, for the history of the name.
        subject: the installed distribution that was searched.
        query: the query.
        found: the result of the search.
    """
    place = found.binding
    if place is not None and place.answer.status == "placeholder":
        answer = place.answer
        return is_stub(subject, (place.module, place.name), "a stub", answer.guard, answer.reason)
    if found.successor is not None:
        return _has_successor(subject, query, found.successor)
    return _absent(shipped, subject, query)


def is_stub(
    subject: AskedDistribution,
    place: Location,
    what: str,
    guard: str | None = None,
    reason: str | None = None,
) -> Diagnosis:
    """Return the diagnosis for a symbol that is bound to a stub, described by `what` and `reason`."""
    absent = lacking(subject.resolver, *place)
    listed = " and ".join(absent)
    fix = Fix(kind="none", text="Find out why the import of the real object fails.")
    if absent:
        fix = of_missing_package(absent[0], _environment()).fix
    elif reason is not None:
        fix = Fix(kind="none", text="Use what its error message names instead.")
    evidence = [f"{location(*place)} is {what} in {subject}, not the real object"]
    evidence += [f"bound in the branch “{guard}”"] if guard else []
    evidence += [reason] if reason else []
    evidence += [f"{listed} cannot be imported here"] if absent else []
    return subject.diagnosis("placeholder", place, evidence, fix)


def import_failed(subject: AskedDistribution, place: Location, error: BaseException) -> Diagnosis:
    """Return the diagnosis for an import that raised an exception: its root cause, or `unknown`."""
    description = probe.described(error)
    where = (
        f" ({description['where']})"
        if description["where"] and not description["where"].startswith("compat/")
        else ""
    )
    seen = f"{import_statement(*place)} failed: {description['text']}{where}"
    cause = of_error(error, _environment())
    if cause is not None:
        return replace(cause, evidence=(seen, *cause.evidence))
    text = "See the exception that caused this one."
    top = place[0].partition(".")[0]
    if follows_failed_import(top, error):
        text = f"An earlier import of {top} in this process failed: find out why."
    fix = Fix(kind="none", text=text)
    return subject.diagnosis("unknown", place, [seen], fix)


def follows_failed_import(top: str, error: BaseException) -> bool:
    """Return whether an import failed because an earlier import of its package failed in this process.

    Python removes only the package itself from `sys.modules` and keeps its submodules; namespace packages
    below it then raise a KeyError.
    """
    return isinstance(error, KeyError) and error.args == (top,)


def _has_successor(subject: AskedDistribution, query: Query, successor: Successor) -> Diagnosis:
    statement = import_statement(successor.module, successor.name)
    asked = query.name.rpartition(".")[2] or query.text
    if not successor.name:
        cause: Cause = "module_moved"
    else:
        cause = "symbol_moved" if successor.name == asked else "symbol_renamed"
    place = f"{location(successor.module, successor.name)} ({successor.confidence:.2f})"
    evidence = [f"{subject} has no {query.text}", f"{place}: {successor.evidence}{successor.doubt}"]
    text = f"Use its likely successor: {statement}"
    fix = Fix(kind="edit", text=text, statement=statement, safety=successor.safety)
    return subject.diagnosis(cause, (successor.module, successor.name), evidence, fix)


def _absent(shipped: Index, subject: AskedDistribution, query: Query) -> Diagnosis:
    """Return the diagnosis for a name without a successor: removed, not added yet, or never existing."""
    module, _, name = (query.name if query.dotted else f"{query.module or ''}.{query.name}").rpartition(".")
    versions = shipped.versions(subject.package)
    having = [version for at, version in enumerate(versions) if shipped.binders(name, subject.package, at)]
    package, installed = subject.package, subject.version
    before = [version for version in having if Version(version) < Version(installed)]
    after = [version for version in having if Version(version) > Version(installed)]
    evidence = [f"{subject} has no {query.text}"]
    elsewhere = subject.resolver.index.binders(
        name, package, subject.resolver.environment.release_indexes[package]
    )
    if elsewhere:  # the search skipped these modules because they cannot be imported here
        nearest = min(elsewhere, key=nearness)
        problem = subject.resolver.problem(nearest)
        evidence += [f"{location(nearest, name)} cannot be imported here: {problem}"] if problem else []
        statement = import_statement(nearest, name)
        fix = Fix(kind="edit", text=f"Import it from another module: {statement}", statement=statement)
        return subject.diagnosis("symbol_moved", (module, name), evidence, fix)
    if before:
        until = f" to {before[-1]}" if len(before) > 1 else ""
        evidence.append(f"{name} was in {package} {before[0]}{until}")
        fix = Fix(kind="none", text=f"It was removed after {before[-1]}, and no successor is known.")
        return subject.diagnosis("symbol_removed", (module, name), evidence, fix)
    if after:
        text = f"Install {package} {after[0]}, the first release that has it."
        fix = Fix(kind="install", text=text, command=f"pip install {package}=={after[0]}")
        return subject.diagnosis("not_yet_added", (module, name), evidence, fix)
    meant = hint(name) or "check the spelling"
    fix = Fix(kind="none", text=f"No release has this name: {meant}.")
    return subject.diagnosis("unknown", (module, name), evidence, fix)


@cache
def _environment() -> InstalledEnvironment:
    """Return the environment of this interpreter."""
    return read_environment()


def of_error(error: BaseException, environment: InstalledEnvironment) -> Diagnosis | None:
    """Return the root cause of an exception, or None if it is unknown."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    found = explain("".join(lines), environment=environment)
    return next((each for each in found if each.cause != "unknown"), None)


def of_missing_package(top: str, environment: InstalledEnvironment) -> Diagnosis:
    """Return the diagnosis for a top-level name that cannot be imported, with the package to install."""
    (found, *_) = explain(f"ModuleNotFoundError: No module named {top!r}", environment=environment)
    return found
