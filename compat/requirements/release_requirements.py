"""What one release asks for on Linux x86-64 with CUDA, read from its metadata in the index."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from types import MappingProxyType

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat.index.writer import ReleaseRow
from compat.model.releases import SGLANG, Release, marker_variables

TORCH = canonicalize_name("torch")
PYTHON = "3.11"
"""For which the requirements are read unless another is asked for."""
SERVING = "srt"
"""The extra that held sglang's own runtime up to 0.5.2; later releases ask for it without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The requirements of a release that apply to one Python."""

    release: Release
    extras: tuple[str, ...]
    """The extras without which the release does not run."""
    python: SpecifierSet
    uploaded: date | None
    wants: Mapping[NormalizedName, SpecifierSet]
    """Distribution to what it may be; an empty set allows any version."""
    extras_of: Mapping[NormalizedName, frozenset[str]]
    """The extras that it asks of those distributions."""

    @property
    def torch(self) -> Version | None:
        """The version of torch that it pins, when it pins one."""
        return pinned(self.wants.get(TORCH))

    def runs_on(self, python: str) -> bool:
        """Return whether Requires-Python allows the Python `X.Y`."""
        return self.python.contains(f"{python}.99", prereleases=True)

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.release.package}{extras} {self.release.version}"


def needs_of(package: NormalizedName, row: ReleaseRow, python: str) -> Needs:
    """Return what a release asks for with the Python `X.Y`, its necessary extras included.

    Args:
        package: sglang, vllm or one of the kernel packages.
        row: the release's metadata.
        python: for which Python the markers are evaluated; the platform is Linux on x86-64.
    """
    extras = (SERVING,) if package == SGLANG and _needs_extra(row.requires_dist, python) else ()
    wants, extras_of = _collect(package, row.requires_dist, python, extras)
    return Needs(
        release=Release(package=package, version=Version(row.version)),
        extras=extras,
        python=_python(row.requires_python),
        uploaded=date.fromisoformat(row.uploaded[:10]) if row.uploaded else None,
        wants=MappingProxyType(wants),
        extras_of=MappingProxyType(extras_of),
    )


def pinned(specifiers: SpecifierSet | None) -> Version | None:
    """Return the one version that a requirement allows when it is an exact pin."""
    pins = [each for each in specifiers or () if each.operator == "==" and not each.version.endswith("*")]
    return Version(pins[0].version) if pins else None


def _needs_extra(lines: Iterable[str], python: str) -> bool:
    """Tell whether torch is asked for by the serving extra and by nothing else."""
    asking = [parsed for parsed in map(_parsed, lines) if canonicalize_name(parsed.name) == TORCH]
    plain = any(_applies(str(parsed), python, "") for parsed in asking)
    return not plain and any(_applies(str(parsed), python, SERVING) for parsed in asking)


def _collect(
    package: NormalizedName, lines: Iterable[str], python: str, extras: tuple[str, ...]
) -> tuple[dict[NormalizedName, SpecifierSet], dict[NormalizedName, frozenset[str]]]:
    """Return distributions with specifiers and extras; extras that ask for other extras are followed."""
    lines = tuple(lines)
    wants: dict[NormalizedName, SpecifierSet] = {}
    extras_of: dict[NormalizedName, frozenset[str]] = {}
    queue, done = ["", *extras], set[str]()
    while queue:
        extra = queue.pop()
        done.add(extra)
        for line in lines:
            if not _applies(line, python, extra):
                continue
            requirement = _parsed(line)
            name = canonicalize_name(requirement.name)
            if name == package:
                queue += sorted({canonicalize_name(each) for each in requirement.extras} - done)
                continue
            wants[name] = wants.get(name, SpecifierSet()) & requirement.specifier
            extras_of[name] = extras_of.get(name, frozenset()) | requirement.extras
    return wants, extras_of


@cache
def _parsed(line: str) -> Requirement:
    return Requirement(line)


@cache
def _applies(line: str, python: str, extra: str) -> bool:
    marker = _parsed(line).marker
    return marker is None or marker.evaluate({**marker_variables(python, 0), "extra": extra})


def _python(text: str | None) -> SpecifierSet:
    try:
        return SpecifierSet(text or "")
    except InvalidSpecifier:
        return SpecifierSet()  # installers pass over a specifier that they cannot read
