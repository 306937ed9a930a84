"""Tell which distributions of an environment bring the same modules in different forms."""

from collections.abc import Mapping

from packaging.version import InvalidVersion, Version

from compat._cli.text import counted, listed
from compat.check.environment import CheckedEnvironment
from compat.companions.reader import Companions
from compat.model.collisions import Collision, find_collisions
from compat.model.diagnosis import Fix
from compat.model.releases import allows
from compat.requirements.file_owners import by_precedence
from compat.requirements.graph import edges_to
from compat.requirements.specifiers import pinned

LEFT_OUT = "; python_version < '3'"
"""A marker that is never true: an override with it leaves a distribution out."""
_SHOWN = 2


def find_shared(environment: CheckedEnvironment, companions: Companions) -> tuple[Collision, ...]:
    """Return the modules that several distributions of an environment bring in different forms."""
    brought: dict[str, Mapping[str, int]] = {}
    for name, version in environment.versions.items():
        releases = companions.shared_modules(name)
        found = next((each for each in releases if _equal(each, version)), None)
        if found is not None:
            brought[name] = releases[found]
    return find_collisions(brought)


def described(collision: Collision, versions: Mapping[str, str]) -> str:
    """Return a collision as a sentence."""
    names = [f"{name} {versions.get(name, '')}".strip() for name in collision.distributions]
    modules = listed(collision.names, _SHOWN)
    what = f"{counted(len(collision.names), 'module')} in different forms ({modules})"
    return f"{' and '.join(names)} bring {what}; which of them stay depends on the order of installation"


def way_out(collision: Collision, environment: CheckedEnvironment, companions: Companions) -> Fix:
    """Return the change of versions that avoids a collision, or else the order of installation."""
    versions = environment.versions
    kept, *others = _by_precedence(collision, environment, companions)
    pins: list[str] = []
    for name in others:
        version = _free(name, kept, environment, companions)
        if version is not None:
            pins += [f"{name}=={version}", *_refusing(name, version, kept, versions, companions)]
        elif companions.is_shared_whole(name, versions[name]):
            text = f"Leave out {name}, whose modules {kept} brings as well."
            return Fix(
                kind="install", text=text, command=f"pip uninstall -y {name}; {_again(kept, versions)}"
            )
        else:
            text = f"Install {kept} {versions[kept]} after {name}, so that its files stay."
            return Fix(kind="install", text=text, command=_again(kept, versions))
    quoted = " ".join(f'"{pin}"' for pin in pins)
    return Fix(kind="install", text=f"Install {listed(pins)}.", command=f"pip install {quoted}")


def override_for(
    collision: Collision, environment: CheckedEnvironment, companions: Companions
) -> tuple[str, str] | None:
    """Return the distribution and specifier of an override that avoids a collision; None if none does."""
    kept, *others = _by_precedence(collision, environment, companions)
    for name in others:
        version = _free(name, kept, environment, companions)
        if version is not None:
            return name, f"=={version}"
        if companions.is_shared_whole(name, environment.versions[name]):
            return name, LEFT_OUT
    return None


def _by_precedence(
    collision: Collision, environment: CheckedEnvironment, companions: Companions
) -> tuple[str, ...]:
    """Return the distributions by precedence, as the installed metadata would give it.

    Of many releases only the modules are known, not what they require: then the one of which others bring
    every module lies below.
    """
    versions = environment.versions

    def requires(name: str) -> tuple[str, ...]:
        return _requires(name, versions[name], companions)

    order = by_precedence(collision.distributions, versions, requires)
    return tuple(sorted(order, key=lambda name: companions.is_shared_whole(name, versions[name])))


def _requires(name: str, version: str, companions: Companions) -> tuple[str, ...]:
    known = name in companions.distributions
    at = companions.release_index(name, version) if known else None
    return () if at is None else companions.requires_dist(name, at)


def _newest_requires(name: str, companions: Companions) -> tuple[str, ...]:
    """Return what the newest release requires: who requires whom seldom changes."""
    known = name in companions.distributions
    return companions.requires_dist(name, len(companions.versions(name)) - 1) if known else ()


def _refusing(
    name: str, version: str, kept: str, versions: Mapping[str, str], companions: Companions
) -> list[str]:
    """Return what a release requires of another distribution, if that excludes the installed release."""
    edges = edges_to(kept, name, version, _requires(name, version, companions))
    return [
        f"{kept}{edge.requirement.specifier}"
        for edge in edges
        if not edge.extra and not allows(edge.requirement.specifier, versions[kept])
    ]


def _again(name: str, versions: Mapping[str, str]) -> str:
    return f'pip install --force-reinstall --no-deps "{name}=={versions[name]}"'


def _free(name: str, kept: str, environment: CheckedEnvironment, companions: Companions) -> str | None:
    """Return the nearest release of a distribution that brings no module of `kept` in another form.

    None if another distribution pins it, as one that is released in step with it does.
    """
    pinning = (
        edge
        for by in environment.versions.keys() - {name, kept}
        for edge in edges_to(name, by, "", _newest_requires(by, companions))
    )
    if any(not edge.extra and pinned(edge.requirement.specifier) for edge in pinning):
        return None
    mine = companions.shared_modules(name)
    theirs = companions.shared_modules(kept).get(environment.versions[kept], {})
    asked = [specifier for _, specifier in environment.requirements.get(name, ())]
    here = Version(environment.versions[name])
    known = {*companions.versions(name), *mine} if name in companions.distributions else set(mine)
    free = [
        version
        for version in map(Version, known)
        if not version.is_prerelease
        and version > here
        and all(each.contains(version) for each in asked)
        and not _differ(mine.get(str(version), {}), theirs)
    ]
    return str(min(free)) if free else None


def _differ(mine: Mapping[str, int], theirs: Mapping[str, int]) -> bool:
    return any(theirs.get(name, digest) != digest for name, digest in mine.items())


def _equal(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other.partition("+")[0])
    except InvalidVersion:
        return False
