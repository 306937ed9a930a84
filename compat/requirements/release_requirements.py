"""The requirements of one release on Linux x86-64 with CUDA, from its metadata in the index."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat.model.releases import SGLANG, Release, ReleaseMetadata, marker_variables
from compat.requirements.graph import RequirementGraph
from compat.requirements.release_summary import KERNEL_PACKAGES, SERVING, ReleaseSummary, Wanted
from compat.requirements.specifiers import pinned, python_specifier

TORCH = canonicalize_name("torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequirements:
    """The requirements of a release on one Python version."""

    release: Release
    extras: tuple[str, ...]
    """The extras that the release needs to run."""
    python: SpecifierSet
    uploaded: date | None
    wants: Mapping[NormalizedName, SpecifierSet]
    """Maps each distribution to its specifier; an empty specifier allows any version."""
    extras_of: Mapping[NormalizedName, frozenset[str]]
    """The required extras of these distributions."""

    @property
    def torch(self) -> Version | None:
        """The version of torch that the release pins; None if it does not pin one."""
        return pinned(self.wants.get(TORCH))

    @property
    def summary(self) -> ReleaseSummary:
        """The summary of these requirements, for rankings and tables."""
        return ReleaseSummary(
            package=self.release.package,
            version=str(self.release.version),
            extras=self.extras,
            uploaded=self.uploaded.isoformat() if self.uploaded else None,
            python=str(self.python),
            wants={name: wanted(each) for name, each in self.wants.items() if name in KERNEL_PACKAGES},
        )

    def runs_on(self, python: str) -> bool:
        """Return whether Requires-Python admits the Python version `X.Y`."""
        return self.python.contains(f"{python}.99", prereleases=True)

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.release.package}{extras} {self.release.version}"


def requirements_of(package: NormalizedName, row: ReleaseMetadata, python: str) -> ReleaseRequirements:
    """Return the requirements of a release on the Python version `X.Y`, with those of its necessary extras.

    Args:
        package: sglang, vllm or a kernel package.
        row: the release's metadata.
        python: the Python version for markers; the platform is Linux on x86-64.
    """
    graph = RequirementGraph({package: row.version}, lambda _: row.requires_dist, marker_variables(python, 0))
    extras = (SERVING,) if package == SGLANG and _needs_extra(graph, package) else ()
    wants: dict[NormalizedName, SpecifierSet] = {}
    extras_of: dict[NormalizedName, frozenset[str]] = {}
    for edge in graph.walk((package, extra) for extra in ("", *extras)):
        name, asked = edge.name, edge.requirement
        if name != package:
            wants[name] = wants[name] & asked.specifier if name in wants else asked.specifier
            extras_of[name] = extras_of.get(name, frozenset()) | asked.extras
    return ReleaseRequirements(
        release=Release(package=package, version=Version(row.version)),
        extras=extras,
        python=python_specifier(row.requires_python),
        uploaded=date.fromisoformat(row.uploaded[:10]) if row.uploaded else None,
        wants=MappingProxyType(wants),
        extras_of=MappingProxyType(extras_of),
    )


def _needs_extra(graph: RequirementGraph, package: str) -> bool:
    """Return whether only the serving extra of a release requires torch."""
    plain, serving = ({edge.name for edge in graph.edges(package, extra)} for extra in ("", SERVING))
    return TORCH in serving - plain


def wanted(specifier: SpecifierSet) -> Wanted:
    """Return the specifier of a requirement."""
    pin = pinned(specifier)
    return Wanted(str(specifier), None if pin is None else str(pin))
