"""Select the distributions and releases to read: what the metadata of sglang and vllm releases admits."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat.index.extract.guard_builder import SUPPORTED_PYTHONS
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, PACKAGES
from compat.requirements.release_requirements import requirements_of
from compat.requirements.release_summary import PYTHON
from compat.wheels.package_index import WheelFile

SINCE = {"sglang": Version("0.4.0"), "vllm": Version("0.6.0")}
"""The first release of each package whose requirements count; earlier ones admit releases of other times."""
FEW, MANY = 3, 10
"""How many names must be demanded of a direct requirement, and of another one, to read its releases."""
NAMESPACE = 3
"""A top-level module that more distributions carry is a namespace package, such as `google`."""
_PYTHONS = {"py3", *(f"cp3{minor}" for _, minor in SUPPORTED_PYTHONS)}
_LINUX = re.compile(r"linux.*x86_64")
EARLIEST = datetime(2023, 3, 1, tzinfo=timezone.utc)
"""Releases of before this day are read only if a requirement names them or an older one: a year and a half
before vllm 0.6.0, whose users' environments hold nothing older."""


def required_by(index: Index) -> dict[str, list[SpecifierSet]]:
    """Return the distributions that the releases since `SINCE` require, with or without extras.

    Each has the distinct specifiers of all its requirements.
    """
    lines = {
        line
        for package, since in SINCE.items()
        for release in index.releases(package)
        if Version(release.version) >= since
        for line in release.requires_dist
    }
    return specifiers_of(lines)


def specifiers_of(lines: Iterable[str]) -> dict[str, list[SpecifierSet]]:
    """Return the distributions in Requires-Dist lines, each with its distinct specifiers."""
    found: dict[str, dict[str, SpecifierSet]] = {}
    for line in sorted(lines):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        name = canonicalize_name(requirement.name)
        if name not in PACKAGES and requirement.url is None:
            found.setdefault(name, {})[str(requirement.specifier)] = requirement.specifier
    return {name: list(specifiers.values()) for name, specifiers in found.items()}


def selected(
    direct: Collection[str], targets: Mapping[str, Collection[str]], tops: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """Return the distributions whose releases are worth reading.

    These are direct requirements of which a few names are demanded, and others of which many are, be it by
    sglang and vllm or by other distributions. Of the rest the newest release tells which modules it carries.

    Args:
        direct: the distributions that sglang or vllm require, without extras or with the one for serving.
        targets: the demanded locations by distribution.
        tops: the distributions that carry each top-level module; many share a namespace package.
    """
    shared = {top for top, names in tops.items() if len(names) > NAMESPACE}
    own = {name: {each for each in found if not tops_of([each]) <= shared} for name, found in targets.items()}
    return frozenset(
        name
        for name, found in targets.items()
        if len(own[name]) >= MANY or (name in direct and len(found) >= FEW)
    )


def directly_required(index: Index) -> frozenset[str]:
    """Return what the releases since `SINCE` require, without extras or with the one for serving."""
    found: set[str] = set()
    for package, since in SINCE.items():
        for release in index.releases(package):
            if Version(release.version) >= since:
                found.update(requirements_of(canonicalize_name(package), release, PYTHON).wants)
    return frozenset(found)


def admitted(wheels: Sequence[WheelFile], specifiers: Iterable[SpecifierSet]) -> tuple[WheelFile, ...]:
    """Return the releases of a distribution to read, oldest first.

    These are the final releases from the oldest one that a requirement names, or from `EARLIEST` if that is
    earlier, and the pre-releases that a requirement pins.
    """
    named = {
        Version(each.version.removesuffix(".*")): each.operator
        for specifier in specifiers
        for each in specifier
        if each.operator in ("==", ">=", "~=", "===", ">")
    }
    floor = min(named, default=None)
    pinned = {version for version, operator in named.items() if operator.startswith("==")}

    def counts(wheel: WheelFile) -> bool:
        if wheel.version.is_prerelease or wheel.version.is_devrelease:
            return wheel.version in pinned
        recent = wheel.uploaded is None or wheel.uploaded >= EARLIEST
        return recent or (floor is not None and wheel.version >= floor)

    return tuple(filter(counts, wheels))


def one_wheel_each(files: Iterable[WheelFile]) -> tuple[WheelFile, ...]:
    """Return one wheel for each release, in version order: for Linux and a usual Python if there is one."""
    releases = groupby(sorted(files, key=lambda each: each.version), key=lambda each: each.version)
    return tuple(max(group, key=_usefulness) for _, group in releases)


def _usefulness(wheel: WheelFile) -> tuple[bool, bool, str]:
    linux = any(tag.platform == "any" or _LINUX.search(tag.platform) for tag in wheel.tags)
    # A wheel for a free-threaded or a future Python may lack files that the others have.
    usual = any(tag.interpreter in _PYTHONS and not tag.abi.endswith("t") for tag in wheel.tags)
    return linux, usual, wheel.filename


def tops_of(targets: Iterable[str]) -> frozenset[str]:
    """Return the top-level names of locations, without those of the indexed packages."""
    tops = {target.partition(":")[0].partition(".")[0] for target in targets}
    return frozenset(tops - set(IMPORT_NAMES.values()))


def carriers(imports: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return the distributions that carry each top-level module, sorted."""
    found: dict[str, set[str]] = {}
    for distribution, tops in imports.items():
        for top in tops:
            found.setdefault(top, set()).add(distribution)
    return {top: tuple(sorted(names)) for top, names in sorted(found.items())}
