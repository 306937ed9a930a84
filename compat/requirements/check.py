"""Whether a requirement is met by what this interpreter has, read from metadata."""

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from compat.errors import UsageError
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import allows


def unmet(text: str) -> Diagnosis | None:
    """Return the diagnosis of a requirement that is not met, or of one that an extra of it has; else None.

    Raises:
        UsageError: `text` is no requirement, or one with an address.
    """
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise UsageError(f"{text!r} is no requirement; write one such as 'vllm>=0.20'") from None
    if requirement.url:
        raise UsageError(f"{text!r}: what came from an address cannot be told from metadata; give a version")
    return next(_violations(requirement, text, set()), None)


def _violations(requirement: Requirement, asked: str, seen: set[str]) -> Iterator[Diagnosis]:
    """Yield what is not met of a requirement and of its extras, which may ask for one another in a circle."""
    if str(requirement) in seen:
        return
    seen.add(str(requirement))
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    found = _installed(requirement.name)
    if found is None:
        yield _violation(requirement, asked, None)
    elif not allows(requirement.specifier, found.version):
        yield _violation(requirement, asked, found.version)
    else:
        for inner in _requires(found) if requirement.extras else ():
            if any(_asked_by(inner, extra) for extra in requirement.extras):
                inner.marker = None
                yield from _violations(inner, asked, seen)


def _requires(found: Distribution) -> Iterator[Requirement]:
    """Yield what a distribution asks for; lines that are no requirement are left out."""
    for line in found.requires or ():
        try:
            yield Requirement(line)
        except InvalidRequirement:  # noqa: PERF203 -- rare, and a distribution has few lines
            continue


def _asked_by(requirement: Requirement, extra: str) -> bool:
    """Return whether an extra, and not the distribution itself, asks for a requirement here."""
    marker = requirement.marker
    try:
        return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})
    except ValueError:  # a comparison that does not exist
        return False


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _violation(requirement: Requirement, asked: str, version: str | None) -> Diagnosis:
    wanted = f"{requirement.name}{requirement.specifier}"
    by = f", which {asked} asks for" if wanted != asked.replace(" ", "") else ""
    there = (
        f"{requirement.name} {version} is installed" if version else f"{requirement.name} is not installed"
    )
    return Diagnosis(
        cause="requirement_violated" if version else "package_missing",
        package=canonicalize_name(requirement.name),
        version=version,
        evidence=(f"{there}, required is {wanted}{by}",),
        fix=Fix(kind="install", text=f"install {wanted}", command=f"pip install '{wanted}'"),
    )
