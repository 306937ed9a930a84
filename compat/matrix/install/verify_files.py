"""Verify installed files against the RECORD of their wheels, since a damaged cache is not a finding."""

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from compat.errors import PreparationError
from compat.requirements.file_owners import digest_of

CACHE = (
    'uv\'s cache is damaged, or another program writes here; run "uv cache clean {name}", then the cell again'
)


def check_installed(sites: Iterable[Path], distributions: Collection[str], remedy: str = "") -> None:
    """Check the files of some distributions against RECORD: all sizes, and the digests of Python files.

    Other distributions are not checked, since two wheels may contain the same file, and one overwrites it.

    Args:
        sites: the site-packages folders.
        distributions: normalized names of the distributions to check.
        remedy: what the error message recommends; by default, to clean uv's cache.

    Raises:
        PreparationError: a file is missing or differs from the wheel's; the message names the first one.
    """
    for record in sorted(path for site in sites for path in site.glob("*.dist-info/RECORD")):
        name = canonicalize_name(record.parent.name.removesuffix(".dist-info").rpartition("-")[0])
        problem = next(_problems(record), None) if name in distributions else None
        if problem:
            raise PreparationError(f"{problem}: {remedy or CACHE.format(name=name)}")


def _problems(record: Path) -> Iterator[str]:
    site = record.parent.parent
    try:
        with record.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if len(row) == 3]
    except (UnicodeDecodeError, csv.Error) as error:
        yield f"{record.parent.name}/RECORD cannot be read ({error})"
        return
    for path, digest, size in rows:
        # Installers write metadata files themselves, and scripts to a folder outside site-packages.
        if not size or path.startswith("..") or ".dist-info/" in path:
            continue
        file = site / path
        if not file.is_file():
            yield f"{path} is missing"
        elif str(file.stat().st_size) != size:
            yield f"{path} has {file.stat().st_size} bytes instead of {size} as in its wheel"
        elif path.endswith(".py") and digest.startswith("sha256=") and digest_of(file) != digest:
            yield f"{path} differs from the file in its wheel"
