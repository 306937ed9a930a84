"""Compress a stream of bytes into parts with digests, with several threads and in bounded memory.

The stream is split into blocks of a fixed size, and each block is compressed into an .xz stream of its own.
The format allows several in a row (https://tukaani.org/xz/xz-file-format.txt, section 2), and `xz -d` reads
them. So several threads can work, and the bytes do not depend on their number.
"""

import hashlib
import io
import lzma
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compat._cli.progress import Progress
from compat.bundle.archive.unpack import BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Name, size and digest of one part of a bundle."""

    name: str
    bytes: int
    sha256: str


class PartWriter:
    """Splits a stream into files of one size; the last one may be smaller."""

    def __init__(self, folder: Path, size: int) -> None:
        """Write parts of at most `size` bytes into `folder`."""
        self.parts: list[Part] = []
        self._folder, self._size = folder, size
        self._file: BinaryIO = io.BytesIO()
        self._digest = hashlib.sha256()
        self._room = 0
        self._open = False

    def write(self, content: bytes) -> None:
        """Write all of `content`."""
        view = memoryview(content)
        while view:
            if not self._room:
                self.close()
                self._file = (self._folder / self._name()).open("xb")
                self._digest, self._room, self._open = hashlib.sha256(), self._size, True
            piece = view[: self._room]
            self._file.write(piece)
            self._digest.update(piece)
            self._room -= len(piece)
            view = view[len(piece) :]

    def close(self) -> None:
        """Close the current part, if there is one."""
        if not self._open:
            return
        written = self._file.tell()
        self._file.close()
        self._open = False
        self.parts.append(Part(name=self._name(), bytes=written, sha256=self._digest.hexdigest()))

    def _name(self) -> str:
        return f"part-{len(self.parts):03}"


class Compressor:
    """A binary stream that compresses its input block by block; leaving the `with` block writes the last one.

    Each thread needs memory for one block, its compressed form, and lzma (94 MiB at level 6, 674 at 9).
    """

    def __init__(self, target: PartWriter, level: int, threads: int, progress: Progress) -> None:
        """Write to `target` with the xz preset `level` (0-9); `progress` counts uncompressed bytes."""
        self.blocks: list[int] = []
        """Compressed bytes of each block."""
        self._target, self._level, self._threads, self._progress = target, level, threads, progress
        self._pool = ThreadPoolExecutor(threads)
        self._waiting: deque[Future[bytes]] = deque()
        self._buffer = bytearray()

    def __enter__(self) -> "Compressor":  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._target.close()

    def write(self, content: bytes) -> int:
        """Compress `content`, and return its length."""
        self._buffer += content
        while len(self._buffer) >= BLOCK:
            self._submit(bytes(self._buffer[:BLOCK]))
            del self._buffer[:BLOCK]
        return len(content)

    def _flush(self) -> None:
        if self._buffer:
            self._submit(bytes(self._buffer))
            self._buffer.clear()
        while self._waiting:
            self._take()

    def _submit(self, block: bytes) -> None:
        self._waiting.append(self._pool.submit(_compress, block, self._level))
        while len(self._waiting) > self._threads:
            self._take()
        self._progress.advance(len(block))

    def _take(self) -> None:
        block = self._waiting.popleft().result()
        self.blocks.append(len(block))
        self._target.write(block)


def _compress(block: bytes, level: int) -> bytes:
    return lzma.compress(block, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=level)
