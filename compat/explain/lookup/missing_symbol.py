"""Diagnose a location that a release lacks: its successor, or a release that has it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import Version

from compat.explain.context import RuleContext
from compat.explain.lookup.importers import first_without_import, possible_releases
from compat.explain.lookup.symbol_history import Flags
from compat.index.records import Successor
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import KERNELS, SGLANG, VLLM
from compat.model.symbols import UNUSABLE, import_statement, location
from compat.resolve.query import Query
from compat.resolve.search import find, find_name

_VENDORED = re.compile(r"\.(?:third_party|tests?|benchmarks?|examples?)(?:\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A location that a release lacks."""

    context: RuleContext
    package: str
    module: str
    name: str
    """Empty for the module itself."""
    release_index: int
    """The release_index of the release."""
    assumed: bool
    """Whether the release is unknown, and the newest that is consistent with the log is assumed."""
    successor: Successor | None

    @property
    def versions(self) -> tuple[str, ...]:
        """All indexed versions of the package, oldest first."""
        return self.context.index.versions(self.package)

    @property
    def flags(self) -> Flags:
        """For each version, whether it has the location."""
        return self.context.history.flags(self.package, self.module, self.name)

    @property
    def module_flags(self) -> Flags:
        """For each version, whether it has the module."""
        return self.context.history.flags(self.package, self.module, "")


def locate(
    context: RuleContext,
    package: str,
    module: str,
    name: str,
    *,
    evidence: tuple[str, ...] = (),
    importer: str = "",
    within: str = "",
    certain: bool = True,
) -> Diagnosis | None:
    """Return the diagnosis of a location that its release lacks, or None if the release has it.

    Args:
        context: the log and what is known about it.
        package: the package that provides the module.
        module: the module of the location.
        name: the name in the module; empty for the module itself.
        evidence: lines to put before the evidence of this function.
        importer: the distribution that imports the location, if the user cannot edit the import.
        within: a module that the import found: an assumed release must have it.
        certain: whether the log proves that the location is missing; if not, an assumed release must have
            all modules of the tracebacks and lack the location.
    """
    missing = _missing(context, package, module, name, within=within, certain=certain)
    cause = None if missing is None else _cause(missing)
    if missing is None or cause is None:
        return None
    return Diagnosis(
        cause=cause,
        package=package,
        version=None if missing.assumed else missing.versions[missing.release_index],
        module=module,
        symbol=name or None,
        evidence=(*evidence, *_evidence(missing)),
        fix=_fix(missing, importer),
    )


def _missing(
    context: RuleContext, package: str, module: str, name: str, *, within: str, certain: bool
) -> Missing | None:
    at = context.release_index(package)
    if (
        at is not None
        and context.is_only_claimed(package)
        and context.history.flags(package, module, name)[at]
    ):
        at = None  # that release has the location, so the prose is about another one
    if at is None and package in KERNELS and not context.known(package):
        pinned = context.release_indexes.get(package)  # the kernels that the sglang release pins
        at = None if pinned is None or context.history.flags(package, module, name)[pinned] else pinned
    assumed = at is None
    if at is None:
        lacking = [not there for there in context.history.flags(package, module, name)]
        found = context.history.flags(package, within, "") if within else ()
        if any(found):
            lacking = [without and there for without, there in zip(lacking, found, strict=True)]
        at = _assumed(context, package, lacking, certain=certain)
        if at is None:
            return None
    resolver = context.history.resolver(package, at)
    if resolver.answer(module, name).status != "missing":
        return None
    query = Query(text=location(module, name), module=module, name=name)
    successor = None
    if name or not context.is_extension(module, package, None):  # no Python module replaces an extension
        successor = find(resolver, package, query).successor
        if successor is not None and name and not _same_kind(context, package, (module, name), successor, at):
            successor = None  # it only has the same name
        if successor is not None and name and not any(context.history.flags(package, module, name)):
            successor = _longest_there(context, package, name, successor, at)
        successor = successor or _elsewhere(context, package, module, name)
    return Missing(
        context=context,
        package=package,
        module=module,
        name=name,
        release_index=at,
        assumed=assumed,
        successor=successor,
    )


def _assumed(context: RuleContext, package: str, lacking: Flags, *, certain: bool) -> int | None:
    """Return the newest release that lacks a location, preferably one with all modules of the tracebacks."""
    missing = [at for at in context.candidate_releases(package) if lacking[at]]
    if not missing and certain:
        missing = [at for at, without in enumerate(lacking) if without]
    finals = [at for at in missing if not Version(context.index.versions(package)[at]).is_prerelease]
    return max(finals or missing, default=None)


def _same_kind(
    context: RuleContext, package: str, what: tuple[str, str], successor: Successor, at: int
) -> bool:
    """Return whether a successor may be the object: not a function for a class, nor vendored code."""
    if _VENDORED.search(successor.module) and not _VENDORED.search(what[0]):
        return False
    flags = context.history.flags(package, *what)
    nearest = next((place for place in range(at, -1, -1) if flags[place]), None)
    if nearest is None:
        return True
    kinds = [
        {each.kind for each in context.index.branches(*place, package, release) if each.kind}
        for place, release in ((what, nearest), ((successor.module, successor.name), at))
    ]
    return not kinds[0] or not kinds[1] or bool(kinds[0] & kinds[1])


def _longest_there(context: RuleContext, package: str, name: str, successor: Successor, at: int) -> Successor:
    """Return a successor, or the object of its name that more releases have: code that lacks it knew that."""
    if successor.name != name:
        return successor
    homes = [
        module
        for module in context.index.binders(name, package, at)
        if not _VENDORED.search(module)
        and any(each.status == "defined" for each in context.index.branches(module, name, package, at))
    ]
    if successor.module not in homes:
        return successor
    best = max(homes, key=lambda module: sum(context.history.flags(package, module, name)))
    return successor._replace(module=best)


def _base(missing: Missing) -> Successor | None:
    """Return the base of a removed class in the same module, which may have been left as its alias."""
    context, module, name, at = missing.context, missing.module, missing.name, missing.release_index
    nearest = next((place for place in range(at, -1, -1) if missing.flags[place]), None)
    if not name or nearest is None or context.signatures is None:
        return None
    resolver = context.history.resolver(missing.package, at)
    for base in context.signatures.bases(missing.package, module, name, nearest):
        if base[0] == module and resolver.answer(*base).status not in UNUSABLE:
            evidence = f"in {missing.versions[nearest]}, {name} was a subclass of it"
            return Successor(module=base[0], name=base[1], confidence=0.4, evidence=evidence, certain=False)
    return None


def _elsewhere(context: RuleContext, package: str, module: str, name: str) -> Successor | None:
    """Return the location of the name in the other package, for imports that confuse sglang and vllm."""
    other = VLLM if package == SGLANG else SGLANG
    if (
        not name
        or name.startswith("_")
        or context.is_absent(other)
        or any(context.history.flags(package, module, name))
    ):
        return None
    at = context.release_index(other)
    if at is None:
        had = (
            place
            for place in range(context.newest_release(other), -1, -1)
            if context.index.binders(name, other, place)
        )
        at = next(had, context.newest_release(other))
    resolver = context.history.resolver(other, at)
    place = find_name(resolver, other, name).binding
    if place is None or place.answer.status != "defined":
        return None
    what = f"{other} {context.index.versions(other)[resolver.environment.release_indexes[other]]} defines it"
    return Successor(module=place.module, name=place.name, confidence=0.9, evidence=what, certain=False)


def _cause(missing: Missing) -> Cause | None:
    before, after = (
        any(missing.flags[: missing.release_index]),
        any(missing.flags[missing.release_index + 1 :]),
    )
    gone = not missing.module_flags[missing.release_index]
    if not before and after:
        return "not_yet_added"
    if missing.successor is not None:
        if not missing.name:
            return "module_moved"
        if missing.successor.name and missing.successor.name != missing.name:
            return "symbol_renamed"
        return "module_moved" if gone and any(missing.module_flags) else "symbol_moved"
    if before:
        return "module_removed" if gone else "symbol_removed"
    if not missing.name:
        return None
    # The module never had the name: look at the releases in which another module has it.
    binders = missing.context.index.binders
    had = [bool(binders(missing.name, missing.package, at)) for at in range(len(missing.versions))]
    if any(had[: missing.release_index]):
        return "symbol_removed"
    return "not_yet_added" if any(had[missing.release_index :]) else None


def _evidence(missing: Missing) -> Sequence[str]:
    version, package = missing.versions[missing.release_index], missing.package
    known = missing.context.known(package)
    lines = []
    if missing.assumed and known:
        lines.append(
            f"{package} {known.version} has it ({known.source}); assuming {version}, the newest without it"
        )
    elif missing.assumed:
        lines.append(
            f"the release of {package} is unknown; assuming {version}, the newest consistent with the log"
        )
    elif known:
        near = (
            ""
            if missing.context.index.knows(package, known.version)
            else f"; it is not indexed, assuming {version}"
        )
        lines.append(f"{package} {known.version}: {known.source}{near}")
    elif package in KERNELS:
        sglang = missing.context.known(SGLANG)
        lines.append(f"sglang {sglang.version if sglang else ''} requires {package} {version}")
    lines.append(
        missing.context.history.boundary(package, missing.module, missing.name, missing.release_index)
    )
    successor = missing.successor or _base(missing)
    if successor:
        target = location(successor.module, successor.name)
        lines.append(f"{target}: {successor.evidence}{successor.doubt}")
    return lines


def _without_import(missing: Missing, importer: str) -> str | None:
    """Return the first release of an indexed importer that no longer imports the location, or None."""
    context = missing.context
    releases = possible_releases(context, importer) if importer in context.index.packages else []
    if not releases:
        return None
    return first_without_import(context, importer, releases, missing.module, missing.name)


def _fix(missing: Missing, importer: str) -> Fix:
    before = [at for at in range(missing.release_index) if missing.flags[at]]
    after = [at for at in range(missing.release_index + 1, len(missing.flags)) if missing.flags[at]]
    other = before[-1] if before else after[0] if after else None
    package, version = missing.package, missing.versions[missing.release_index]
    statement, command = None, None
    successor = missing.successor or _base(missing)
    if successor is not None:
        statement = import_statement(successor.module, successor.name)
    if other is not None:
        command = f'pip install "{package}=={missing.versions[other]}"'
    if importer and other is not None:
        newer = _without_import(missing, importer)
        end = f", or {importer} {newer} or newer, which no longer imports it" if newer else ""
        if not newer and importer not in missing.context.index.packages:
            end = f", or a release of {importer} for yours"
        text = f"{importer} imports it: install {package} {missing.versions[other]}, which has it{end}."
        return Fix(kind="install", text=text, statement=statement, command=command)
    if statement is not None:
        safety = successor.safety if successor and not missing.assumed else "unsafe"
        sure = successor is not None and successor.safety == "safe"
        text = (
            "Replace the import by the one below." if sure else "Compare it with the likely successor below."
        )
        return Fix(kind="edit", text=text, statement=statement, safety=safety)
    if other is not None:
        which = "last" if before else "first"
        where = "has no successor for it" if before else "does not have it yet"
        whose = f"Your {package}" if missing.assumed else f"{package} {version}"
        text = f"{whose} {where}; the {which} release that has it is {missing.versions[other]}."
        return Fix(kind="install", text=text, command=command)
    where = location(missing.module, missing.name)
    return Fix(kind="none", text=f"No indexed release of {package} has {where}.")
