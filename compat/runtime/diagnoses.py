"""Why `load` gives nothing, as a diagnosis: from the index's history, and from what was seen."""

import traceback
from dataclasses import dataclass, replace
from functools import cache

from packaging.version import Version

from compat.errors import SymbolUnavailable
from compat.explain.engine import explain
from compat.index.query.name_resolution import NameResolver
from compat.index.query.stubs import lacking
from compat.index.reader import Index
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES
from compat.model.symbols import import_statement, location
from compat.probe import probe
from compat.requirements.installed import InstalledEnvironment, read_environment
from compat.resolve.canonical import nearness
from compat.resolve.query import Query
from compat.resolve.search import Found, Replacement
from compat.resolve.suggestions import hint

Location = tuple[str, str]
"""Module and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDistribution:
    """The installed distribution that was asked."""

    resolver: NameResolver
    package: str

    @property
    def version(self) -> str:
        """Its version."""
        return self.resolver.index.versions(self.package)[
            self.resolver.environment.release_indexes[self.package]
        ]

    def __str__(self) -> str:
        return f"{self.package} {self.version}"

    def diagnosis(self, cause: Cause, place: Location, evidence: list[str], fix: Fix) -> Diagnosis:
        """Return a diagnosis that lies in it."""
        return Diagnosis(
            cause=cause,
            package=self.package,
            version=self.version,
            module=place[0] or None,
            symbol=place[1] or None,
            evidence=tuple(evidence),
            fix=fix,
        )


def refused(diagnosis: Diagnosis) -> SymbolUnavailable:
    """Return the error for a diagnosis; its message is what was seen first, and the fix."""
    return SymbolUnavailable(f"{diagnosis.evidence[0]}; {diagnosis.fix.text}", diagnosis)


def not_installed(package: str, text: str) -> Diagnosis:
    """Return the diagnosis for a package that this interpreter does not have, and that `text` asks for."""
    return Diagnosis(
        cause="package_missing",
        package=package,
        evidence=(f"{text}: {package} is not installed in this interpreter",),
        fix=of_absence(IMPORT_NAMES[package], _environment()).fix,
    )


def not_found(shipped: Index, subject: AskedDistribution, query: Query, found: Found) -> Diagnosis:
    """Return the diagnosis for a name of which the installed release has no real object.

    Args:
        shipped: the index of the published releases: it knows the history.
        subject: the installed distribution that was searched.
        query: what was asked for.
        found: what the search found.
    """
    place = found.place
    if place is not None and place.answer.status == "placeholder":
        return stood_in(subject, (place.module, place.name), "a stub", place.answer.guard)
    if found.replacement is not None:
        return _succeeded(subject, query, found.replacement)
    return _absent(shipped, subject, query)


def stood_in(subject: AskedDistribution, place: Location, what: str, guard: str | None = None) -> Diagnosis:
    """Return the diagnosis for a symbol that is `what` instead of the real thing."""
    absent = lacking(subject.resolver, *place)
    listed = " and ".join(absent)
    fix = Fix(kind="none", text="find out why the import that it stands in for fails")
    if absent:
        fix = of_absence(absent[0], _environment()).fix
    evidence = [f"{location(*place)} is {what} in {subject}, not the real thing"]
    evidence += [f"bound {guard}"] if guard else []
    evidence += [f"{listed} cannot be imported here"] if absent else []
    return subject.diagnosis("placeholder", place, evidence, fix)


def failed(subject: AskedDistribution, place: Location, error: BaseException) -> Diagnosis:
    """Return the diagnosis for an import that raised: its root cause where that is known, else `unknown`."""
    told = probe.described(error)
    where = f" ({told['where']})" if told["where"] and not told["where"].startswith("compat/") else ""
    seen = f"{import_statement(*place)} failed: {told['text']}{where}"
    cause = of_error(error, _environment())
    if cause is not None:
        return replace(cause, evidence=(seen, *cause.evidence))
    text = "see the exception that this one was raised from"
    top = place[0].partition(".")[0]
    if left_behind(top, error):
        text = f"an earlier import of {top} in this process has failed: see what that said"
    fix = Fix(kind="none", text=text)
    return subject.diagnosis("unknown", place, [seen], fix)


def left_behind(top: str, error: BaseException) -> bool:
    """Return whether an import stumbled over what an earlier, failed import of its package left behind.

    Python takes the package out of `sys.modules` and leaves what is inside; namespace packages then miss it.
    """
    return isinstance(error, KeyError) and error.args == (top,)


def _succeeded(subject: AskedDistribution, query: Query, successor: Replacement) -> Diagnosis:
    statement = import_statement(successor.module, successor.name)
    asked = query.name.rpartition(".")[2] or query.text
    if not successor.name:
        cause: Cause = "module_moved"
    else:
        cause = "symbol_moved" if successor.name == asked else "symbol_renamed"
    evidence = [
        f"{subject} has no {query.text}",
        f"{location(successor.module, successor.name)} ({successor.confidence:.2f}): {successor.evidence}",
    ]
    fix = Fix(kind="edit", text=f"its likely successor: {statement}", statement=statement)
    return subject.diagnosis(cause, (successor.module, successor.name), evidence, fix)


def _absent(shipped: Index, subject: AskedDistribution, query: Query) -> Diagnosis:
    """Return the diagnosis for a name without successor: it was removed, is still to come, or never was."""
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
    if elsewhere:  # the search has passed over it, since nothing is to be had from there as things are
        nearest = min(elsewhere, key=nearness)
        problem = subject.resolver.problem(nearest)
        evidence += [f"{location(nearest, name)} cannot be imported here: {problem}"] if problem else []
        statement = import_statement(nearest, name)
        fix = Fix(kind="edit", text=f"it is elsewhere: {statement}", statement=statement)
        return subject.diagnosis("symbol_moved", (module, name), evidence, fix)
    if before:
        until = f" to {before[-1]}" if len(before) > 1 else ""
        evidence.append(f"{name} was in {package} {before[0]}{until}")
        fix = Fix(kind="none", text=f"it was removed after {before[-1]}, and no successor is known")
        return subject.diagnosis("symbol_removed", (module, name), evidence, fix)
    if after:
        text = f"it came with {package} {after[0]}"
        fix = Fix(kind="install", text=text, command=f"pip install {package}=={after[0]}")
        return subject.diagnosis("not_yet_added", (module, name), evidence, fix)
    meant = hint(name) or "see how it is written"
    fix = Fix(kind="none", text=f"no release has this name; {meant}")
    return subject.diagnosis("unknown", (module, name), evidence, fix)


@cache
def _environment() -> InstalledEnvironment:
    """Return what is installed here."""
    return read_environment()


def of_error(error: BaseException, environment: InstalledEnvironment) -> Diagnosis | None:
    """Return the root cause of an exception, or None when nothing is known of it."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    found = explain("".join(lines), environment=environment)
    return next((each for each in found if each.cause != "unknown"), None)


def of_absence(top: str, environment: InstalledEnvironment) -> Diagnosis:
    """Return what is to be said when a top-level name cannot be imported, and above all what to install."""
    (found, *_) = explain(f"ModuleNotFoundError: No module named {top!r}", environment=environment)
    return found
