"""Unpack the bundle in the folder of this script, which is part of it and needs only the standard library.

Every digest is verified before anything is unpacked. The environment is written beside DEST and then replaces
it in one step, so DEST is never incomplete. Only regular files inside DEST are ever written.
"""

from __future__ import annotations  # the runner's python3 may be older than 3.10

import argparse
import ctypes
import errno
import hashlib
import json
import lzma
import os
import shlex
import shutil
import sys
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn, cast

MANIFEST = "manifest.json"
SITE = "site"
"""The folder below DEST to put on PYTHONPATH."""
CHUNK = 1 << 20
BLOCK = 32 << 20
"""Bytes in a block: several dictionaries of level 6 (8 MiB), so that splitting costs little compression."""
LARGEST_BLOCK = 1 << 30
"""Bytes of a compressed block that is read into memory."""
USAGE, ENVIRONMENT, INTERRUPTED = 2, 4, 130
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


class UnpackError(Exception):
    """An error with a message of one line; `code` is the exit code."""

    def __init__(self, message: str, code: int = ENVIRONMENT) -> None:
        super().__init__(message)
        self.code = code


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the bundle in `folder`."""
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        whole = document["schema"] == 1
        whole = whole and all(_is_part(part) for part in document["parts"])
        whole = whole and all(_is_count(size) and 0 < size <= LARGEST_BLOCK for size in document["blocks"])
        whole = whole and all(_is_count(document["site"][key]) for key in ("files", "bytes"))
    except FileNotFoundError:
        raise UnpackError(f"{folder}: {MANIFEST} is missing; copy it from the bundle") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnpackError(f"{path}: damaged ({error}); copy it from the bundle again") from None
    if not whole:
        raise UnpackError(f"{path}: not a bundle manifest that this script can read")
    return document  # type: ignore[no-any-return]


def _is_part(part: object) -> bool:
    return (
        isinstance(part, dict)
        and isinstance(part.get("name"), str)
        and isinstance(part.get("sha256"), str)
        and _is_count(part.get("bytes"))
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def find_parts(manifest: dict[str, Any], folders: Sequence[Path]) -> list[Path]:
    """Return the path of each part, after verifying its size and digest."""
    found = []
    for part in manifest["parts"]:
        name = part["name"]
        if name != Path(name).name:
            raise UnpackError(f"{MANIFEST}: part {name!r} is not a plain file name")
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is None:
            raise UnpackError(f"{name}: missing in {' or '.join(map(str, folders))}; copy it there")
        size = path.stat().st_size
        if size != part["bytes"]:
            raise UnpackError(f"{path}: has {size} bytes instead of {part['bytes']}; copy it again")
        if _sha256(path) != part["sha256"]:
            raise UnpackError(f"{path}: its sha256 differs from the manifest's; copy it again")
        found.append(path)
    return found


def unpack(folder: Path, dest: Path, folders: Sequence[Path] = ()) -> Path:
    """Unpack the bundle in `folder` into `dest`, and return the folder to put on PYTHONPATH."""
    manifest = read_manifest(folder)
    _check_dest(dest)
    if _same(dest, folder):
        return dest / SITE
    parts = find_parts(manifest, [folder, *folders])
    _check_room(dest.parent, manifest["site"]["bytes"])
    created = Path(tempfile.mkdtemp(prefix=f".{dest.name}.", dir=str(dest.parent)))
    try:
        created.chmod(0o755)
        _extract(parts, manifest, created / SITE)
        # The manifest comes last, since it marks a complete environment.
        shutil.copyfile(str(folder / MANIFEST), str(created / MANIFEST))
        exchange(created, dest)
    finally:
        shutil.rmtree(str(created), ignore_errors=True)
    return dest / SITE


def named_by_pth(site: Path) -> list[Path]:
    """Return the folders that the .pth files of `site` name; Python ignores .pth files on PYTHONPATH."""
    found = []
    for file in sorted(site.glob("*.pth")):
        for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            folder = site / line.strip()
            if (
                ":" not in line
                and line.strip()
                and not line.startswith(("#", "import ", "import\t"))
                and folder.is_dir()
            ):
                found.append(folder)
    return found


def exchange(created: Path, dest: Path) -> None:
    """Rename the folder `created` to `dest`; a previous `dest` is then at `created`."""
    if not dest.exists():
        created.rename(dest)
    elif not _swapped(created, dest):
        aside = Path(str(created) + ".old")
        dest.rename(aside)
        try:
            created.rename(dest)
        except BaseException:
            aside.rename(dest)
            raise
        aside.rename(created)


def _swapped(one: Path, other: Path) -> bool:
    """Swap two folders in one step; return False where C library or file system do not support it."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    return rename(*paths, _RENAME_EXCHANGE) == 0  # type: ignore[no-any-return]


def _check_dest(dest: Path) -> None:
    if ":" in str(dest):
        raise UnpackError(f"{dest}: a folder with a colon cannot be on PYTHONPATH; name another one", USAGE)
    if dest.is_symlink() or (dest.exists() and not dest.is_dir()):
        raise UnpackError(f"{dest}: not a folder; name a new one", USAGE)
    if dest.is_dir() and any(dest.iterdir()) and not (dest / MANIFEST).is_file():
        raise UnpackError(f"{dest}: neither empty nor an unpacked bundle; name a new folder", USAGE)
    dest.parent.mkdir(parents=True, exist_ok=True)


def _same(dest: Path, folder: Path) -> bool:
    """Return whether `dest` already holds this very bundle."""
    unpacked = dest / MANIFEST
    return unpacked.is_file() and unpacked.read_bytes() == (folder / MANIFEST).read_bytes()


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(str(folder)).free
    if free < needed:
        megabytes = (needed - free) // 1000000 + 1
        raise UnpackError(f"{folder}: not enough disk space; free {megabytes} MB, or name another folder")


def _extract(parts: Sequence[Path], manifest: dict[str, Any], site: Path) -> None:
    site.mkdir()
    files = size = 0
    stated = manifest["site"]
    # In stream mode, tarfile only calls `read`.
    stream = cast("IO[bytes]", _Stream(_decompressed(_blocks(parts, manifest["blocks"]))))
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
            for member in archive:
                if not member.isreg():
                    raise UnpackError(
                        f"{member.name!r} in the archive is not a regular file; nothing was unpacked"
                    )
                files, size = files + 1, size + member.size
                if files > stated["files"] or size > stated["bytes"]:
                    raise UnpackError(
                        "the archive holds more than the manifest states; build the bundle again"
                    )
                source = cast("IO[bytes]", archive.extractfile(member))  # never None for a regular file
                _write(source, _inside(site, member.name), member.mode)
    except (lzma.LZMAError, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise UnpackError(f"the archive is damaged ({error}); build the bundle again") from None
    if (files, size) != (stated["files"], stated["bytes"]):
        raise UnpackError(
            f"the archive holds {files} files with {size} bytes, which differs from the manifest; "
            "build the bundle again"
        )


def _inside(site: Path, name: str) -> Path:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in name:
        raise UnpackError(f"{name!r} in the archive points outside the folder; nothing was unpacked")
    return site.joinpath(*pure.parts)


def _write(source: IO[bytes], path: Path, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Mode `x` refuses an archive that contains a path twice.
    with path.open("xb") as target:
        shutil.copyfileobj(source, target, CHUNK)
    path.chmod(0o755 if mode & 0o100 else 0o644)


class _Stream:
    """A readable stream over the blocks, one after the other, for `tarfile`."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        pieces = []
        while size:
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = memoryview(block)
            pieces.append(self._rest[:size])
            size -= len(pieces[-1])
            self._rest = self._rest[len(pieces[-1]) :]
        return b"".join(pieces)


def _blocks(parts: Sequence[Path], sizes: Sequence[int]) -> Iterator[bytes]:
    """Yield the compressed blocks; a block may extend over several parts."""
    pieces = _Stream(piece for path in parts for piece in _pieces(path))
    for size in sizes:
        block = pieces.read(size)
        if len(block) != size:
            raise EOFError("it ends early")
        yield block


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while True:
            piece = stream.read(CHUNK)
            if not piece:
                return
            yield piece


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the decompressed blocks in order, with a few threads: lzma releases the GIL."""
    threads = min(8, os.cpu_count() or 1)
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            waiting.append(pool.submit(_decompress, block))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _decompress(block: bytes) -> bytes:
    decompressor = lzma.LZMADecompressor()
    content = decompressor.decompress(block, BLOCK + 1)
    if len(content) > BLOCK or decompressor.unused_data:
        raise EOFError("a block is too large")
    if not decompressor.eof:
        raise EOFError("it ends early")
    return content


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UnpackError(f"{message} (see --help)", USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Unpack or check the bundle, print the line that sets PYTHONPATH, and return the exit code."""
    parser = _Parser(
        "unpack.sh", description="Verify this bundle, unpack it, and print the command that sets PYTHONPATH."
    )
    parser.add_argument("dest", type=Path, metavar="DEST", nargs="?", help="the folder to create or replace")
    parser.add_argument(
        "--parts",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="another folder with parts; may be repeated",
    )
    parser.add_argument("--check", action="store_true", help="only verify the parts; unpack nothing")
    here = Path(__file__).resolve().parent
    try:
        options = parser.parse_args(argv)
        if options.check:
            found = find_parts(read_manifest(here), [here, *options.parts])
            print(f"{len(found)} part{'' if len(found) == 1 else 's'} verified")
        elif options.dest is None:
            parser.error("name the folder to unpack into")
        else:
            site = unpack(here, Path.cwd() / options.dest, options.parts)
            folders = ":".join(map(str, [site, *named_by_pth(site)]))
            sys.stdout.buffer.write(os.fsencode(f"export PYTHONPATH={shlex.quote(folders)}\n"))
    except UnpackError as error:
        sys.stderr.write(f"unpack: error: {_printable(str(error))}\n")
        return error.code
    except KeyboardInterrupt:
        sys.stderr.write("unpack: interrupted\n")
        return INTERRUPTED
    except OSError as error:
        hint = "; free disk space and run it again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(f"unpack: error: {_printable(f'{error.strerror or error}{where}{hint}')}\n")
        return ENVIRONMENT
    return 0


if __name__ == "__main__":
    sys.exit(main())
