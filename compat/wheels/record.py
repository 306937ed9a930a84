"""The RECORD of a wheel: the digest that its builder promises for each file."""

import base64
import csv
import hashlib
import io
from collections.abc import Mapping

from compat.errors import IntegrityError

ALGORITHMS = ("sha256", "sha384", "sha512")
"""What the wheel format allows."""


def read_record(wheel: str, text: str) -> Mapping[str, str]:
    """Return path to digest, written as in RECORD (`sha256=…`).

    Raises:
        IntegrityError: it is no RECORD.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise IntegrityError(f"{wheel}: its RECORD cannot be read ({error})") from None
    if any(len(row) < 2 for row in rows):
        raise IntegrityError(f"{wheel}: its RECORD cannot be read (a line without a digest column)")
    return {row[0]: row[1] for row in rows}


def verify(wheel: str, path: str, content: bytes, record: Mapping[str, str]) -> None:
    """Check one file of `wheel` against its RECORD.

    Raises:
        IntegrityError: there is no digest for it, or another one.
    """
    promised = record.get(path, "")
    algorithm, _, digest = promised.partition("=")
    if algorithm not in ALGORITHMS or not digest:
        raise IntegrityError(f"{wheel}: {path} has no digest in RECORD; the wheel cannot be trusted")
    actual = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode("ascii")
    if actual != digest.rstrip("="):
        raise IntegrityError(
            f"{wheel}: {path} differs from its digest in RECORD; the wheel cannot be trusted"
        )
