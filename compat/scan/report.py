"""All that a scan says: what every format is made from."""

from typing import NamedTuple

from compat.scan.discovery import Skipped
from compat.scan.findings import Finding


class Releases(NamedTuple):
    """The releases of a package that were asked about."""

    package: str
    versions: tuple[str, ...]
    source: str
    """Why these."""


class Report(NamedTuple):
    """What a scan found."""

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    """What was not read, and why."""
    spans: tuple[Releases, ...]
    files: int
    """Source files that were looked at."""
    parsed: int
    """Those that name one of the packages."""
