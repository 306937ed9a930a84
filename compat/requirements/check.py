"""Check a requirement against the distributions of this interpreter, by their metadata."""

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compat.errors import UsageError
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import allows
from compat.requirements.graph import RequirementGraph
from compat.requirements.installed import read_environment


def unmet(text: str) -> Diagnosis | None:
    """Return the diagnosis of an unmet requirement, or of an unmet requirement of its extras; else None.

    Raises:
        UsageError: `text` is not a valid requirement, or has a URL.
    """
    try:
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate()
    except (KeyError, ValueError):  # not a requirement, or a marker that cannot be evaluated
        raise UsageError(f"{text!r} is not a valid requirement (example: vllm>=0.20)") from None
    if requirement.url:
        raise UsageError(
            f"{text!r}: metadata does not show the URL of a distribution; pass a version instead"
        )
    if not applies:
        return None
    environment = read_environment()
    name = canonicalize_name(requirement.name)
    version = environment.version(name)
    if version is None or not allows(requirement.specifier, version):
        return _unmet(requirement, text, version)
    graph = RequirementGraph(environment.versions, environment.requires)
    extras = [(name, str(canonicalize_name(extra))) for extra in sorted(requirement.extras)]
    found = next(graph.unmet(extras, extras_only=True), None)
    return None if found is None else _unmet(found.edge.requirement, text, found.installed)


def diagnosis(requirement: Requirement, installed: str | None, *evidence: str) -> Diagnosis:
    """Return the diagnosis of an unmet requirement; `installed` is None if the distribution is missing."""
    wanted = f"{requirement.name}{requirement.specifier}"
    return Diagnosis(
        cause="requirement_violated" if installed else "package_missing",
        package=canonicalize_name(requirement.name),
        version=installed,
        evidence=evidence,
        fix=Fix(kind="install", text=f"Install {wanted}.", command=f"pip install '{wanted}'"),
    )


def _unmet(requirement: Requirement, asked: str, version: str | None) -> Diagnosis:
    wanted = f"{requirement.name}{requirement.specifier}"
    by = wanted if wanted == asked.replace(" ", "") else f"{wanted} (by {asked})"
    installed = (
        f"{requirement.name} {version} is installed" if version else f"{requirement.name} is not installed"
    )
    return diagnosis(requirement, version, f"{installed}, but {by} is required")
