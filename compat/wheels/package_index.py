"""List the wheels of a distribution on the configured package index."""

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import pypi_simple
import requests
from packaging.tags import Tag
from packaging.utils import (
    BuildTag,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_wheel_filename,
)
from packaging.version import Version

from compat.errors import IntegrityError, NetworkError, UsageError
from compat.wheels.http_session import ADVICE, network_errors, open_session, pieces
from compat.wheels.index_page import read_page
from compat.wheels.index_url import index_url

LARGEST_PAGE = 32_000_000
"""Bytes of a project page; that of torch, with all its nightly builds, has a few million."""

LONGEST_NAME = 255
"""Bytes of a file name: no file system has a longer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """One wheel, as the package index lists it."""

    package: NormalizedName
    version: Version
    filename: str
    url: str
    sha256: str
    """Hexadecimal, as the index states it."""
    size: int | None
    """Bytes; None when the index does not state it."""
    uploaded: datetime | None
    requires_python: str | None
    yanked: bool
    metadata_sha256: str | None = None
    """Hexadecimal digest of METADATA; None when the index does not state it."""

    @property
    def tags(self) -> frozenset[Tag]:
        """The compatibility tags in the file name."""
        return parse_wheel_filename(self.filename)[3]

    @property
    def build(self) -> BuildTag:
        """The build tag in the file name; `()` when it has none."""
        return parse_wheel_filename(self.filename)[2]

    def __str__(self) -> str:
        return self.filename


class Registry:
    """A client of the package index that reads each project page once; `with` closes its connections."""

    def __init__(self, session: requests.Session | None = None, endpoint: str | None = None) -> None:
        """Set up the client; the first query connects.

        Args:
            session: the session for pages and files; None for a new one with retries.
            endpoint: URL of a simple index; None for the one that uv or pip is configured with.
        """
        self.session = open_session() if session is None else session
        self._client = pypi_simple.PyPISimple(
            endpoint=endpoint or index_url() or pypi_simple.PYPI_SIMPLE_ENDPOINT, session=self.session
        )
        self._pages: dict[NormalizedName, tuple[WheelFile, ...]] = {}

    def __enter__(self) -> "Registry":  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *error: object) -> None:
        self.session.close()

    def files(self, package: str) -> tuple[WheelFile, ...]:
        """Return every wheel of `package`, sorted by version, then by file name.

        Raises:
            UsageError: the index has no such package.
            NetworkError: the index cannot be reached, or its response cannot be read.
            IntegrityError: the index states no digest for a wheel.
        """
        name = canonicalize_name(package)
        if name not in self._pages:
            wheels = (_wheel(name, file) for file in self._page(name).packages)
            found = [wheel for wheel in wheels if wheel is not None]
            self._pages[name] = tuple(sorted(found, key=lambda wheel: (wheel.version, wheel.filename)))
        return self._pages[name]

    def wheels(self, package: str) -> tuple[WheelFile, ...]:
        """Return one wheel for each release of `package`, pre-releases included, in version order.

        It is the wheel to read sources from: one for Linux on x86-64 or for any platform is preferred, then
        the latest build. The errors are those of `files`.
        """
        releases = groupby(self.files(package), key=lambda wheel: wheel.version)
        return tuple(max(group, key=_preference) for _, group in releases)

    def wheel(self, package: str, version: Version) -> WheelFile:
        """Return the wheel to read the sources of one release from.

        Raises:
            UsageError: the release does not exist or has no wheel; the message names the nearest ones.
        """
        wheels = self.wheels(package)
        versions = [wheel.version for wheel in wheels]
        position = bisect.bisect_left(versions, version)
        if position < len(versions) and versions[position] == version:
            return wheels[position]
        nearest = ", ".join(str(near) for near in versions[max(0, position - 2) : position + 2])
        hint = f"nearest: {nearest}" if nearest else "no version of it has a wheel"
        raise UsageError(f"the package index has no wheel of {canonicalize_name(package)} {version} ({hint})")

    def _page(self, name: NormalizedName) -> pypi_simple.ProjectPage:
        what, url = f"cannot list the wheels of {name}", self._client.get_project_url(name)
        headers = {"Accept": self._client.accept}
        with network_errors(what, url), self.session.get(url, headers=headers, stream=True) as response:
            if response.status_code == 404:
                raise UsageError(f"the package index has no package {name}; check the spelling")
            response.raise_for_status()
            content = b"".join(pieces(response, what, LARGEST_PAGE))
        try:
            return read_page(content, response.headers.get("Content-Type", "text/html"), response.url, name)
        except (ValueError, RecursionError, pypi_simple.UnsupportedRepoVersionError) as error:
            reason = f"the response of the package index cannot be read ({type(error).__name__})"
            raise NetworkError(f"{what}: {reason}; {ADVICE}") from error


def _wheel(package: NormalizedName, file: pypi_simple.DistributionPackage) -> WheelFile | None:
    if not file.filename.endswith(".whl") or len(file.filename) > LONGEST_NAME:
        return None
    try:
        name, version, _, _ = parse_wheel_filename(file.filename)
    except InvalidWheelFilename:
        return None  # installers ignore it as well
    if name != package:
        return None
    sha256 = _sha256(file.digests)
    if sha256 is None:
        raise IntegrityError(
            f"{file.filename}: the package index states no sha256 for it; configure an index that does"
        )
    return WheelFile(
        package=package,
        version=version,
        filename=file.filename,
        url=file.url,
        sha256=sha256,
        size=file.size,
        uploaded=file.upload_time,
        requires_python=file.requires_python,
        yanked=file.is_yanked,
        metadata_sha256=_sha256(file.metadata_digests or {}),
    )


def _sha256(digests: Mapping[str, str]) -> str | None:
    found = digests.get("sha256", "").lower()
    return found if re.fullmatch("[0-9a-f]{64}", found) else None


def _preference(wheel: WheelFile) -> tuple[bool, BuildTag, str]:
    platforms = {tag.platform for tag in wheel.tags}
    usual = any(name == "any" or (name.endswith("x86_64") and "linux" in name) for name in platforms)
    return usual, wheel.build, wheel.filename
