"""Write the tar archive of a bundle; its bytes depend only on paths, contents and the execute bit."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

from compat.bundle.archive.parts import Compressor

EPOCH = 315532800
"""1980-01-01, the earliest time that a zip file can state; reproducible wheels have it."""
READ_AHEAD = 1 << 20

Entries = Mapping[str, Path | bytes]
"""The file or the content for each path in the archive."""


def write_archive(entries: Entries, target: Compressor) -> None:
    """Write a tar archive of regular files to `target`, sorted by path."""
    sink = cast("BinaryIO", target)  # in stream mode, tarfile only calls `write`
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT, bufsize=READ_AHEAD) as archive:
        for path, source in sorted(entries.items()):
            info = tarfile.TarInfo(path)
            info.mtime, info.mode = EPOCH, 0o644
            if isinstance(source, bytes):
                info.size = len(source)
                archive.addfile(info, io.BytesIO(source))
            else:
                with source.open("rb") as stream:
                    info.size = source.stat().st_size
                    info.mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
                    archive.addfile(info, stream)
