"""Rules for messages that state a violated requirement: from pip, transformers, pydantic and numpy."""

import re
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.companion_releases import CompanionReleases, releases_with_model
from compat.explain.lookup.module_paths import distribution_of, top_of
from compat.explain.lookup.requirement_violations import USUAL, bounded_above, demands, ordered, violated
from compat.explain.rules.versions.violated_requirements import of_unmet, older_or_newer, violation
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import allows
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
_BOUND = re.compile(
    r"\bneeds (\w{1,40}) (\d{1,4}(?:\.\d{1,4}){0,3}) or (less|greater|newer|later)\. "
    r"Got \w{1,40} (\d[\w.]{0,40}\w)"
)
_UNEQUAL = re.compile(
    r"([\w-]{1,60}) version \((\d[\w.+!]{0,40})\) does not match ([\w-]{1,60}) version \((\d[\w.+!]{0,40})\)"
)
_TAKEN = re.compile(
    r"'(?:<class ')?([\w.-]{1,200})(?:'>)?' is already used by a Transformers (?:config|model)"
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
_GONE = re.compile(r"`np\.(\w{1,40})` was removed in the NumPy (\d{1,3}\.\d{1,3}) release")


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
    found = _BOUND.search(exception.text)
    if found:
        return violation(
            found[1], found[4], f"{found[1].lower()}{_bound(found[2], found[3])}", (exception.line,)
        )
    found = _UNEQUAL.search(exception.text)
    if found:
        return _unequal(found, exception, context)
    found = _TAKEN.search(exception.text)
    if found:
        return _taken_name(found[1], exception, context)
    found = INCOMPATIBLE.search(exception.text) if "but you have" in exception.text else None
    return _clash(found, context) if found else None


def _bound(version: str, direction: str) -> str:
    """Return the specifier for `2.2 or less`, which includes all patch releases of 2.2."""
    if direction != "less":
        return f">={version}"
    *parts, last = version.split(".")
    return f"<{'.'.join([*parts, str(int(last) + 1)])}"


def _unequal(found: re.Match[str], exception: ExceptionInfo, context: RuleContext) -> Diagnosis:
    """Return the diagnosis of two parts of one project in different versions: the required one stays."""
    first, second = (canonicalize_name(found[1]), found[2]), (canonicalize_name(found[3]), found[4])
    needs = {name: next(iter(ordered(demands(context, name))), None) for name, _ in (first, second)}
    lines = [exception.line, *(str(each) for each in needs.values() if each)]
    kept, wrong = second, first
    need = needs[first[0]]
    if need is not None and allows(need.requirement.specifier, first[1]) and needs[second[0]] is None:
        kept, wrong = first, second
    return violation(wrong[0], wrong[1], f"{wrong[0]}=={kept[1]}", tuple(lines))


def _taken_name(model: str, exception: ExceptionInfo, context: RuleContext) -> Diagnosis:
    """Return the diagnosis of a model or a config that a newer transformers has itself."""
    name = "transformers"
    broken = violated(context, name)
    if broken:
        return of_unmet(broken, (exception.line,), None)
    lines = [exception.line, "a newer transformers has a model or config of this name itself"]
    found = ordered(demands(context, name))
    spec = next(
        (each.requirement.specifier for each in found if bounded_above(each.requirement.specifier)), None
    )
    lines += [str(each) for each in found[:2]]
    known = context.known(name)
    if spec is not None:
        fix = Fix(
            kind="install", text=f"Install the required {name}{spec}.", command=f'pip install "{name}{spec}"'
        )
    else:
        taken = releases_with_model(context, model)
        if taken is not None:
            lines.append(f"{model} is a model of {taken.span}")
        specifiers = [each.requirement.specifier for each in found if each.extra in USUAL]
        fix = _before(taken, specifiers) or older_or_newer(context, exception, name)
    return Diagnosis(
        cause="requirement_violated",
        package=name,
        version=known.version if known else None,
        evidence=tuple(lines),
        fix=fix,
    )


def _before(taken: CompanionReleases | None, specifiers: list[SpecifierSet]) -> Fix | None:
    """Return the fix: the newest release before the first one that has a model itself, None without one."""
    if taken is None:
        return None
    earlier = [at for at in taken.admitted(specifiers) if at < taken.having[0]]
    if not earlier:
        return None
    spec, first = taken.spec(earlier, taken.versions[taken.having[0]]), taken.versions[taken.having[0]]
    text = (
        f"Install {spec}: transformers {first} has the model itself. Or use a newer release of what adds it."
    )
    return Fix(kind="install", text=text, command=f'pip install "{spec}"')


def _clash(found: re.Match[str], context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of pip's message; one about a release counts before those about other packages."""
    lines = (exception.text for failure in context.contents.mentions for exception in failure.chain)
    every = [each for text in lines if "but you have" in text and (each := INCOMPATIBLE.search(text))]
    ours = [each for each in every if _by(each) in context.index.packages]
    if _by(found) not in context.index.packages and ours:
        return None  # what matters is what a release requires, and that has a diagnosis of its own
    name = canonicalize_name(found[3])
    same = [each for each in every if canonicalize_name(each[3]) == name] or [found]
    requirements = [f"{each[1]} {each[2]} requires {each[3]}{each[4].strip()}" for each in same]
    best = next((each for each in same if _by(each) in context.index.packages), found)
    spec = f"{best[3]}{best[4].strip()}"
    diagnosis = violation(best[3], best[6], spec, tuple(dict.fromkeys(requirements)))
    if _by(best) in context.index.packages:
        return diagnosis
    text = (
        f"{best[1]} {best[2]} requires {spec}, and sglang and vllm do not: install a {best[1]} that "
        f"allows {best[5]} {best[6]}, or install {best[1]} in an environment of its own."
    )
    return replace(diagnosis, fix=Fix(kind="environment", text=text))


def _by(found: re.Match[str]) -> str:
    return canonicalize_name(found[1])


def numpy(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose code or an extension that was written or built for another major version of numpy."""
    gone = _GONE.search(exception.text)
    if gone:
        return _removed_from_numpy(gone, exception, context)
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


def _removed_from_numpy(gone: re.Match[str], exception: ExceptionInfo, context: RuleContext) -> Diagnosis:
    """Return the diagnosis of a name that numpy says it has no more: what uses it wants an older numpy."""
    broken = violated(context, "numpy")
    if broken:
        return of_unmet(broken, (exception.line,), None)
    name, spec = f"np.{gone[1]}", f"numpy<{gone[2].removesuffix('.0')}"
    outside = next(
        (top for each in reversed(exception.frames) if (top := top_of(each.path)) != "numpy"), None
    )
    user = distribution_of(outside) if outside else "the code"
    known = context.known("numpy")
    return Diagnosis(
        cause="requirement_violated",
        package="numpy",
        version=known.version if known else None,
        symbol=name,
        evidence=(exception.line, f"{user} uses {name}, which numpy lacks since {gone[2]}"),
        fix=Fix(
            kind="install",
            text=f"Install {spec}, or a newer release of what uses {name}.",
            command=f'pip install "{spec}"',
        ),
    )
