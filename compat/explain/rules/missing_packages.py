"""Rules for packages that are not installed, and for quantization methods that a release lacks."""

import re

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.installer_output import ONE_LINE
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.importers import possible_releases
from compat.explain.lookup.module_paths import distribution_of, is_standard, top_of
from compat.explain.lookup.requirement_violations import (
    USUAL,
    demands,
    of_release,
    ordered,
    requirement_named,
)
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import KERNELS, VLLM
from compat.requirements.graph import RequirementEdge
from compat.uv.messages import FAILED, REFUSALS

_ADVICE = re.compile(
    r"(?i)\b([\w-]{2,40})[`'\"]? (?:package )?is not (?:installed|available)"
    r"|please (?:run `?)?(?:pip )?install [`'\"]?([\w-]{2,40})"
    r"|(?:requires|need to install|depends on) (?:the )?[`'\"]?([\w-]{2,40})[`'\"]?"
    r"(?: package| to be installed|, |;|\.)"
)
_SPEC = r"(?P<spec>\s?[<>=!~]=?\s?\d[\w.,<>=!~*+]{0,60}\w)?"
_NEEDED = re.compile(
    r"\b(?P<name>[A-Za-z][\w.-]{0,60}) with minimum required version "
    r"(?P<spec>\d[\w.+!]{0,40}\w) is not installed"
)
_METADATA = re.compile(
    rf"No package metadata was found for (?:The )?['\"]?(?P<name>[A-Za-z][\w.-]{{0,60}}\w){_SPEC}"
)
_NAMED = re.compile(rf"['\"]?(?P<name>[A-Za-z][\w.-]{{0,60}}\w){_SPEC}(?=[`'\"\s]|$)")
_OF_A_PLATFORM = {"amdsmi": "ROCm (/opt/rocm/share/amd_smi)"}
"""Modules that no package index has for a platform, and what brings them."""
NAMESPACES = ("google", "nvidia", "opentelemetry")
"""Top-level namespace packages that several distributions share."""
_METHOD = re.compile(
    r"(?:Unknown|Invalid|Unsupported) quantization(?: method)?:? ['\"]?([\w-]{2,40})"
    r"|[Qq]uantization method:? ['\"]?([\w-]{2,40})['\"]? is not (?:supported|available|known)"
)


def stated_package(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a message about package metadata that names the missing distribution."""
    found = _NEEDED.search(exception.text) or _METADATA.search(exception.text)
    if not found and exception.kind == "PackageNotFoundError":
        found = _NAMED.match(exception.message)
    if not found:
        return None
    spec = (found["spec"] or "").replace(" ", "")
    name = f"{found['name']}{'>=' if spec[:1].isdigit() else ''}{spec}"
    package = canonicalize_name(found["name"])
    return Diagnosis(
        cause="package_missing",
        package=package,
        module=context.import_name(package),
        evidence=(exception.line,),
        fix=Fix(kind="install", text=f"Install {name}.", command=f'pip install "{name}"'),
    )


def package_missing(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a top-level module whose distribution is not installed."""
    asked = wanted(exception)
    if asked is None or not asked.absent:
        return None
    top = asked.absent.partition(".")[0]
    if is_standard(top) or (asked.absent != top and top not in NAMESPACES):
        return None  # Python found all but the last component of a dotted name
    if not exception.frames and context.package_of_extension(top):
        return None  # packages try an extension under its bare name when importing it from the package fails
    return not_installed(top, asked, exception, context)


def advised(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a message that asks the user to install a package."""
    if exception.kind not in ("ImportError", "ModuleNotFoundError", "RuntimeError", "ValueError", ""):
        return None
    if speaks_of_requirements(exception):
        return None
    found = _ADVICE.search(exception.text)
    name = next((group for group in found.groups() if group), None) if found else None
    if name is None or not found:
        return None
    plain = name.lower()
    top = plain.replace("-", "_")
    distribution = requirement_named(context, top, distribution_of(top))
    asked_for = any(True for _ in demands(context, distribution)) or top in context.index.owners
    if not asked_for and exception.kind not in ("ImportError", "ModuleNotFoundError"):
        return None
    if context.known(distribution) and not context.is_absent(distribution):
        return None
    if context.is_in_tracebacks(top):
        return None
    return not_installed(top, FailedImport(module=top, absent=top), exception, context)


def speaks_of_requirements(exception: ExceptionInfo) -> bool:
    """Return whether a message is an installer's about requirements, and not about what is installed."""
    return exception.message.startswith((*REFUSALS, FAILED)) or any(
        phrase in exception.message for phrase in ONE_LINE
    )


def not_installed(top: str, asked: FailedImport, exception: ExceptionInfo, context: RuleContext) -> Diagnosis:
    """Return the diagnosis of a distribution that is not installed."""
    distribution = requirement_named(context, top, distribution_of(top))
    importer = top_of(exception.frames[-1].path) if exception.frames else None
    found = ordered(demands(context, distribution)) or _in_some(context, distribution)
    lines = [exception.line, *(str(each) for each in found[:2] if each.extra in USUAL)]
    if importer:
        lines.append(f"imported by {exception.frames[-1].path}: `{exception.frames[-1].source}`")
    stated = re.search(rf"(?<![\w.-]){re.escape(distribution)}==(\d[\w.]{{0,40}}\w)", exception.text)
    wheel = vllm_for(context, asked) if distribution == VLLM and not stated else None
    spec = f"=={wheel}" if wheel else _spec(found)
    if stated:
        spec = f"=={stated[1]}"
        lines.append(f"the message asks for {distribution}{spec}")
    if wheel:
        lines.append(
            f"vllm {wheel} is the newest release with the imported name that is not newer than this sglang"
        )
    extra = found[0] if found and found[0].extra in USUAL[1:] and not wheel else None
    text = f"Install {distribution}{spec}."
    if extra:
        text = f"Install {distribution}{spec}, which {extra.by}[{extra.extra}] includes."
    return Diagnosis(
        cause="package_missing",
        package=distribution,
        module=asked.absent,
        evidence=tuple(lines),
        fix=_unnamed(top, context, exception)
        or Fix(kind="install", text=text, command=f'pip install "{distribution}{spec}"'),
    )


def _in_some(context: RuleContext, distribution: str) -> list[RequirementEdge]:
    """Return the requirements on a distribution that only some of the possible releases have."""
    return [
        edge
        for package, releases in context.fitting_releases.items()
        for at in releases
        for edge in ordered(of_release(context, package, at, canonicalize_name(distribution)))[:1]
    ][:1]


def _unnamed(top: str, context: RuleContext, exception: ExceptionInfo) -> Fix | None:
    """Return the fix for a module whose distribution no release names, or None if one does."""
    frame = exception.frames[-1] if exception.frames else None
    module = context.module(frame) if frame else None
    package = context.owner(module) if module else None
    part = _OF_A_PLATFORM.get(top)
    if part:
        return Fix(kind="environment", text=f"{top} is a part of {part}: install it from there.")
    distribution = requirement_named(context, top, distribution_of(top))
    releases = possible_releases(context, package) if package else []
    if package is None or not releases or distribution in context.index.packages:
        return None
    if any(True for at in releases for _ in of_release(context, package, at, distribution)):
        return None
    if context.known(distribution) is not None:
        return None
    kernels = [
        str(edge)
        for name in KERNELS
        for at in (releases[-1], releases[0])
        for edge in ordered(of_release(context, package, at, name))[:1]
    ]
    text = f"No release of {package} names the distribution of {top}, so none is named here."
    if kernels:
        text += (
            f" If it comes with the kernels, install those that the release requires: {kernels[0]}"
            + (f"; {kernels[1]}" if len(kernels) > 1 and kernels[1] != kernels[0] else "")
            + "."
        )
    return Fix(kind="none", text=text)


def _spec(found: list[RequirementEdge]) -> str:
    return next((str(each.requirement.specifier) for each in found), "")


def vllm_for(context: RuleContext, asked: FailedImport) -> str | None:
    """Return the newest vllm release that has the imported name and is not newer than the sglang release."""
    at = context.release_indexes.get("sglang")
    if at is None:
        return None
    date = context.index.releases("sglang")[at].uploaded or ""
    module, name = (
        (asked.module, asked.names[0] if asked.names else "") if "." in asked.module else ("vllm", "")
    )
    flags = context.history.flags(VLLM, module, name)
    spec = next(
        (each.requirement.specifier for each in demands(context, VLLM) if not each.extra), SpecifierSet()
    )
    fitting = [
        release.version
        for release, there in zip(context.index.releases(VLLM), flags, strict=True)
        if there and (release.uploaded or "9") <= date and spec.contains(release.version, prereleases=True)
    ]
    return fitting[-1] if fitting else None


def quantization_method(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a quantization method that exists in other releases only."""
    found = _METHOD.search(exception.text)
    if not found:
        return None
    method = found[1] or found[2]
    modules = [module for frame in exception.frames if (module := context.module(frame))]
    package = context.owner(modules[-1]) if modules else next(iter(context.release_indexes), None)
    at = context.release_index(package) if package else None
    if package is None:
        return None
    name = method.replace("-", "_")
    index, versions = context.index, context.index.versions(package)
    had = [
        [m for m in index.modules_named(name, package, place) if ".quantization." in m]
        for place in range(len(versions))
    ]
    if at is None:  # an unknown release, which lacks the method: assume the nearest one that does
        there = [place for place, modules in enumerate(had) if modules]
        last = len(versions) - 1
        place = (there[0] - 1 if there and there[-1] == last else last) if there else last
        fitting = [each for each in context.fitting_releases.get(package, []) if not had[each]]
        place = fitting[-1] if fitting else place
    else:
        place = at
    before = [i for i in range(place) if had[i]]
    after = [i for i in range(place + 1, len(versions)) if had[i]]
    if had[place] or not (before or after):
        return None
    other = before[-1] if before else after[0]
    boundary = "last" if before else "first"
    return Diagnosis(
        cause="module_removed" if before else "not_yet_added",
        package=package,
        version=versions[place] if at is not None else None,
        module=had[other][0],
        symbol=method,
        evidence=(
            exception.line,
            f"the {boundary} release that has {had[other][0]} is {package} {versions[other]}",
        ),
        fix=Fix(
            kind="install",
            text=f"Install {package} {versions[other]}, which has the method {method}.",
            command=f'pip install "{package}=={versions[other]}"',
        ),
    )
