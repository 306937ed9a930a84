"""Put the packages of an upgrade together: the newest pair, what else breaks beside it, how to install it."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from compat.model.releases import PACKAGES, SGLANG, VLLM
from compat.partners.indirect_clashes import known_requirements, predicted_clashes
from compat.partners.overrides import choose
from compat.partners.ranking import Partner, rank
from compat.requirements.release_requirements import requirements_of
from compat.requirements.release_summary import PYTHON
from compat.sources.demands import CompanionsOfSources
from compat.sources.stores.addresses import parse_address
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
    addresses: Mapping[str, str] = field(default_factory=dict)
    """The package to the checkout or build that its version stands for."""

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that install the releases."""
        if self.addresses:
            return self._source_commands
        if {SGLANG, VLLM} <= self.versions.keys():
            pair = f"compat pairs {self.versions[SGLANG]} {self.versions[VLLM]}"
            return (
                f"{pair} --format requirements > requirements-pair.txt",
                "uv pip install --no-deps -r requirements-pair.txt",
            )
        return tuple(f"uv pip install '{name}=={version}'" for name, version in self.versions.items())

    @property
    def _source_commands(self) -> tuple[str, ...]:
        """The commands for a checkout or a build; an environment has it already."""
        parts = [
            _install_target(self.addresses[name], name) if name in self.addresses else f"{name}=={version}"
            for name, version in self.versions.items()
        ]
        targets = [shlex.quote(each) for each in parts if each]
        if not targets:
            return ()
        if not self.overrides:
            return (f"uv pip install {' '.join(targets)}",)
        lines = " ".join(map(shlex.quote, self.overrides))
        return (
            f"printf '%s\\n' {lines} > overrides.txt",
            f"uv pip install --overrides overrides.txt {' '.join(targets)}",
        )

    def as_document(self) -> dict[str, Any]:
        """Return the proposal as an object of the JSON document."""
        return {
            "versions": dict(self.versions),
            "problem": self.problem or None,
            "overrides": list(self.overrides),
            "third_packages": list(self.third),
            "commands": list(self.commands),
        }


def propose(
    index: Index,
    upgrades: Sequence[PackageUpgrade],
    root: Path,
    *,
    fixed: bool,
    addresses: Mapping[str, str] | None = None,
) -> Proposal:
    """Return the newest releases that the code works with and that go together.

    Args:
        index: the index of releases.
        upgrades: how far the code can go with each package.
        root: the folder of the project, whose other requirements count.
        fixed: whether safe fixes are written.
        addresses: the sources among the releases, by `package==version`.
    """
    releases = {each.package: each.reachable(fixed=fixed) for each in upgrades}
    newest = {package: found[-1] for package, found in releases.items()}
    sources = {
        package: (addresses or {})[f"{package}=={version}"]
        for package, version in newest.items()
        if f"{package}=={version}" in (addresses or {})
    }
    if len(releases) < 2:
        third = tuple(_third(newest, index, root))
        return Proposal(versions=newest, third=third, addresses=sources)
    if sources:
        return _with_sources(newest, index, root, sources)
    released = {
        package: [
            each for each in found if index.addition(package, index.versions(package).index(each)) is None
        ]
        for package, found in releases.items()
    }
    partner = _newest_pair(index, released)
    if partner is None:
        return Proposal(versions=newest, problem="no two releases that the code works with go together")
    versions = {partner.sglang.package: partner.sglang.version, partner.vllm.package: partner.vllm.version}
    return Proposal(
        versions=versions,
        overrides=(
            *(clash.package for clash in partner.clashes),
            *(clash.package for clash in partner.indirect),
        ),
        third=tuple(_third(versions, index, root)),
    )


def _with_sources(
    versions: Mapping[str, str], index: Index, root: Path, addresses: Mapping[str, str]
) -> Proposal:
    """Return a pair of which one side or both are a checkout or a build, judged by their metadata."""
    sglang, vllm = (
        requirements_of(
            package, index.releases(package)[index.versions(package).index(versions[package])], PYTHON
        )
        for package in (SGLANG, VLLM)
    )
    clashes = predicted_clashes(sglang, vllm, known_requirements(Companions(), PYTHON))
    unjudged = "What the two import from each other is not judged: that is known for pairs of releases."
    return Proposal(
        versions=versions,
        overrides=tuple(str(choose(clash)) for clash in clashes),
        third=(*_third(versions, index, root), unjudged),
        addresses=addresses,
    )


def _install_target(text: str, package: str) -> str:
    """Return what an installer takes for a source; empty for an environment, which has it installed."""
    address = parse_address(text)
    if address.form == "git":
        return f"{package} @ git+file://{Path(address.path).resolve()}@{address.ref}"
    return "" if address.form == "environment" else address.path


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
    companions = CompanionsOfSources(index.files) if index.files else Companions()
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
