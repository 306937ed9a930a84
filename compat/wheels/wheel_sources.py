"""Read the Python sources and the central directory of a wheel without downloading the rest.

What is checked: the length of the wheel against the package index; each file against RECORD; METADATA against
its own digest, if the index states one. RECORD itself comes from the wheel, whose sha256 can be checked only
when the whole wheel is downloaded, with `whole=True`.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import requests
from packaging.utils import canonicalize_name

from compat._cli.progress import Progress
from compat._cli.text import size
from compat.errors import IntegrityError
from compat.requirements.install_paths import added_roots, extension_module, importable, installed_path
from compat.wheels.package_index import WheelFile
from compat.wheels.range_file import Range, RemoteFile
from compat.wheels.record import read_record, verify

LARGEST_FILE = 64_000_000
"""Bytes of one unpacked file; a few kilobytes of a wheel may claim to be gigabytes."""

LARGEST_SOURCES = 1_000_000_000
"""Bytes of all unpacked files of a wheel; the sources of a vllm release have 30 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSources:
    """The readable part of one wheel, each file verified against the wheel's RECORD."""

    wheel: WheelFile
    metadata: str
    """The text of METADATA."""
    sources: Mapping[str, bytes]
    """The content of every `.py` file by its path below site-packages, sorted by path."""
    extensions: tuple[str, ...]
    """Paths below site-packages of the extension modules, sorted; their content is not read."""
    fetched: int
    """Bytes downloaded; 0 when the sources come from the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelManifest:
    """Sizes and top-level modules of a wheel, read from its central directory."""

    wheel: WheelFile
    download_bytes: int
    installed_bytes: int
    imports: tuple[str, ...]
    """Top-level modules and packages that it provides, sorted."""


def read_sources(
    wheel: WheelFile, session: requests.Session, progress: Progress | None = None, *, whole: bool = False
) -> WheelSources:
    """Return METADATA and every `.py` file of `wheel`, downloaded as a few byte ranges.

    Args:
        wheel: the wheel to read.
        session: the HTTP session.
        progress: gets a note when the whole wheel must be downloaded; it is not advanced.
        whole: whether to download the whole wheel and verify its sha256.

    Raises:
        NetworkError: the server cannot be reached, or sends an invalid response.
        IntegrityError: a file differs from its digest or is too large, or the wheel is damaged.
    """
    with RemoteFile(wheel, session, progress, whole=whole) as remote, opened(wheel, remote) as archive:
        info = dist_info(wheel, archive)
        members = {member.filename: member for member in archive.infolist() if not member.is_dir()}
        installed = {path: installed_path(path) for path in members}
        python = [path for path, target in installed.items() if target is not None and path.endswith(".py")]
        wanted = [f"{info}/RECORD", f"{info}/METADATA", *python]
        remote.prefetch(
            member_ranges(archive, {members[path].header_offset for path in wanted if path in members})
        )
        record = read_record(wheel.filename, member_text(wheel, archive, f"{info}/RECORD"))
        metadata = member_text(wheel, archive, f"{info}/METADATA", record)
        _check_metadata(wheel, metadata)
        contents: dict[str, bytes] = {}
        room = LARGEST_SOURCES
        for path in python:
            content = member_content(wheel, archive, path, record)
            room -= len(content)
            if room < 0:
                raise IntegrityError(
                    f"{wheel}: its Python files have more than {size(LARGEST_SOURCES)}; refused"
                )
            contents[installed[path] or path] = content
        extensions = (
            target for target in installed.values() if target is not None and extension_module(target)
        )
        return WheelSources(
            wheel=wheel,
            metadata=metadata,
            sources=MappingProxyType(dict(sorted(contents.items()))),
            extensions=tuple(sorted(extensions)),
            fetched=remote.fetched,
        )


def read_manifest(wheel: WheelFile, session: requests.Session) -> WheelManifest:
    """Return sizes and top-level modules of `wheel`; the errors are those of `read_sources`."""
    with RemoteFile(wheel, session) as remote, opened(wheel, remote) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        paths = [member.filename for member in members]
        added = [path for path in paths if path.endswith(".pth") and "/" not in path]
        roots = [root for path in added for root in added_roots(member_text(wheel, archive, path))]
        return WheelManifest(
            wheel=wheel,
            download_bytes=remote.size,
            installed_bytes=sum(member.file_size for member in members),
            imports=importable(paths, roots),
        )


@contextmanager
def opened(wheel: WheelFile, remote: RemoteFile) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(remote)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise IntegrityError(f"{wheel}: not a valid zip file ({error})") from error
    with archive:
        yield archive


def dist_info(wheel: WheelFile, archive: zipfile.ZipFile) -> str:
    """Return the `.dist-info` folder of the wheel's own distribution; a wheel may contain others as well."""
    for path in archive.namelist():
        folder, _, rest = path.partition("/")
        name = folder.removesuffix(".dist-info").partition("-")[0]
        if rest == "RECORD" and folder.endswith(".dist-info") and canonicalize_name(name) == wheel.package:
            return folder
    raise IntegrityError(f"{wheel}: it has no RECORD, so its files cannot be verified")


def member_ranges(archive: zipfile.ZipFile, wanted: set[int]) -> list[Range]:
    """Return the byte ranges of the members at the `wanted` offsets: each ends where the next one begins."""
    # `start_dir` is where zipfile found the central directory, which follows the last member.
    starts = sorted({member.header_offset for member in archive.infolist()})
    ends = [*starts[1:], archive.start_dir]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start in wanted]


def _check_metadata(wheel: WheelFile, metadata: str) -> None:
    digest = hashlib.sha256(metadata.encode()).hexdigest()
    if wheel.metadata_sha256 not in {None, digest}:
        raise IntegrityError(
            f"{wheel}: the sha256 of its METADATA is {digest}, the index states {wheel.metadata_sha256}"
        )


def member_content(wheel: WheelFile, archive: zipfile.ZipFile, path: str, record: Mapping[str, str]) -> bytes:
    content = _unpacked(wheel, archive, path)
    verify(wheel.filename, path, content, record)
    return content


def member_text(
    wheel: WheelFile, archive: zipfile.ZipFile, path: str, record: Mapping[str, str] | None = None
) -> str:
    content = (
        _unpacked(wheel, archive, path) if record is None else member_content(wheel, archive, path, record)
    )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise IntegrityError(f"{wheel}: {path} is not UTF-8 text") from None


def _unpacked(wheel: WheelFile, archive: zipfile.ZipFile, path: str) -> bytes:
    try:
        with archive.open(path) as stream:
            content = stream.read(LARGEST_FILE + 1)
    except KeyError:
        raise IntegrityError(f"{wheel}: it does not contain {path}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise IntegrityError(f"{wheel}: {path} cannot be unpacked ({error})") from error
    if len(content) > LARGEST_FILE:
        raise IntegrityError(f"{wheel}: {path} has more than {size(LARGEST_FILE)}; refused")
    return content
