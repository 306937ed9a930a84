"""Releases and pairs of releases, and functions that parse and compare versions."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from compat.errors import UsageError
from compat.model.package_names import IMPORT_NAMES, KERNELS, PACKAGES, SGLANG, VLLM

if TYPE_CHECKING:  # importing these would take longer than most answers
    from collections.abc import Sequence

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

__all__ = ["IMPORT_NAMES", "KERNELS", "PACKAGES", "SGLANG", "VLLM"]
__all__ += [
    "KnownFailure",
    "Pair",
    "Release",
    "ReleaseMetadata",
    "allows",
    "marker_variables",
    "newest",
    "parse_version",
]


def parse_version(text: str, where: str) -> Version:
    """Return `text` as a `packaging` version.

    Args:
        text: the version.
        where: its source, for the error message: `--vllm` or `pair.seed.vllm`.

    Raises:
        UsageError: `text` is not a version.
    """
    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{where}: {text!r} is not a version (example: 0.9.0.1)") from None


def marker_variables(python: str, patch: int) -> dict[str, str]:
    """Return the marker variables of an environment: CPython on Linux x86-64.

    Args:
        python: `X.Y`.
        patch: the patch release, for markers on `python_full_version`.
    """
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.{patch}",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.{patch}",
        "python_version": python,
        "sys_platform": "linux",
    }


def newest(versions: "Sequence[str]") -> int:
    """Return the index of the newest final version, or of the newest pre-release if none is final."""
    parsed = [Version(version) for version in versions]
    return max(range(len(parsed)), key=lambda at: (not parsed[at].is_prerelease, parsed[at]))


def allows(specifiers: "SpecifierSet", version: str) -> bool:
    """Return whether an installed version satisfies a requirement's specifiers; pre-releases may.

    A version that does not follow PEP 440, as old installers accepted, satisfies only an empty specifier.
    """
    try:
        return not specifiers or specifiers.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Release:
    """One published version of one package."""

    package: "NormalizedName"
    version: Version

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseMetadata:
    """One published release: the name and digest of its wheel, and the metadata in it."""

    version: str
    wheel: str
    sha256: str
    uploaded: str | None
    """ISO date and time, UTC."""
    requires_python: str | None
    requires_dist: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One sglang release and one vllm release in one environment; either may be absent."""

    id: str
    python: str
    """The Python version of the pair's environment, `X.Y`."""
    sglang: Version | None = None
    sglang_extras: tuple[str, ...] = ()
    vllm: Version | None = None
    overrides: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Package name to the specifier that uv uses instead of the releases' own requirement."""
    expect: tuple["KnownFailure", ...] = ()
    tests: str = ""
    """The command of pytest that runs the user's own tests, such as `pytest -m engine`."""
    tests_install: tuple[str, ...] = ()
    """What these tests require beside the pair and pytest."""

    @property
    def releases(self) -> tuple[Release, ...]:
        """The releases of the pair, sglang first."""
        return tuple(
            Release(package=package, version=version)
            for package, version in ((SGLANG, self.sglang), (VLLM, self.vllm))
            if version is not None
        )

    @property
    def requirements(self) -> "tuple[Requirement, ...]":
        """The requirements to pass to an installer, one exact pin for each release."""
        from packaging.requirements import Requirement

        return tuple(
            Requirement(f"{release.package}{self._extras(release)}=={release.version}")
            for release in self.releases
        )

    def describe(self) -> str:
        """Return the pair as text for people: `sglang 0.4.7[srt] + vllm 0.9.0.1`."""
        return " + ".join(f"{release}{self._extras(release)}" for release in self.releases)

    def _extras(self, release: Release) -> str:
        wanted = self.sglang_extras if release.package == SGLANG else ()
        return f"[{','.join(wanted)}]" if wanted else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """A reviewed disagreement of a cell, an `expect` entry of `matrix.toml`."""

    location: str
    """A glob that matches `module`, `module:name` or `layer:package/scheme/way/dtype`."""
    reason: str
    link: str = ""
    when: str = "always"
    """The machines on which it is expected: `always`, `no-cuda` or `cuda`."""
    spreads: bool = False
    """Whether the location is a module that fails to import, so that modules which import it fail, too."""

    def applies(self, *, cuda: bool | None) -> bool:
        """Return whether the failure is expected on a machine; `cuda` is None if its devices are unknown."""
        return self.when == "always" or (cuda is not None and self.when == ("cuda" if cuda else "no-cuda"))
