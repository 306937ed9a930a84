"""A wheel on a server as a seekable file that downloads only the byte ranges that are read."""

import hashlib
import io
import re
import tempfile
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

import requests
import urllib3

from compat._cli.progress import Progress, Silent
from compat._cli.text import size
from compat.errors import IntegrityError, NetworkError
from compat.wheels.http_session import ADVICE, network_errors, pieces
from compat.wheels.package_index import WheelFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TAIL = 96 * 1024
"""Bytes of the first request, from the end of the file. The end record of a zip is in the last 66 kB, and the
central directory of most wheels fits in here too, so that one request is enough for them."""

GAP = 128 * 1024
"""The largest gap in bytes between two ranges that one request covers. Another request costs about a tenth of
a second, in which an ordinary connection transfers at least this much."""

ATTEMPTS = 3
"""How many times a request is sent whose response is cut short."""

LARGEST_RANGE = 512_000_000
"""Bytes of one range, which is kept in memory; the Python files of the largest wheels have 40 million."""

LARGEST_WHEEL = 20_000_000_000
"""Bytes of a wheel that is downloaded whole although the index does not state its size."""

_CHUNK = 1 << 20

Range = tuple[int, int]
"""The first byte, and the byte after the last."""


class RemoteFile(io.RawIOBase):
    """A read-only file over HTTP byte ranges, with the methods that `zipfile` needs.

    From a server without range support, the whole file is downloaded once, into a temporary file.
    """

    def __init__(
        self,
        wheel: WheelFile,
        session: requests.Session,
        progress: Progress | None = None,
        *,
        whole: bool = False,
    ) -> None:
        """Fetch the end of the file, or all of it.

        Args:
            wheel: the wheel to read.
            session: the HTTP session.
            progress: gets a note when the whole file must be downloaded.
            whole: whether to download the whole file and verify its digest; of ranges, only the length can
                be compared with what the index states.

        Raises:
            NetworkError: the server cannot be reached, or sends an invalid response.
            IntegrityError: size or digest differ from what the index states.
        """
        super().__init__()
        self.fetched = 0
        """Bytes downloaded so far."""
        self._wheel = wheel
        self._session = session
        self._progress = progress or Silent()
        self._size = wheel.size
        self._position = 0
        self._spans: list[tuple[int, bytes]] = []
        self._whole: IO[bytes] | None = None
        self._asked_whole = whole
        self._ask(None if self._size is None else _tail(self._size))

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        assert self._size is not None  # noqa: S101 - the first response states it
        return self._size

    def prefetch(self, ranges: Iterable[Range]) -> None:
        """Fetch `ranges` in few requests, so that reading them later needs none."""
        missing = sorted(gap for wanted in ranges for gap in self._missing(*wanted))
        joined: list[Range] = []
        for start, stop in missing:
            if joined and start - joined[-1][1] <= GAP:
                joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
            else:
                joined.append((start, stop))
        for start, stop in joined:
            if self._whole is None:
                self._ask((start, stop))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte to read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset` bytes from the start, the current position or the end; return the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(f"{self._wheel}: seek before the start of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read into `buffer`, fetching missing bytes; return the number of bytes read."""
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self.size)
        count = max(0, stop - self._position)
        self.prefetch([(self._position, stop)])
        if self._whole is not None:
            self._whole.seek(self._position)
            view[:count] = self._whole.read(count)
        else:
            self._copy(view[:count])
        self._position += count
        return count

    def readall(self) -> bytes:
        """Return the rest of the file in one fetch; the inherited method would fetch it piece by piece."""
        rest = bytearray(max(0, self.size - self._position))
        self.readinto(rest)
        return bytes(rest)

    def close(self) -> None:
        """Discard what was fetched."""
        if self._whole is not None:
            self._whole.close()
        self._spans.clear()
        super().close()

    def _missing(self, start: int, stop: int) -> list[Range]:
        """Return the parts of a range that have not been fetched."""
        if self._whole is not None:
            return []
        gaps = []
        for first, content in sorted(self._spans, key=lambda span: span[0]):
            if first + len(content) <= start or first >= stop:
                continue
            if first > start:
                gaps.append((start, first))
            start = first + len(content)
        return [*gaps, (start, stop)] if start < stop else gaps

    def _copy(self, view: memoryview) -> None:
        at, end = self._position, self._position + len(view)
        while at < end:
            first, content = next(span for span in self._spans if span[0] <= at < span[0] + len(span[1]))
            piece = memoryview(content)[at - first : end - first]
            view[at - self._position :][: len(piece)] = piece
            at += len(piece)

    def _ask(self, wanted: Range | None) -> None:
        """Fetch one range, or the tail when the size is unknown, or the whole file."""
        what, url = f"cannot read {self._wheel}", self._wheel.url
        if wanted and wanted[1] - wanted[0] > LARGEST_RANGE:
            raise IntegrityError(f"{what}: {size(wanted[1] - wanted[0])} would have to be kept in memory")
        headers = {"Accept-Encoding": "identity"}
        if not self._asked_whole:
            headers["Range"] = f"bytes={wanted[0]}-{wanted[1] - 1}" if wanted else f"bytes=-{TAIL}"
        for _ in range(ATTEMPTS):
            with network_errors(what, url), self._session.get(url, headers=headers, stream=True) as response:
                if response.status_code in {416, 501}:
                    headers.pop("Range", None)
                    continue
                response.raise_for_status()
                partial = response.status_code == 206
                complete = self._keep(response, wanted) if partial else self._download(response)
            if complete:
                return
        raise NetworkError(f"{what}: the response was cut short {ATTEMPTS} times; {ADVICE}")

    def _keep(self, response: requests.Response, wanted: Range | None) -> bool:
        """Store one range; return whether it arrived completely."""
        stated = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
        if stated is None:
            raise NetworkError(
                f"cannot read {self._wheel}: the server sends a byte range without a valid Content-Range"
            )
        first, last, size = map(int, stated.groups())
        self._agree_on(size)
        if (first, last + 1) != (wanted or _tail(size)):
            raise NetworkError(
                f"cannot read {self._wheel}: the server sends another byte range than requested"
            )
        content = io.BytesIO()
        if not self._receive(response, content, last + 1 - first):
            return False
        self._spans.append((first, content.getvalue()))
        return True

    def _download(self, response: requests.Response) -> bool:
        """Store the whole file on disk, not in memory; return whether it is complete."""
        length = response.headers.get("Content-Length")
        if length is not None:
            self._agree_on(int(length))
        if not self._asked_whole:
            self._progress.note(
                f"{self._wheel}: the server does not support byte ranges; downloading the whole wheel"
                + (f" ({size(self._size)})" if self._size else "")
            )
        whole = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        try:
            if not self._receive(response, whole, self._size):
                whole.close()
                return False
            self._agree_on(whole.tell())
            self._check_digest(whole)
        except BaseException:
            whole.close()
            raise
        self._spans.clear()
        self._whole = whole
        return True

    def _receive(self, response: requests.Response, target: IO[bytes], expected: int | None) -> bool:
        """Copy the body to `target`; return whether it has the expected length."""
        received = 0
        most = LARGEST_WHEEL if expected is None else expected
        try:
            for piece in pieces(response, f"cannot read {self._wheel}", most):
                received += len(piece)
                target.write(piece)
        except (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError):
            return False
        finally:
            self.fetched += received
        return expected is None or received == expected

    def _agree_on(self, size: int) -> None:
        if self._size is not None and size != self._size:
            raise IntegrityError(
                f"{self._wheel}: the file has {size} bytes, the index states {self._size}; run the command "
                "again, and if the error persists, report it to the operator of the index"
            )
        self._size = size

    def _check_digest(self, whole: IO[bytes]) -> None:
        digest = hashlib.sha256()
        whole.seek(0)
        while chunk := whole.read(_CHUNK):
            digest.update(chunk)
        if digest.hexdigest() != self._wheel.sha256:
            raise IntegrityError(
                f"{self._wheel}: its sha256 is {digest.hexdigest()}, the index states {self._wheel.sha256}"
            )


def _tail(size: int) -> Range:
    return max(0, size - TAIL), size
