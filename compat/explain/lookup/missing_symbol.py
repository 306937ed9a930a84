"""A location that a release lacks: what became of it, and what to write or install instead."""

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import Version

from compat.explain.context import RuleContext
from compat.explain.lookup.symbol_history import Flags
from compat.index.query.name_resolution import NameResolver
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import KERNELS, SGLANG, VLLM
from compat.model.symbols import UNUSABLE, import_statement, location, split_location
from compat.resolve.query import Query
from compat.resolve.search import Replacement, find, find_name

LIKELY = 0.5
"""Confidence from which a successor is told as the import to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A location in a release that does not have it."""

    context: RuleContext
    package: str
    module: str
    name: str
    """Empty for the module itself."""
    at: int
    """Position of the release."""
    assumed: bool
    """Whether the release was not known and is the newest that fits."""
    replacement: Replacement | None

    @property
    def versions(self) -> tuple[str, ...]:
        """All releases of the package."""
        return self.context.index.versions(self.package)

    @property
    def flags(self) -> Flags:
        """In which of them the location is."""
        return self.context.history.flags(self.package, self.module, self.name)

    @property
    def module_flags(self) -> Flags:
        """In which of them the module is."""
        return self.context.history.flags(self.package, self.module, "")


def locate(
    context: RuleContext,
    package: str,
    module: str,
    name: str,
    *,
    evidence: tuple[str, ...] = (),
    foreign: bool = False,
    within: str = "",
    certain: bool = True,
) -> Diagnosis | None:
    """Return what became of a location that is missing in its release; None when the release has it.

    Args:
        context: what is known.
        package: the package that the module belongs to.
        module: the module that was asked.
        name: the name in it; empty for the module itself.
        evidence: what led here.
        foreign: whether an installed package asks for it, so that no user can edit the import.
        within: a module that was found, so that only a release with it can be meant.
        certain: whether the location is known to be missing; if not, a release that has all modules of
            the tracebacks must lack it too.
    """
    missing = _missing(context, package, module, name, within=within, certain=certain)
    cause = None if missing is None else _cause(missing)
    if missing is None or cause is None:
        return None
    return Diagnosis(
        cause=cause,
        package=package,
        version=None if missing.assumed else missing.versions[missing.at],
        module=module,
        symbol=name or None,
        evidence=(*evidence, *_evidence(missing)),
        fix=_fix(missing, foreign=foreign),
    )


def _missing(
    context: RuleContext, package: str, module: str, name: str, *, within: str, certain: bool
) -> Missing | None:
    at = context.release_index(package)
    if at is not None and context.claimed(package) and context.history.flags(package, module, name)[at]:
        at = None  # what is missing cannot be missing in that one
    if at is None and package in KERNELS and not context.known(package):
        pinned = context.release_indexes.get(package)  # by the release of sglang
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
    replacement = None
    if name or not context.compiled(module, package, None):  # nothing of Python's takes an extension's place
        replacement = (
            _by_origin(context, package, query, at, resolver) or find(resolver, package, query).replacement
        )
        replacement = replacement or _elsewhere(context, package, module, name)
    return Missing(
        context=context,
        package=package,
        module=module,
        name=name,
        at=at,
        assumed=assumed,
        replacement=replacement,
    )


def _assumed(context: RuleContext, package: str, lacking: Flags, *, certain: bool) -> int | None:
    """Return the newest release that lacks the location, of those that have all modules of the tracebacks."""
    missing = [at for at in context.candidates(package) if lacking[at]]
    if not missing and certain:
        missing = [at for at, without in enumerate(lacking) if without]
    finals = [at for at in missing if not Version(context.index.versions(package)[at]).is_prerelease]
    return max(finals or missing, default=None)


def _by_origin(
    context: RuleContext, package: str, query: Query, at: int, resolver: NameResolver
) -> Replacement | None:
    """Return where the object now is that the location stood for in the nearest release that has it."""
    had = context.history.flags(package, query.module or "", query.name)
    nearest = min(
        (place for place, there in enumerate(had) if there), key=lambda place: abs(place - at), default=None
    )
    if nearest is None or not query.name:
        return None
    origin = context.history.resolver(package, nearest).answer(query.module or "", query.name).origin
    module, name = split_location(origin or "")
    if not name or context.owner(module) != package:
        return None
    version = context.index.versions(package)[nearest]
    if resolver.answer(module, name).status not in UNUSABLE:
        return Replacement(
            module=module, name=name, confidence=1.0, evidence=f"in {version} it was imported from there"
        )
    moved = find(resolver, package, Query(text=origin or "", module=module, name=name)).replacement
    if moved is None:
        return None
    return moved._replace(evidence=f"in {version} it was imported from {origin}; {moved.evidence}")


def _elsewhere(context: RuleContext, package: str, module: str, name: str) -> Replacement | None:
    """Return where the other package has a name that this one lacks: people mix the two up."""
    other = VLLM if package == SGLANG else SGLANG
    if (
        not name
        or name.startswith("_")
        or context.absent(other)
        or any(context.history.flags(package, module, name))
    ):
        return None
    at = context.release_index(other)
    if at is None:
        had = (
            place
            for place in range(context.newest(other), -1, -1)
            if context.index.binders(name, other, place)
        )
        at = next(had, context.newest(other))
    resolver = context.history.resolver(other, at)
    place = find_name(resolver, other, name).place
    if place is None or place.answer.status != "defined":
        return None
    what = f"{other} {context.index.versions(other)[resolver.environment.release_indexes[other]]} defines it"
    return Replacement(module=place.module, name=place.name, confidence=0.9, evidence=what)


def _cause(missing: Missing) -> Cause | None:
    before, after = any(missing.flags[: missing.at]), any(missing.flags[missing.at + 1 :])
    gone = not missing.module_flags[missing.at]
    if not before and after:
        return "not_yet_added"
    if missing.replacement is not None:
        if not missing.name:
            return "module_moved"
        if missing.replacement.name and missing.replacement.name != missing.name:
            return "symbol_renamed"
        return "module_moved" if gone and any(missing.module_flags) else "symbol_moved"
    if before:
        return "module_removed" if gone else "symbol_removed"
    if not missing.name:
        return None
    # Asked for in a module that never had it: what became of the name elsewhere?
    binders = missing.context.index.binders
    had = [bool(binders(missing.name, missing.package, at)) for at in range(len(missing.versions))]
    if any(had[: missing.at]):
        return "symbol_removed"
    return "not_yet_added" if any(had[missing.at :]) else None


def _evidence(missing: Missing) -> Sequence[str]:
    version, package = missing.versions[missing.at], missing.package
    known = missing.context.known(package)
    lines = []
    if missing.assumed and known:
        lines.append(
            f"{package} {known.version} has it ({known.source}); taken: {version}, the newest without"
        )
    elif missing.assumed:
        lines.append(f"nothing tells the release of {package}; taken: {version}, the newest that fits")
    elif known:
        near = (
            "" if missing.context.index.knows(package, known.version) else f", not indexed; taken: {version}"
        )
        lines.append(f"{package} {known.version}: {known.source}{near}")
    elif package in KERNELS:
        sglang = missing.context.known(SGLANG)
        lines.append(f"sglang {sglang.version if sglang else ''} requires {package} {version}")
    lines.append(missing.context.history.boundary(package, missing.module, missing.name, missing.at))
    if missing.replacement:
        target = location(missing.replacement.module, missing.replacement.name)
        lines.append(f"{target}: {missing.replacement.evidence}")
    return lines


def _fix(missing: Missing, *, foreign: bool) -> Fix:
    before = [at for at in range(missing.at) if missing.flags[at]]
    after = [at for at in range(missing.at + 1, len(missing.flags)) if missing.flags[at]]
    other = before[-1] if before else after[0] if after else None
    package, version = missing.package, missing.versions[missing.at]
    statement, command = None, None
    if missing.replacement is not None:
        statement = import_statement(missing.replacement.module, missing.replacement.name)
    if other is not None:
        command = f'pip install "{package}=={missing.versions[other]}"'
    if foreign and other is not None:
        text = (
            f"An installed package asks for it: install a {package} that has it, {missing.versions[other]}."
        )
        return Fix(kind="install", text=text, statement=statement, command=command)
    if statement is not None:
        sure = missing.replacement is not None and missing.replacement.confidence >= LIKELY
        return Fix(
            kind="edit",
            text="Write the import below." if sure else "Compare with the likely successor below.",
            statement=statement,
        )
    if other is not None:
        which = "last" if before else "first"
        where = "has nothing in its place" if before else "does not have it yet"
        text = f"{package} {version} {where}; the {which} release with it is {missing.versions[other]}."
        return Fix(kind="install", text=text, command=command)
    return Fix(kind="none", text=f"{package} {version} has nothing of this name.")
