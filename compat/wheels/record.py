"""Read the RECORD file of a wheel, and verify files against the digests in it."""

import base64
import csv
import hashlib
import io
from collections.abc import Mapping

from compat.errors import IntegrityError

ALGORITHMS = ("sha256", "sha384", "sha512")
"""The hash algorithms that the wheel format allows."""


def read_record(wheel: str, text: str) -> Mapping[str, str]:
    """Return a mapping of path to digest, as written in RECORD (`sha256=…`).

    Args:
        wheel: the file name, for errors.
        text: the content of RECORD.

    Raises:
        IntegrityError: the text is not a valid RECORD.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise IntegrityError(f"{wheel}: its RECORD cannot be read ({error})") from None
    if any(len(row) < 2 for row in rows):
        raise IntegrityError(f"{wheel}: its RECORD cannot be read (a line has no digest column)")
    return {row[0]: row[1] for row in rows}


def verify(wheel: str, path: str, content: bytes, record: Mapping[str, str]) -> None:
    """Check the content of one file of `wheel` against its RECORD.

    Raises:
        IntegrityError: RECORD has no digest for the file, or a different one.
    """
    algorithm, _, digest = record.get(path, "").partition("=")
    if algorithm not in ALGORITHMS or not digest:
        raise IntegrityError(f"{wheel}: {path} has no digest in RECORD; the wheel cannot be trusted")
    actual = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode("ascii")
    if actual != digest.rstrip("="):
        raise IntegrityError(
            f"{wheel}: {path} differs from its digest in RECORD; the wheel cannot be trusted"
        )
