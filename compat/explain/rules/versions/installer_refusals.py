"""Rules for what pip, poetry, pdm, conda and mamba refuse in words of their own."""

import re
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.installer_output import LISTED
from compat.explain.log.model import ExceptionInfo
from compat.explain.rules.versions.resolver_conflicts import clash_of_requested, first_clash, stated
from compat.model.diagnosis import Diagnosis, Fix
from compat.requirements.graph import RequirementEdge
from compat.uv.messages import edges

_NAME = r"[A-Za-z][\w.-]{0,60}"
_WHEEL = re.compile(
    r"\b([A-Za-z][\w.]{0,60})-(\d[\w.+!]{0,60})-(?:\d\w{0,10}-)?([\w.]{1,40})-([\w.]{1,40})-([\w.]{1,80})"
    r"\.whl is not a supported wheel"
)
_PYTHON = re.compile(
    r"Package '([\w.-]{1,80})' requires a different Python: (\d[\w.]{0,20}) not in '([^']{1,80})'"
)
_POETRY_PYTHON = re.compile(
    rf"({_NAME}) requires Python ([<>=!~]\S{{1,60}}(?:, ?[<>=!~][^\s,]{{1,20}}){{0,4}}), "
    r"so it will not be (?:satisfied|installable) for Python ([<>=!~]\S{1,60})"
)
_TOGETHER = re.compile(r"Cannot install (.{1,600}?) because these package versions have conflicting")
_REQUIREMENT = re.compile(rf"({_NAME})(?:\[[^\]]{{0,80}}\])?((?:,?[<>=!~]=?[^\s,]{{1,60}}){{1,5}})")
_NO_FILE = re.compile(
    rf"Distribution `({_NAME})==([^\s`@]{{1,60}})[^`]{{0,300}}` can't be installed because it doesn't have"
)
_PDM = re.compile(rf"({_NAME})(?:\[[^\]]{{0,80}}\])?([<>=!~]=?[^\s(]{{1,80}}) \(from ([^)\s]{{1,80}})\)")
_CONDA = re.compile(
    rf"\bpackage ([A-Za-z][\w.-]{{0,60}}?)-(\d[\w.!+]{{0,40}})-[\w.]{{1,60}} requires ({_NAME})"
    r"(?: ([<>=!~\d][^\s;,]{0,60}))?"
)
_MAMBA = re.compile(
    rf"({_NAME})(?: (\d[\w.]{{0,40}}))?\*{{0,2}} {{1,2}}is not installable because it requires"
)
_LACKING = re.compile(
    rf"(?:nothing provides (?:requested )?|[-─] )({_NAME})(?: ?([<>=!~\d][^\s,]{{0,60}}))?"
    r"(?: needed by \S{1,120}|,? (?:which )?does not exist|,? which conflicts|$)",
    re.MULTILINE,
)
_CONDA_SIGNS = (
    "LibMambaUnsatisfiableError",
    "PackagesNotFoundError",
    "ResolvePackageNotFound",
    "UnsatisfiableError",
    "Could not solve for environment specs",
)
_CONDA_NAMES = {"pytorch": "torch", "pytorch-cuda": "torch", "pytorch-gpu": "torch"}
"""Names of conda's channels, and the distributions that these are on the Python package index."""


def refused(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an installation that an installer refused."""
    text = exception.message
    if exception.kind:
        return None
    if text.startswith(LISTED):
        return first_clash([each for each in edges(text) if each.requirement.specifier], context)
    if any(sign in text for sign in _CONDA_SIGNS):
        return _conda(text, context)
    if "Unable to find a resolution" in text:
        wanted = list(_pdm_edges(text))
        return first_clash(wanted, context) or stated(wanted, None)
    return _python(text) or _wheel(text) or _no_file(text) or _together(text, context)


def _python(text: str) -> Diagnosis | None:
    found = _PYTHON.search(text)
    if found:
        fix = Fix(kind="environment", text=f"Use Python {found[3]}.")
        return _of_python(found[2], f"{found[1]} requires python{found[3]}; this is Python {found[2]}", fix)
    found = _POETRY_PYTHON.search(text)
    if not found:
        return None
    wanted = found[2].rstrip(",")
    fix = Fix(
        kind="edit",
        text=f"Limit the Python of the project to {wanted} (requires-python or python in pyproject.toml): "
        "poetry resolves for every Python that the project admits, not only for the one in use.",
        statement=f'requires-python = "{wanted}"',
    )
    return _of_python(None, f"{found[1]} requires python{wanted}; the project also admits {found[3]}", fix)


def _of_python(version: str | None, line: str, fix: Fix) -> Diagnosis:
    return Diagnosis(
        cause="requirement_violated", package="python", version=version, evidence=(line,), fix=fix
    )


def _wheel(text: str) -> Diagnosis | None:
    """Return the diagnosis of a wheel whose tags this interpreter does not support."""
    found = _WHEEL.search(text)
    if not found:
        return None
    name, version, python, abi, platform = found.groups()
    newer = " or newer" if abi == "abi3" else ""
    text = (
        f"The wheel is for Python {python}{newer} on {platform}: use such a Python and platform, a newer pip "
        'if this one does not know the tags ("pip debug --verbose" lists those it does), or another wheel.'
    )
    return Diagnosis(
        cause="requirement_violated",
        package=canonicalize_name(name),
        version=version,
        evidence=(found[0], f"the tags of the wheel are {python}, {abi} and {platform}"),
        fix=Fix(kind="environment", text=text),
    )


def _no_file(text: str) -> Diagnosis | None:
    found = _NO_FILE.search(text)
    if not found:
        return None
    text = (
        f"The lock takes {found[1]} {found[2]} from a package index that has no file for this platform: "
        "lock it for the platforms in use, with a marker on the index of each, or install on a platform that "
        "it has."
    )
    return Diagnosis(
        cause="requirement_violated",
        package=canonicalize_name(found[1]),
        version=found[2],
        evidence=(found[0],),
        fix=Fix(kind="environment", text=text),
    )


def _together(text: str, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of versions that pip was asked for together, by their metadata."""
    found = _TOGETHER.search(text)
    return clash_of_requested(list(_requirements(found[1])), context) if found else None


def _requirements(text: str) -> Iterator[Requirement]:
    for found in _REQUIREMENT.finditer(text):
        edge = _edge("", "", found[1], found[2])
        if edge is not None:
            yield edge.requirement


def _pdm_edges(text: str) -> Iterator[RequirementEdge]:
    for found in _PDM.finditer(text):
        by, _, version = found[3].partition("@")
        edge = _edge(by, version, found[1], found[2])
        if edge is not None:
            yield edge


def _conda(text: str, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of packages that the channels of conda lack or that exclude each other."""
    found = (_edge(each[1], each[2], each[3], each[4] or "") for each in _CONDA.finditer(text))
    required = [each for each in found if each is not None]
    lacking = [
        (canonicalize_name(each[1]), (each[2] or "").lstrip("=").rstrip("*."))
        for each in _LACKING.finditer(text)
    ]
    asked: list[tuple[str, str]] = [
        (canonicalize_name(each[1]), each[2] or "") for each in _MAMBA.finditer(text)
    ]
    asked += [(each.by, each.version) for each in required]
    places = [*asked, *lacking]
    ours = next((each for each in places if each[0] in context.index.packages), None)
    if not places:
        return None
    names = [*(each.name for each in required), *(name for name, _ in lacking), *(name for name, _ in asked)]
    line = f"the channels in use have no set of packages with {' and '.join(dict.fromkeys(names[:3]))}"
    fix = Fix(kind="environment", text="Use other channels or other versions of these packages.")
    if ours:
        name, version = ours
        spec = f"{name}=={version}" if version[:1].isdigit() else name
        text = (
            f"The project publishes {name} as wheels: create an environment with Python only, and install it "
            "there with pip or uv, with the torch that it requires."
        )
        fix = Fix(kind="install", text=text, command=f'pip install "{spec}"')
    return Diagnosis(
        cause="requirement_violated",
        package=_CONDA_NAMES.get(names[0], names[0]),
        evidence=(
            line,
            *dict.fromkeys(str(each) for each in required[:3]),
            *dict.fromkeys(f"not available: {' '.join(each).strip()}" for each in lacking[:3]),
        ),
        fix=fix,
    )


def _lacking(found: re.Match[str]) -> tuple[str, str]:
    """Return the name and the version that the channels do not have; the version may be empty."""
    return canonicalize_name(found[1]), (found[2] or "").lstrip("=").rstrip("*.")


def _edge(by: str, version: str, name: str, spec: str) -> RequirementEdge | None:
    """Return a requirement, with the name that the package index has; None if the specifier is not valid."""
    requirement = Requirement(_CONDA_NAMES.get(name, name))
    try:
        requirement.specifier = SpecifierSet(spec if spec[:1] in "<>=!~" else f"=={spec}" if spec else "")
    except InvalidSpecifier:
        return None
    return RequirementEdge(by=canonicalize_name(by), version=version, requirement=requirement)
