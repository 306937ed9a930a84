"""Read the outlines of the releases together with those of sources, each as one more release."""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from compat.source_outlines.format import compressed
from compat.source_outlines.reader import Codes, Content, SourceOutlines
from compat.source_outlines.records import Outline, encode
from compat.sources.tables import has_table, opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compat.index.reader import Index

TABLE = "outlines (package TEXT, version TEXT, packed BLOB)"
"""The table of an index file of a source with the outlines of its files."""


def packed(files: Mapping[str, Outline]) -> bytes:
    """Return outlines as the table has them; messages are left out."""
    texts = {path: (encode(each.definitions), each.lines.decode("latin-1")) for path, each in files.items()}
    return zlib.compress(json.dumps(texts).encode())


def open_outlines(index: Index) -> SourceOutlines:
    """Return the shipped outlines, with those of the sources that an index has.

    Raises:
        IntegrityError: the outlines are missing.
    """
    return _opened(index.files)


@lru_cache(maxsize=2)
def _opened(files: tuple[str, ...]) -> SourceOutlines:
    """Return the same reader for all scans of a process: it keeps what it has read."""
    return ExtendedOutlines(files) if files else SourceOutlines()


class ExtendedOutlines(SourceOutlines):
    """The outlines of the releases and of sources.

    Args:
        files: the index files of the sources, in the order of their releases.
    """

    def __init__(self, files: Sequence[str]) -> None:
        super().__init__()
        self._added: dict[str, list[tuple[str, dict[str, list[str]]]]] = {}
        for file in files:
            if not has_table(Path(file), "outlines"):
                continue
            with opened(Path(file)) as database:
                for package, version, blob in database.execute("SELECT * FROM outlines"):
                    texts = json.loads(zlib.decompress(blob))
                    self._added.setdefault(package, []).append((version, texts))

    def _read_versions(self, package: str) -> tuple[str, ...]:
        return (*super()._read_versions(package), *(version for version, _ in self._added.get(package, ())))

    def _read_contents(self, package: str, path: str) -> tuple[Content, ...]:
        start = len(super()._read_versions(package))
        own = (
            _content(at, *texts[path])
            for at, (_, texts) in enumerate(self._added.get(package, ()), start)
            if path in texts
        )
        return (*super()._read_contents(package, path), *own)

    def _read_paths(self, package: str, name: str) -> tuple[str, ...]:
        end = f"/{name}"
        own = (path for path in self._own_paths(package) if path == name or path.endswith(end))
        return tuple(dict.fromkeys((*super()._read_paths(package, name), *own)))

    def has(self, package: str, path: str) -> bool:
        """Return whether any release or source has a file."""
        return super().has(package, path) or path in self._own_paths(package)

    def below(self, package: str, folder: str) -> tuple[str, ...]:
        """Return the paths below a folder, whose name ends with a slash; of all if empty."""
        own = (path for path in self._own_paths(package) if path.startswith(folder))
        return tuple(dict.fromkeys((*super().below(package, folder), *own)))

    def _own_paths(self, package: str) -> dict[str, None]:
        return dict.fromkeys(path for _, texts in self._added.get(package, ()) for path in texts)


def _content(release: int, text: str, lines: str) -> Content:
    codes = lines.encode("latin-1")
    return Content(releases=1 << release, text=text, codes=Codes(compressed(codes)), start=0, stop=len(codes))
