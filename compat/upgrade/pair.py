"""Put the packages of an upgrade together: the newest pair, what else breaks beside it, how to install it."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from compat.check.environment import Completion, select_releases
from compat.check.findings import CheckReport, check_environment
from compat.check.fixes import fix_of
from compat.check.inputs import read_requirements
from compat.companions.reader import Companions
from compat.errors import CompatError
from compat.index.reader import Index
from compat.model.package_names import SGLANG, VLLM
from compat.model.releases import PACKAGES
from compat.pairs.ranking import Partner, rank
from compat.requirements.release_summary import PYTHON
from compat.upgrade.steps import PackageUpgrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Releases that the code works with, and that go together."""

    versions: Mapping[str, str]
    """Package to release."""
    problem: str = ""
    """Why no two releases that the code works with go together; else empty."""
    overrides: tuple[str, ...] = ()
    """The packages of which the two require different versions, known from metadata alone."""
    third: tuple[str, ...] = ()
    """What the releases cannot import beside the other requirements of the project, and the fix."""

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that install the releases."""
        if {SGLANG, VLLM} <= self.versions.keys():
            pair = f"compat pairs {self.versions[SGLANG]} {self.versions[VLLM]}"
            return (
                f"{pair} --format requirements > requirements-pair.txt",
                "uv pip install --no-deps -r requirements-pair.txt",
            )
        return tuple(f"uv pip install '{name}=={version}'" for name, version in self.versions.items())

    def as_document(self) -> dict[str, Any]:
        """Return the proposal as an object of the JSON document."""
        return {
            "versions": dict(self.versions),
            "problem": self.problem or None,
            "overrides": list(self.overrides),
            "third_packages": list(self.third),
            "commands": list(self.commands),
        }


def propose(index: Index, upgrades: Sequence[PackageUpgrade], root: Path, *, fixed: bool) -> Proposal:
    """Return the newest releases that the code works with and that go together.

    Args:
        index: the index of releases.
        upgrades: how far the code can go with each package.
        root: the folder of the project, whose other requirements count.
        fixed: whether safe fixes are written.
    """
    releases = {each.package: each.reachable(fixed=fixed) for each in upgrades}
    if len(releases) < 2:
        versions = {package: found[-1] for package, found in releases.items()}
        return Proposal(versions=versions, third=tuple(_third(versions, index, root)))
    partner = _newest_pair(index, releases)
    if partner is None:
        versions = {package: found[-1] for package, found in releases.items()}
        return Proposal(versions=versions, problem="no two releases that the code works with go together")
    versions = {SGLANG: partner.sglang.version, VLLM: partner.vllm.version}
    return Proposal(
        versions=versions,
        overrides=(
            *(clash.package for clash in partner.clashes),
            *(clash.package for clash in partner.indirect),
        ),
        third=tuple(_third(versions, index, root)),
    )


def _newest_pair(index: Index, releases: Mapping[str, Sequence[str]]) -> Partner | None:
    """Return the newest release of sglang that has a partner, with the newest such partner."""
    allowed = set(releases[VLLM])
    for version in reversed(releases[SGLANG]):
        _, partners = rank(index, SGLANG, version, PYTHON)
        usable = [each for each in partners if each.candidate.version in allowed and not each.problem]
        if usable:
            order = {each: at for at, each in enumerate(releases[VLLM])}
            return max(usable, key=lambda each: order[each.candidate.version])
    return None


def _third(versions: Mapping[str, str], index: Index, root: Path) -> Iterator[str]:
    """Yield what a server of these releases cannot import beside the other requirements of the project."""
    companions = Companions()
    report = _checked(versions, index, companions, root)
    for finding in report.findings:
        cause = finding.root
        if cause.lack == "requirement":
            what = f"refuses {cause.distribution} {cause.installed}: it wants {cause.target}"
        else:
            lacking = f"{cause.distribution} {cause.installed} does not have"
            name = cause.target.replace(":", ".")
            what = f"imports {name}, which {lacking if cause.installed else 'nothing carries'}"
        fix = fix_of(finding, report, index, companions).text
        yield f"{finding.package} {finding.version} {what}. {fix}"


def _checked(versions: Mapping[str, str], index: Index, companions: Companions, root: Path) -> CheckReport:
    others = [each for each in _requirements(root) if canonicalize_name(each.name) not in PACKAGES]
    named, specifiers = select_releases(others, index)
    environment = Completion(
        named={**named, **versions},
        specifiers=specifiers,
        index=index,
        companions=companions,
        python=PYTHON,
    ).run()
    return check_environment(environment, index, companions, ["serve"])


def _requirements(root: Path) -> Iterator[Requirement]:
    """Yield the requirements in the project's requirements.txt and pyproject.toml."""
    with contextlib.suppress(CompatError):
        yield from read_requirements(root / "requirements.txt")
    for text in _project_dependencies(root / "pyproject.toml"):
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement


def _project_dependencies(path: Path) -> list[str]:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
        return [each for each in project.get("dependencies", []) if isinstance(each, str)]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
