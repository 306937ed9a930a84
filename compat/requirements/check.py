"""Whether a requirement is met by what this interpreter has, read from metadata."""

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compat.errors import UsageError
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import allows
from compat.requirements.graph import RequirementGraph
from compat.requirements.installed import read_environment


def unmet(text: str) -> Diagnosis | None:
    """Return the diagnosis of a requirement that is not met, or of one that an extra of it has; else None.

    Raises:
        UsageError: `text` is no requirement, or one with an address.
    """
    try:
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate()
    except (KeyError, ValueError):  # no requirement, or a marker that compares what cannot be compared
        raise UsageError(f"{text!r} is no requirement; write one such as 'vllm>=0.20'") from None
    if requirement.url:
        raise UsageError(f"{text!r}: what came from an address cannot be told from metadata; give a version")
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
    """Return the diagnosis of a requirement that is not met: of an installed version, or of nothing."""
    wanted = f"{requirement.name}{requirement.specifier}"
    return Diagnosis(
        cause="requirement_violated" if installed else "package_missing",
        package=canonicalize_name(requirement.name),
        version=installed,
        evidence=evidence,
        fix=Fix(kind="install", text=f"install {wanted}", command=f"pip install '{wanted}'"),
    )


def _unmet(requirement: Requirement, asked: str, version: str | None) -> Diagnosis:
    wanted = f"{requirement.name}{requirement.specifier}"
    by = f", which {asked} asks for" if wanted != asked.replace(" ", "") else ""
    there = (
        f"{requirement.name} {version} is installed" if version else f"{requirement.name} is not installed"
    )
    return diagnosis(requirement, version, f"{there}, required is {wanted}{by}")
