"""Cache the Python sources of wheels in the user's cache directory."""

import hashlib
import json
import os
import zlib
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from types import MappingProxyType

import platformdirs
import requests

from compat._cli.progress import Progress, Silent
from compat._util import atomic_write
from compat._util.cache_database import in_a_home
from compat.errors import IntegrityError
from compat.wheels.package_index import WheelFile
from compat.wheels.wheel_sources import WheelSources, read_sources

FORMAT = b"compat wheel sources 1"
"""First line of an entry; the sources of an entry in another format are fetched again."""


def default_folder() -> Path:
    """Return the cache directory: `COMPAT_CACHE_DIR`, or else a folder in the user's cache directory.

    Raises:
        DiskError: the user has no home folder, and no variable names another one.
    """
    named = os.environ.get("COMPAT_CACHE_DIR")
    if named:
        return Path(named)
    try:
        users = platformdirs.user_cache_path("sglang-vllm-compat")
    except RuntimeError:  # what newer versions raise for a user without a home folder
        users = Path("~")
    return in_a_home(users)


class SourceCache:
    """A cache with one file per wheel, named by the wheel's sha256 and verified by a digest of its own.

    Entries are written atomically, so that any number of processes can share the folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, or `default_folder()` when None; it is created on the first write."""
        self.folder = (folder or default_folder()) / "sources"

    def path(self, wheel: WheelFile) -> Path:
        """Return the path of the cache entry of `wheel`, whether it exists or not."""
        return self.folder / f"{wheel.sha256}.z"

    def get(
        self, wheel: WheelFile, session: requests.Session, progress: Progress | None = None
    ) -> WheelSources:
        """Return the sources of `wheel`: from a valid cache entry if there is one, or else from the index.

        Raises:
            NetworkError: the index cannot be reached, or sends an invalid response.
            IntegrityError: a downloaded file differs from its digest.
        """
        progress = progress or Silent()
        path = self.path(wheel)
        try:
            return _unpack(wheel, path.read_bytes())
        except FileNotFoundError:
            pass
        except (IntegrityError, OSError) as error:
            progress.note(f"{wheel}: its cache entry is not usable ({error}); downloading the wheel again")
            with suppress(OSError):  # the folder may be a file, or read-only
                path.unlink(missing_ok=True)
        sources = read_sources(wheel, session, progress)
        try:
            atomic_write.write_bytes(path, _pack(sources))
        except OSError as error:
            # The sources are complete and verified; only the next run is slower.
            progress.note(f"{wheel}: cannot write to the cache {self.folder} ({error.strerror or error})")
        return sources


def _pack(sources: WheelSources) -> bytes:
    head = {
        "extensions": sources.extensions,
        "metadata": sources.metadata,
        "sizes": {path: len(content) for path, content in sources.sources.items()},
        "wheel": sources.wheel.sha256,
    }
    raw = json.dumps(head).encode() + b"\n" + b"".join(sources.sources.values())
    body = zlib.compress(raw)
    return b"\n".join((FORMAT, hashlib.sha256(body).hexdigest().encode(), body))


def _unpack(wheel: WheelFile, entry: bytes) -> WheelSources:
    form, _, rest = entry.partition(b"\n")
    digest, _, body = rest.partition(b"\n")
    if form != FORMAT:
        raise IntegrityError("it has another format")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise IntegrityError("it is damaged")
    line, _, contents = zlib.decompress(body).partition(b"\n")
    head = json.loads(line)
    if head["wheel"] != wheel.sha256:
        raise IntegrityError("it belongs to another wheel")
    bounds = pairwise(accumulate(head["sizes"].values(), initial=0))
    pieces = (contents[start:stop] for start, stop in bounds)
    return WheelSources(
        wheel=wheel,
        metadata=head["metadata"],
        sources=MappingProxyType(dict(zip(head["sizes"], pieces, strict=True))),
        extensions=tuple(head["extensions"]),
        fetched=0,
    )
