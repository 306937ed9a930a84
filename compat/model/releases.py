"""Releases and pairs: the two nouns that everything else is about."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from compat.errors import UsageError
from compat.model.package_names import IMPORT_NAMES, KERNELS, PACKAGES, SGLANG, VLLM

if TYPE_CHECKING:  # loading these takes longer than most answers
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
    """Return `text` as a version.

    Args:
        text: a version as people write it.
        where: what to name in the error, such as `--vllm` or `pair.seed.vllm`.

    Raises:
        UsageError: it is no version.
    """
    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{where}: {text!r} is not a version (write one such as 0.9.0.1)") from None


def marker_variables(python: str, patch: int) -> dict[str, str]:
    """Return what markers may ask for where environments are made: by CPython, on Linux x86-64.

    Args:
        python: `X.Y`.
        patch: which release of it; markers may ask for that, too.
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
    """Return the position of what `latest` means: the newest final version, else the newest."""
    parsed = [Version(version) for version in versions]
    return max(range(len(parsed)), key=lambda at: (not parsed[at].is_prerelease, parsed[at]))


def allows(specifiers: "SpecifierSet", version: str) -> bool:
    """Return whether a version that is installed, of whatever form, is what a requirement asks for.

    Pre-releases count. What is no version, as old installers let in, meets only what asks for none.
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
    """One published release: its wheel by name and digest, and what the wheel says of itself."""

    version: str
    wheel: str
    sha256: str
    uploaded: str | None
    """ISO date and time, UTC."""
    requires_python: str | None
    requires_dist: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One sglang release beside one vllm release; either may be absent."""

    id: str
    python: str
    """`X.Y`, the Python of the pair's environment."""
    sglang: Version | None = None
    sglang_extras: tuple[str, ...] = ()
    vllm: Version | None = None
    overrides: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Package name to specifier: what uv must take instead of what the releases ask for."""
    expect: tuple["KnownFailure", ...] = ()

    @property
    def releases(self) -> tuple[Release, ...]:
        """The releases the pair consists of, sglang first."""
        return tuple(
            Release(package=package, version=version)
            for package, version in ((SGLANG, self.sglang), (VLLM, self.vllm))
            if version is not None
        )

    @property
    def requirements(self) -> "tuple[Requirement, ...]":
        """What an installer is asked for."""
        from packaging.requirements import Requirement

        return tuple(
            Requirement(f"{release.package}{self._extras(release)}=={release.version}")
            for release in self.releases
        )

    def describe(self) -> str:
        """Return the pair as people say it: `sglang 0.4.7[srt] + vllm 0.9.0.1`."""
        return " + ".join(f"{release}{self._extras(release)}" for release in self.releases)

    def _extras(self, release: Release) -> str:
        wanted = self.sglang_extras if release.package == SGLANG else ()
        return f"[{','.join(wanted)}]" if wanted else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """A disagreement between index and run time that has been looked into."""

    location: str
    """A glob over `module` or `module:name`."""
    reason: str
    link: str = ""
    when: str = "always"
    """`always`, `no-cuda` or `cuda`: on which machines it is expected."""
    spreads: bool = False
    """The location is a module that cannot be imported there at all, so what needs it cannot either."""

    def applies(self, *, cuda: bool | None) -> bool:
        """Return whether it is expected with or without a CUDA device; None is an unknown machine."""
        return self.when == "always" or (cuda is not None and self.when == ("cuda" if cuda else "no-cuda"))
