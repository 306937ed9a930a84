"""Rules for messages that state a violated requirement: from pip, transformers, pydantic and numpy."""

import re

from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import distribution_of, top_of
from compat.explain.lookup.requirement_violations import violated
from compat.explain.rules.violated_requirements import of_unmet, violation
from compat.model.diagnosis import Diagnosis, Fix
from compat.uv.messages import INCOMPATIBLE

_NORMAL = re.compile(
    r"\b([\w.-]{1,80}?)([<>=!~]\S{1,80}) is required for a normal functioning of this module, "
    r"but found ([\w.-]{1,80}?)==(\d[\w.+!-]{0,40}\w)"
)
_CORE = re.compile(
    r"installed ([\w.-]+) version \((\d[\w.+!-]*)\) is incompatible with the current ([\w.-]+) version, "
    r"which requires (\d[\w.+!-]*)"
)
_MINIMUM = re.compile(
    r"\b([\w.-]{1,80}) is installed with version (\d[\w.+!]{0,40}), "
    r"which is less than the minimum required version (\d[\w.+!]{0,40}\w)"
)
_SIZES = re.compile(
    r"Expected (\d{1,6}) from C header, got (\d{1,6})"
    r"|version 0x([0-9a-f]{1,12}) but this version of numpy is 0x([0-9a-f]{1,12})"
)
_NUMPY = re.compile(
    r"compiled using NumPy 1\.x|_ARRAY_API not found|numpy\.dtype size changed|numpy\.ufunc size changed"
    r"|numpy\.core\.(?:multiarray|_multiarray_umath|umath) failed to import"
    r"|compiled against (?:ABI|API) version 0x\w{1,12} but this version of numpy is 0x\w{1,12}"
)


def stated_requirement(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a message that states the requirement: from pip, or from a package's own version check."""
    found = _NORMAL.search(exception.text) if "for a normal functioning" in exception.text else None
    if found:
        checker = top_of(exception.frames[-1].path) if exception.frames else None
        broken = violated(context, distribution_of(checker)) if checker else None
        if broken:
            return of_unmet(broken, (exception.line,), None)
        return violation(found[1], found[4], f"{found[1]}{found[2]}", (exception.line,))
    found = _CORE.search(exception.text)
    if found:
        version = found[4].rstrip(".")
        return violation(found[1], found[2], f"{found[1]}=={version}", (exception.line,))
    found = _MINIMUM.search(exception.text)
    if found:
        return violation(found[1], found[2], f"{found[1]}>={found[3]}", (exception.line,))
    found = INCOMPATIBLE.search(exception.text) if "but you have" in exception.text else None
    return _clash(found, context) if found else None


def _clash(found: re.Match[str], context: RuleContext) -> Diagnosis:
    """Return the diagnosis of pip's message; of several, the requirement of an indexed release counts."""
    lines = (exception.text for failure in context.contents.mentions for exception in failure.chain)
    every = (INCOMPATIBLE.search(text) for text in lines if "but you have" in text)
    name = canonicalize_name(found[3])
    same = [each for each in every if each and canonicalize_name(each[3]) == name] or [found]
    requirements = [f"{each[1]} {each[2]} requires {each[3]}{each[4].strip()}" for each in same]
    indexed = (each for each in same if canonicalize_name(each[1]) in context.index.packages)
    best = next(indexed, found)
    return violation(best[3], best[6], f"{best[3]}{best[4].strip()}", tuple(dict.fromkeys(requirements)))


def numpy(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an extension that was built for another major version of numpy."""
    found = _NUMPY.search(exception.text)
    if not found:
        return None
    broken = violated(context, "numpy")
    if broken:
        return of_unmet(broken, (exception.line,), None)
    sizes = _SIZES.search(exception.text)
    built, here = (group for group in sizes.groups() if group) if sizes else ("0", "0")
    newer = int(built, 16) > int(here, 16)
    return Diagnosis(
        cause="abi_mismatch",
        package="numpy",
        version=known.version if (known := context.known("numpy")) else None,
        evidence=(exception.line, f"“{found[0]}”: an extension was built for an incompatible numpy"),
        fix=Fix(
            kind="install",
            text="The extension was built for a newer numpy than the installed one: update numpy."
            if newer
            else "Install the numpy that the extension was built for, or a newer build of the extension.",
            command="pip install --upgrade numpy" if newer else 'pip install "numpy<2"',
        ),
    )
