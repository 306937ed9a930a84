"""Installations that pip or uv refused: which requirements exclude each other, and what goes together."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from compat.explain.context import RuleContext
from compat.explain.log.installer_output import ABSENT, CONFLICT, OTHER_PYTHON, UNSOLVED
from compat.explain.log.model import ExceptionInfo
from compat.explain.rules.violated_requirements import violation
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM
from compat.requirements.specifiers import disjoint, named_version

_BOUND = r"[<>=!~]=?=? ?[\w.*+!-]{1,60}"
_NAME = r"([A-Za-z][\w.-]{0,80}?)(?:\[[^\]]{1,80}\]|\{[^}]{1,200}\})*"
_SPEC = rf"({_BOUND}(?:(?:,| and) ?{_BOUND}){{0,6}})"
_DEPENDS = re.compile(rf"\b{_NAME}(?: (\d[\w.+!]{{0,60}})|{_SPEC}) depends on {_NAME}{_SPEC}")
"""Who, its version (pip) or range (uv); what it needs, and which of it."""
_ASKED = re.compile(
    rf"The user requested {_NAME}{_SPEC}"
    r"|(?<!conclude that )\b(?:you require|your (?:project|workspace) (?:depends on|requires)) ([^.]\S{0,80}"
    r"(?:(?:,| and|, and) [A-Za-z]\S{0,80}){0,8})"
)
_ONE = re.compile(rf"{_NAME}{_SPEC}")
_PYTHON = re.compile(
    rf"the (?:requested|current) Python version \(([^)]{{1,40}})\) does not satisfy Python{_SPEC}"
    rf" and {_NAME}{_SPEC} depends on Python"
)
_NO_VERSION = re.compile(rf"there (?:is|are) no versions? of {_NAME}{_SPEC}")
_NO_WHEEL = re.compile(rf"\b{_NAME}{_SPEC} has no (?:usable wheels|wheels with a matching)")
_MISSING = re.compile(rf"{ABSENT} {_NAME}{_SPEC}[^(]{{0,200}}(?:\(from ([\w.-]{{1,80}})[^)]{{0,100}}\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one release, or some of them, requires."""

    who: str
    at: SpecifierSet
    name: str
    spec: SpecifierSet

    @property
    def version(self) -> str | None:
        """The one version of `who` that it is about; None when there may be several."""
        only = next(iter(self.at), None)
        exact = len(self.at) == 1 and only is not None and only.operator == "==" and "*" not in only.version
        return only.version if exact and only else None

    def __str__(self) -> str:
        return f"{self.who}{f' {self.version}' if self.version else self.at} requires {self.name}{self.spec}"


def unsolvable(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Versions that pip or uv found not to go together, or not to be there."""
    text = exception.message
    if not exception.kind and text.startswith((UNSOLVED, CONFLICT)):
        return _other_python(text) or _conflict(text, context) or _no_release(text, context)
    return _absent(text, context) if not exception.kind and text.startswith(ABSENT) else None


def _conflict(text: str, context: RuleContext) -> Diagnosis | None:
    needs = sorted(_needs(text), key=lambda each: each.who not in context.index.packages)
    asked = dict(_asked(text))
    for need in needs:
        other = asked.get(need.name)
        if other is not None and disjoint(need.spec, other):
            exact = Need(who=need.name, at=other, name=need.name, spec=other).version
            told = (str(need), f"{need.name}{other} was asked for")
            return violation(need.name, exact, f"{need.name}{need.spec}", told)
    for first, second in combinations(needs, 2):
        if first.name == second.name and first.who != second.who and disjoint(first.spec, second.spec):
            return _clash(first, second)
    return None


def _clash(first: Need, second: Need) -> Diagnosis:
    """Return that two packages want different versions of a third; of a pair, what makes it installable."""
    at = {each.who: each.version for each in (first, second)}
    names = " and ".join(
        f"{each.who} {each.version}" if each.version else each.who for each in (first, second)
    )
    command = None
    text = f"No {first.name} is what both {names} require: take another release of one of them."
    if {SGLANG, VLLM} == set(at):
        text = (
            f"{names} exclude each other by what they require. `compat pairs` tells which go together, "
            "and the overrides under which they install."
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
    found = _PYTHON.search(text)
    if not found:
        return None
    need = Need(who=canonicalize_name(found[3]), at=_spec(found[4]), name="python", spec=_spec(found[2]))
    return _python(need, f"Python {found[1]} was asked for")


def _python(need: Need, there: str | None) -> Diagnosis:
    return Diagnosis(
        cause="requirement_violated",
        package="python",
        evidence=(str(need), there) if there else (str(need),),
        fix=Fix(kind="environment", text=f"Use a Python that is {need.spec}."),
    )


def _no_release(text: str, context: RuleContext) -> Diagnosis | None:
    found = _NO_VERSION.search(text)
    if found:
        return _unknown_release(canonicalize_name(found[1]), _spec(found[2]), context)
    found = _NO_WHEEL.search(text)
    if not found:
        return None
    name = canonicalize_name(found[1])
    needs = (need for need in _needs(text) if need.name == name and need.who in context.index.packages)
    return _no_file(name, _spec(found[2]), context) or next((_needed(need) for need in needs), None)


def _absent(text: str, context: RuleContext) -> Diagnosis | None:
    found = _MISSING.match(text)
    if not found:
        return None
    name, spec = canonicalize_name(found[1]), _spec(found[2])
    other = OTHER_PYTHON.search(text)
    if other:
        at = _spec(f"=={other[1]}")
        return _python(Need(who=name, at=at, name="python", spec=_spec(other[2])), None)
    found_out = _unknown_release(name, spec, context) or _no_file(name, spec, context)
    who = canonicalize_name(found[3] or "")
    if found_out or who not in context.index.packages:
        return found_out
    return _needed(Need(who=who, at=SpecifierSet(), name=name, spec=spec))


def _unknown_release(name: str, spec: SpecifierSet, context: RuleContext) -> Diagnosis | None:
    """Return that no release is what was asked for, as far as the index knows; else None."""
    if name not in context.index.packages:
        return None
    versions = context.index.versions(name)
    if any(spec.contains(version, prereleases=True) for version in versions):
        return None
    return Diagnosis(
        cause="unknown",
        package=name,
        evidence=(f"no release of {name} is {spec}; the index knows {versions[0]} to {versions[-1]}",),
        fix=Fix(kind="edit", text=f"Ask for a release that exists: {_nearest(spec, versions)}."),
    )


def _nearest(spec: SpecifierSet, versions: tuple[str, ...]) -> str:
    """Return the releases around a version that does not exist, or the newest of all."""
    asked = next((each.version for each in spec if each.operator == "=="), None)
    try:
        wanted = Version(asked or "")
    except InvalidVersion:
        return f"the newest is {versions[-1]}"
    before = [version for version in versions if Version(version) < wanted][-1:]
    after = [version for version in versions if Version(version) > wanted][:1]
    return " or ".join([*before, *after])


def _no_file(name: str, spec: SpecifierSet, context: RuleContext) -> Diagnosis | None:
    """Return that a release of the index has no file for this Python and platform; else None."""
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
            "no file of it fits this Python and platform, or this package index does not have it",
        ),
        fix=Fix(
            kind="environment",
            text="Install it on a platform and with a Python that it has wheels for, or build it there.",
        ),
    )


def _needed(need: Need) -> Diagnosis:
    """Return that there is no file of what a release requires for this Python and platform."""
    text = (
        f"If {need.name}{need.spec} exists as source only, let it be built (without --only-binary or "
        "--no-build); else look where that project keeps its own wheels."
    )
    return Diagnosis(
        cause="requirement_violated",
        package=need.name,
        evidence=(str(need), "no file of it fits this Python and platform, or may be taken"),
        fix=Fix(kind="environment", text=text),
    )


def _needs(text: str) -> Iterator[Need]:
    for who, version, at, name, spec in _DEPENDS.findall(text):
        if name != "Python":
            yield Need(
                who=canonicalize_name(who),
                at=_spec(f"=={version}" if version else at),
                name=canonicalize_name(name),
                spec=_spec(spec),
            )


def _asked(text: str) -> Iterator[tuple[str, SpecifierSet]]:
    for found in _ASKED.finditer(text):
        if found[1]:
            yield canonicalize_name(found[1]), _spec(found[2])
        for name, spec in _ONE.findall(found[3] or ""):
            yield canonicalize_name(name), _spec(spec)


def _spec(text: str) -> SpecifierSet:
    """Return a specifier, of what pip joins by `and`; any version when it is none, or names none (`===x`)."""
    try:
        found = SpecifierSet(text.replace(" and ", ",").strip(" ,."))
        for each in found:
            named_version(each)
    except (InvalidSpecifier, InvalidVersion):
        return SpecifierSet()
    return found
