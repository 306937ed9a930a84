"""Tell which releases have what is lacking, and find the smallest change of versions that mends it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from compat.check.findings import CheckReport, Finding
from compat.check.presence import ForeignPresence, RootCause
from compat.companions.reader import Companions
from compat.index.reader import Index
from compat.model.diagnosis import Cause, Fix
from compat.model.release_ranges import ranges_of
from compat.model.symbols import split_location
from compat.requirements.specifiers import pinned


def releases_with(root: RootCause, index: Index, companions: Companions) -> tuple[str, ...]:
    """Return the ranges of releases that have what is lacking: `>=1.99.2`, `0.1.5..0.1.8`."""
    if root.distribution is None:
        return ()
    if root.lack == "requirement":
        return (str(Requirement(root.target).specifier),)
    if root.distribution in index.packages:
        return _texts(index.versions(root.distribution), _indexed_with(root, index))
    return _texts(companions.versions(root.distribution), sorted(_having(root, companions)))


def cause_of(root: RootCause, index: Index, companions: Companions) -> Cause:
    """Return the cause from the closed set that `explain` uses as well."""
    if root.lack == "distribution":
        return "package_missing"
    if root.lack == "requirement" or root.distribution is None or root.installed is None:
        return "requirement_violated"
    if root.distribution in index.packages:
        have, versions = _indexed_with(root, index), index.versions(root.distribution)
    else:
        have, versions = sorted(_having(root, companions)), companions.versions(root.distribution)
    here = _position(versions, root.installed)
    if any(at < here for at in have):
        return "symbol_removed" if split_location(root.target)[1] else "module_removed"
    return "not_yet_added" if have else "requirement_violated"


def fix_of(finding: Finding, report: CheckReport, index: Index, companions: Companions) -> Fix:
    """Return the smallest change of versions that mends a finding."""
    root = finding.root
    if root.distribution is None:
        top = split_location(root.target)[0].partition(".")[0]
        return Fix(kind="none", text=f"No distribution that sglang or vllm require carries {top}.")
    if root.distribution in index.packages:
        return _package_fix(root, index)
    exact = pinned(Requirement(root.target).specifier) if root.lack == "requirement" else None
    version = str(exact) if exact is not None else _nearest(root.distribution, report, companions)
    if version is None:
        return _asker_fix(finding, report, companions) or _demander_fix(finding, index, companions)
    pin = f"{root.distribution}=={version}"
    refused = [
        f"{by} requires {root.distribution}{specifier}"
        for by, specifier in report.environment.requirements.get(root.distribution, ())
        if not specifier.contains(version, prereleases=True)
    ]
    text = f"Install {pin}" + (f", against metadata: {'; '.join(refused)}." if refused else ".")
    return Fix(kind="install", text=text, command=f'pip install "{pin}"')


def _package_fix(root: RootCause, index: Index) -> Fix:
    name = str(root.distribution)
    have = _indexed_with(root, index)
    if not have or root.installed is None:
        return Fix(kind="install", text=f"Install {name}.", command=f'pip install "{name}"')
    versions = index.versions(name)
    here = _position(versions, root.installed)
    pin = f"{name}=={versions[min(have, key=lambda at: (abs(at - here), at))]}"
    return Fix(kind="install", text=f"Install {pin}.", command=f'pip install "{pin}"')


def _asker_fix(finding: Finding, report: CheckReport, companions: Companions) -> Fix | None:
    """Return the nearest release of the distribution that asks for what is lacking which can be imported.

    The result is None if no release can be, or sglang or vllm ask themselves.
    """
    name = finding.root.by
    installed = None if name is None else report.environment.versions.get(name)
    if name is None or installed is None or name not in companions.read or not finding.targets:
        return None
    versions, environment = companions.versions(name), report.environment
    here = _position(versions, installed)
    asked = [specifier for _, specifier in environment.requirements.get(name, ())]
    yanked = companions.yanked(name)
    for at in sorted(range(len(versions)), key=lambda each: (abs(each - here), each)):
        version = versions[at]
        if (
            at in yanked
            or Version(version).is_prerelease
            or not all(each.contains(version, prereleases=True) for each in asked)
        ):
            continue
        changed = replace(environment, versions={**environment.versions, name: version})
        presence = ForeignPresence(changed, companions)
        if all(presence.exists(target) is not False for target in finding.targets):
            pin = f"{name}=={version}"
            return Fix(kind="install", text=f"Install {pin}.", command=f'pip install "{pin}"')
    return None


def _demander_fix(finding: Finding, index: Index, companions: Companions) -> Fix:
    """Return the nearest release of the package that does not ask for what no release of the other has."""
    versions = index.versions(finding.package)
    here = versions.index(finding.version)
    asking = {
        at
        for target in finding.targets
        for first, last, demand in companions.demands_on(target, finding.package)
        if demand.guard is None and demand.form != "deferred"
        for at in range(first, last + 1)
    }
    free = [at for at in range(len(versions)) if at not in asking]
    if not free:
        return Fix(kind="none", text=f"No known release of {finding.root.distribution} has it.")
    pin = f"{finding.package}=={versions[min(free, key=lambda at: (abs(at - here), at))]}"
    return Fix(
        kind="install", text=f"Install {pin}, which does not import it.", command=f'pip install "{pin}"'
    )


def _nearest(name: str, report: CheckReport, companions: Companions) -> str | None:
    """Return the release nearest to the installed one that has everything that is lacking of it."""
    versions = companions.versions(name)
    admitted = set(range(len(versions))) - companions.yanked(name)
    for finding in report.findings:
        if finding.root.distribution == name and name in companions.read:
            admitted &= _having(finding.root, companions)
    final = {at for at in admitted if not Version(versions[at]).is_prerelease} or admitted
    if not final:
        return None
    asked = [specifier for _, specifier in report.environment.requirements.get(name, ())]
    installed = report.environment.versions.get(name)
    here = len(versions) if installed is None else _position(versions, installed)

    def change(at: int) -> tuple[int, int, int]:
        refusals = sum(not each.contains(versions[at], prereleases=True) for each in asked)
        return refusals, abs(at - here), at

    return versions[min(final, key=change)]


def _having(root: RootCause, companions: Companions) -> set[int]:
    """Return the indexes of the releases that do not lack it."""
    name = str(root.distribution)
    versions = companions.versions(name)
    if root.lack == "requirement":
        specifier: SpecifierSet = Requirement(root.target).specifier
        return {at for at, each in enumerate(versions) if specifier.contains(each, prereleases=True)}
    ranges = companions.ranges(name, root.target) if name in companions.read else []
    return {at for first, last, state in ranges if state != "absent" for at in range(first, last + 1)}


def _indexed_with(root: RootCause, index: Index) -> list[int]:
    """Return the indexes of the releases of sglang, vllm or their kernels that have a location."""
    package = str(root.distribution)
    module, name = split_location(root.target)
    parent, _, last = module.rpartition(".")
    found = []
    for at in range(len(index.versions(package))):
        if not name:
            there = index.module(module, package, at) is not None or index.has_submodule(
                parent, last, package, at
            )
        else:
            there = bool(index.branches(module, name, package, at)) or index.has_submodule(
                module, name, package, at
            )
        if there:
            found.append(at)
    return found


def _texts(versions: Sequence[str], release_indexes: Iterable[int]) -> tuple[str, ...]:
    return tuple(
        f">={versions[each.first]}"
        if each.last == len(versions) - 1
        else versions[each.first]
        if each.first == each.last
        else f"{versions[each.first]}..{versions[each.last]}"
        for each in ranges_of(release_indexes)
    )


def _position(versions: Sequence[str], version: str) -> int:
    """Return the index of a version, or where it would stand."""
    try:
        wanted = Version(version)
    except InvalidVersion:
        return len(versions)
    return next((at for at, each in enumerate(versions) if Version(each) >= wanted), len(versions))
