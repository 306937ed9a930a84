"""Is what was installed what the wheels hold? A damaged cache is no finding about a release."""

import base64
import csv
import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from compat.errors import PreparationError

CACHE = (
    "uv's cache is damaged, or another program writes here; run `uv cache clean {name}`, then the cell again"
)


def check_installed(sites: Iterable[Path], distributions: Collection[str], remedy: str = "") -> None:
    """Compare some distributions with their RECORD files: sizes, digests of Python files.

    Others are left alone: where two wheels bring the same file, one of them has lost.

    Args:
        sites: the folders they stand in.
        distributions: those under test, by normalised name.
        remedy: what to do about a damaged one; unless told, what helps when uv has just installed it.

    Raises:
        PreparationError: a file is missing or another than the wheel's; the message names the first.
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
        # The installer writes its own files, and those in `bin`, which stand elsewhere.
        if not size or path.startswith("..") or ".dist-info/" in path:
            continue
        file = site / path
        if not file.is_file():
            yield f"{path} is missing"
        elif str(file.stat().st_size) != size:
            yield f"{path} has {file.stat().st_size} bytes, its wheel says {size}"
        elif path.endswith(".py") and digest.startswith("sha256="):
            content = hashlib.sha256(file.read_bytes()).digest()
            if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != digest.removeprefix("sha256="):
                yield f"{path} is not the file of its wheel"
