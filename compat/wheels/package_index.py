"""Lists the wheels of a distribution on the configured package index."""

import bisect
import re
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
from compat.wheels.http_session import ADVICE, network_errors, open_session
from compat.wheels.index_url import index_url


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """One wheel as the index lists it."""

    package: NormalizedName
    version: Version
    filename: str
    url: str
    sha256: str
    """Hexadecimal, as the index promises it."""
    size: int | None
    """Bytes, when the index tells."""
    uploaded: datetime | None
    requires_python: str | None
    yanked: bool

    @property
    def tags(self) -> frozenset[Tag]:
        """The environments that the file name claims."""
        return parse_wheel_filename(self.filename)[3]

    @property
    def build(self) -> BuildTag:
        """The build tag of the file name, `()` when it has none."""
        return parse_wheel_filename(self.filename)[2]

    def __str__(self) -> str:
        return self.filename


class Registry:
    """The package index, each project page read once; `with` closes its connections."""

    def __init__(self, session: requests.Session | None = None, endpoint: str | None = None) -> None:
        """Connect to nothing yet.

        Args:
            session: the session to use for pages and files; a new patient one when None.
            endpoint: address of a simple index; when None the one that uv or pip is configured with.
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
        """Return every wheel of `package`, by version, then by name.

        Raises:
            UsageError: the index has no such package.
            NetworkError: the index cannot be reached or understood.
            IntegrityError: the index promises no digest for a wheel.
        """
        name = canonicalize_name(package)
        if name not in self._pages:
            wheels = (_wheel(name, file) for file in self._page(name).packages)
            found = [wheel for wheel in wheels if wheel is not None]
            self._pages[name] = tuple(sorted(found, key=lambda wheel: (wheel.version, wheel.filename)))
        return self._pages[name]

    def wheels(self, package: str) -> tuple[WheelFile, ...]:
        """Return one wheel for each release of `package`, pre-releases included, in version order.

        It is the wheel to read sources from: one for Linux on x86-64, or for any platform, before all others;
        then the latest build. The errors are those of `files`.
        """
        releases = groupby(self.files(package), key=lambda wheel: wheel.version)
        return tuple(max(group, key=_preference) for _, group in releases)

    def wheel(self, package: str, version: Version) -> WheelFile:
        """Return the wheel of one release to read sources from.

        Raises:
            UsageError: there is no such release, or none with a wheel; the nearest ones are named.
        """
        wheels = self.wheels(package)
        versions = [wheel.version for wheel in wheels]
        place = bisect.bisect_left(versions, version)
        if place < len(versions) and versions[place] == version:
            return wheels[place]
        nearest = ", ".join(str(near) for near in versions[max(0, place - 2) : place + 2])
        hint = f"the nearest are {nearest}" if nearest else "it has none of any other version either"
        raise UsageError(f"the package index has no wheel of {canonicalize_name(package)} {version}; {hint}")

    def _page(self, name: NormalizedName) -> pypi_simple.ProjectPage:
        what = f"cannot list the wheels of {name}"
        try:
            with network_errors(what, self._client.endpoint):
                return self._client.get_project_page(name)
        except pypi_simple.NoSuchProjectError:
            raise UsageError(f"the package index has no package {name}; check the spelling") from None
        except (ValueError, pypi_simple.UnsupportedRepoVersionError) as error:
            reason = f"the index answers in a form that cannot be read ({type(error).__name__})"
            raise NetworkError(f"{what}: {reason}; {ADVICE}") from error


def _wheel(package: NormalizedName, file: pypi_simple.DistributionPackage) -> WheelFile | None:
    if not file.filename.endswith(".whl"):
        return None
    try:
        name, version, _, _ = parse_wheel_filename(file.filename)
    except InvalidWheelFilename:
        return None  # an installer passes over it as well
    if name != package:
        return None
    sha256 = file.digests.get("sha256", "").lower()
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise IntegrityError(
            f"{file.filename}: the package index promises no sha256 for it; use one that does"
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
    )


def _preference(wheel: WheelFile) -> tuple[bool, BuildTag, str]:
    platforms = {tag.platform for tag in wheel.tags}
    usual = any(name == "any" or (name.endswith("x86_64") and "linux" in name) for name in platforms)
    return usual, wheel.build, wheel.filename
