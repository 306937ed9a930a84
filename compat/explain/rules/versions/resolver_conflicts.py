"""A rule for installations that pip or uv refused: conflicting requirements and missing releases."""

from collections.abc import Sequence
from itertools import combinations

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from compat.explain.context import RuleContext, release_index_of
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.requirement_violations import USUAL, of_release
from compat.explain.rules.versions.violated_requirements import violation
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM
from compat.requirements.graph import RequirementEdge
from compat.requirements.specifiers import disjoint, pinned
from compat.uv import messages
from compat.uv.messages import ABSENT, CONFLICT, FAILED, UNSOLVED


def unsolvable(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose requirements that pip or uv cannot satisfy: they conflict, or no release matches."""
    text = exception.message
    if not exception.kind and text.startswith(FAILED):
        edges = list(messages.poetry_edges(text))
        return first_clash(edges, context) or stated(edges, messages.first_step(text))
    if not exception.kind and text.startswith((UNSOLVED, CONFLICT)):
        return (
            _other_python(text)
            or _conflict(text, context)
            or _no_release(text, context)
            or clash_of_requested(list(messages.requested(text)), context)
            or _in_no_version(text)
            or stated(_constraints(text), messages.first_step(text))
        )
    return _absent(text, context) if not exception.kind and text.startswith(ABSENT) else None


def _conflict(text: str, context: RuleContext) -> Diagnosis | None:
    edges = sorted(_constraints(text), key=lambda each: each.by not in context.index.packages)
    asked = {each.name: each.specifier for each in messages.requested(text)}
    for edge in edges:
        other = asked.get(edge.name)
        if other is not None and disjoint(edge.requirement.specifier, other):
            exact = pinned(other)
            evidence = (str(edge), f"{edge.name}{other} was requested")
            return violation(edge.name, str(exact) if exact else None, edge.wanted, evidence)
    return first_clash(edges, context)


def first_clash(edges: Sequence[RequirementEdge], context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of the first two requirements that exclude each other, those of releases first."""
    ordered = sorted(edges, key=lambda each: each.by not in context.index.packages)
    for first, second in combinations(ordered, 2):
        both = (first.requirement.specifier, second.requirement.specifier)
        if first.name == second.name and first.by != second.by and disjoint(*both):
            return _clash(first, second)
    return None


def clash_of_requested(asked: Sequence[Requirement], context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of requested versions that the metadata of a requested release excludes."""
    for release in asked:
        name, pin = canonicalize_name(release.name), pinned(release.specifier)
        at = (
            release_index_of(context.index, name, str(pin))
            if pin and name in context.index.packages
            else None
        )
        for other in asked if at is not None else ():
            for edge in of_release(context, name, at or 0, other.name):
                if edge.extra in USUAL and disjoint(edge.requirement.specifier, other.specifier):
                    exact = pinned(other.specifier)
                    evidence = (str(edge), f"{other.name}{other.specifier} was requested")
                    return violation(edge.name, str(exact) if exact else None, edge.wanted, evidence)
    return None


def stated(edges: Sequence[RequirementEdge], step: str | None) -> Diagnosis | None:
    """Return the diagnosis in the installer's words: requirements that it could not satisfy together.

    The package is the one that most of them are about. None without a requirement.
    """
    if not edges or (len(edges) == 1 and step is None):
        return None
    names = [each.name for each in edges]
    name = max(names, key=lambda each: (names.count(each), -names.index(each)))
    about = list(dict.fromkeys(str(each) for each in edges if each.name == name))
    wanted = " and ".join(dict.fromkeys(each.by for each in edges if each.name == name))
    return Diagnosis(
        cause="requirement_violated",
        package=name,
        evidence=tuple([f"the installer says: {step}"] if step else []) + tuple(about[:4]),
        fix=Fix(
            kind="install",
            text=f"Change one of these requirements, or the release of {wanted} that has it: together they "
            f"admit no {name} that the package index in use has.",
        ),
    )


def _in_no_version(text: str) -> Diagnosis | None:
    """Return the diagnosis of a distribution that all tried releases require in any version; pip lacks it."""
    edges = list(messages.edges(text)) if text.startswith(CONFLICT) else []
    names = {each.name for each in edges}
    if len(names) != 1 or "The user requested" in text or any(each.requirement.specifier for each in edges):
        return None
    name, by = names.pop(), edges[0].by
    return Diagnosis(
        cause="requirement_violated",
        package=name,
        evidence=(str(edges[0]), f"every release of {by} that pip tried requires {name}, in any version"),
        fix=Fix(
            kind="environment",
            text=f"The package index in use has no {name} that pip can install: use the index of its "
            f"project, or a release of {by} that does without it, through a newer one of what requires {by}.",
        ),
    )


def _constraints(text: str) -> list[RequirementEdge]:
    return [edge for edge in messages.edges(text) if edge.requirement.specifier]


def _clash(first: RequirementEdge, second: RequirementEdge) -> Diagnosis:
    """Return the diagnosis of two packages that require different versions of a third one."""
    at = {each.by: each.exact_version for each in (first, second)}
    names = " and ".join(f"{name} {version}" if version else name for name, version in at.items())
    command = None
    text = f"No version of {first.name} satisfies both {names}: install another release of one of them."
    if {SGLANG, VLLM} == set(at):
        text = (
            f'{names} have conflicting requirements. "compat pairs" lists the releases that go together, and '
            "the overrides with which they can be installed."
        )
        sglang, vllm = at[SGLANG], at[VLLM]
        if sglang and vllm:
            command = f"compat pairs {sglang} {vllm}"
        elif sglang or vllm:
            command = f"compat pairs --for {f'{SGLANG}=={sglang}' if sglang else f'{VLLM}=={vllm}'}"
    return Diagnosis(
        cause="requirement_violated",
        package=first.name,
        evidence=(str(first), str(second)),
        fix=Fix(kind="install", text=text, command=command),
    )


def _other_python(text: str) -> Diagnosis | None:
    found = messages.other_python(text)
    if not found:
        return None
    edge, asked = found
    return Diagnosis(
        cause="requirement_violated",
        package="python",
        evidence=(str(edge), f"Python {asked} was requested") if asked else (str(edge),),
        fix=Fix(kind="environment", text=f"Use Python {edge.requirement.specifier}."),
    )


def _no_release(text: str, context: RuleContext) -> Diagnosis | None:
    missing = messages.not_listed(text)
    if missing:
        return _not_listed(missing, text, context)
    found = messages.no_version(text) or messages.only_offered(text)
    if found:
        return _unknown_release(found, context) or _not_offered(found, text)
    found = messages.no_wheel(text)
    if not found:
        return None
    known = (each for each in _constraints(text) if each.by in context.index.packages)
    return _no_file(found, context) or next(
        (_needed(each) for each in known if each.name == found.name), None
    )


def _not_listed(name: str, text: str, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of a distribution that the package index in use does not have under its name."""
    edge = next((each for each in messages.edges(text) if each.name == name), None)
    if edge is None:
        return None
    other = _free_of(edge, context)
    newer = f", or install {edge.by} {other} or newer, which does not require it" if other else ""
    return Diagnosis(
        cause="requirement_violated",
        package=name,
        evidence=(str(edge), f"the package index in use has no {name}"),
        fix=Fix(
            kind="environment",
            text=f"Add the package index or the wheels from which the project of {name} is installed{newer}.",
        ),
    )


def _free_of(edge: RequirementEdge, context: RuleContext) -> str | None:
    """Return the first final release after one that no longer requires a distribution, or None."""
    if edge.by not in context.index.packages or edge.exact_version is None:
        return None
    at = release_index_of(context.index, edge.by, edge.exact_version)
    versions = context.index.versions(edge.by)
    for place in range(at + 1, len(versions)) if at is not None else ():
        if not Version(versions[place]).is_prerelease and not any(
            True for _ in of_release(context, edge.by, place, edge.name)
        ):
            return versions[place]
    return None


def _not_offered(asked: Requirement, text: str) -> Diagnosis | None:
    """Return the diagnosis of a version that the package index does not have, or not for this platform."""
    edge = next((each for each in _constraints(text) if each.name == asked.name), None)
    wanted, by = (edge.wanted, edge.by) if edge else (f"{asked.name}{asked.specifier}", "")
    fix = (
        f"Use the package index that {by} was built with, and a Python and a platform for which that has "
        f"{wanted}, or install another release of {by}."
        if by
        else f"Require a {asked.name} that the package index in use has, or add the one that has {wanted}."
    )
    pin = pinned(edge.requirement.specifier if edge else asked.specifier)
    if pin is not None and pin.local:
        fix += f" Builds with a local version (+{pin.local}) are on their project's own index only."
    elif pin is not None and pin.is_prerelease:
        fix += f" {wanted} is a pre-release: uv takes one only with --prerelease=allow, pip with --pre."
    return Diagnosis(
        cause="requirement_violated",
        package=canonicalize_name(asked.name),
        evidence=(
            str(edge) if edge else f"the project requires {wanted}",
            f"the package index has no {wanted}",
        ),
        fix=Fix(kind="environment", text=fix),
    )


def _absent(text: str, context: RuleContext) -> Diagnosis | None:
    edge = messages.absent(text)
    if not edge:
        return None
    found = (
        _other_python(text)
        or _unknown_release(edge.requirement, context)
        or _no_file(edge.requirement, context)
    )
    return found or (_needed(edge) if edge.by in context.index.packages else None)


def _unknown_release(asked: Requirement, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of a request that no indexed release matches, or None if one does."""
    name, spec = asked.name, asked.specifier
    if name not in context.index.packages:
        return None
    versions = context.index.versions(name)
    if any(spec.contains(version, prereleases=True) for version in versions):
        return None
    return Diagnosis(
        cause="unknown",
        package=name,
        evidence=(f"no release of {name} matches {spec}; the index has {versions[0]} to {versions[-1]}",),
        fix=Fix(kind="edit", text=f"Request a release that exists: {_nearest(spec, versions)}."),
    )


def _nearest(spec: SpecifierSet, versions: tuple[str, ...]) -> str:
    """Return the releases before and after a version that does not exist, or the newest release, as text."""
    asked = next((each.version for each in spec if each.operator == "=="), None)
    try:
        wanted = Version(asked or "")
    except InvalidVersion:
        return f"the newest is {versions[-1]}"
    before = [version for version in versions if Version(version) < wanted][-1:]
    after = [version for version in versions if Version(version) > wanted][:1]
    return " or ".join([*before, *after])


def _no_file(asked: Requirement, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of an indexed release without a file for this platform, or None if not indexed."""
    name, spec = asked.name, asked.specifier
    releases = context.index.releases(name) if name in context.index.packages else ()
    release = next((each for each in releases if spec.contains(each.version, prereleases=True)), None)
    if release is None:
        return None
    python = release.requires_python or "any"
    return Diagnosis(
        cause="requirement_violated",
        package=name,
        version=release.version,
        evidence=(
            f"{name} {release.version} exists as {release.wheel}, for Python {python}",
            "it has no file for this Python and platform, or the package index in use does not have it",
        ),
        fix=Fix(
            kind="environment",
            text="Use a platform and a Python for which it has wheels, or build it from source.",
        ),
    )


def _needed(edge: RequirementEdge) -> Diagnosis:
    """Return the diagnosis of a required distribution without a file for this Python and platform."""
    text = (
        f"If {edge.wanted} exists only as a source distribution, allow building it (no --only-binary or "
        "--no-build); else install it from the project's own package index."
    )
    return Diagnosis(
        cause="requirement_violated",
        package=edge.name,
        evidence=(
            str(edge),
            "the installer found no file that fits this Python, this platform and its options",
        ),
        fix=Fix(kind="environment", text=text),
    )
