"""The folders in which cells run: one per pair, used by one process, and removed when the cell ends."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compat._cli.progress import Progress
from compat.errors import UsageError
from compat.matrix.install.disk_usage import used_bytes

KEPT = "kept"
"""The file that marks a complete environment to keep; its content is the digest of the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The folder of one cell, which holds every file that is written before the outcome."""

    folder: Path
    log: BinaryIO
    """Unbuffered, open for reading and appending."""
    log_path: Path
    """The file of `log`; beside the folder, so that it can be copied after the folder was removed."""
    lock_digest: str
    reused: bool
    """Whether the folder already has a complete environment of the same lock."""

    @property
    def environment(self) -> Path:
        """The folder of the environment."""
        return self.folder / "env"

    def keep(self) -> None:
        """Mark the environment as complete, so that it stays when the cell ends."""
        (self.folder / KEPT).write_text(self.lock_digest, encoding="ascii")

    def clear(self) -> None:
        """Remove the folder unless `keep` has marked it."""
        if _marked(self.folder) != self.lock_digest:
            _remove(self.folder)

    def used_bytes(self) -> int:
        """Return the bytes that the folder uses on the disk."""
        return used_bytes(self.folder)


@contextmanager
def claimed(envs: Path, pair_id: str, lock_digest: str) -> Iterator[Workspace]:
    """Yield the workspace of a pair for this process only, and remove it afterwards unless marked as kept.

    Raises:
        UsageError: another process is running this pair.
    """
    folder = envs / pair_id
    make_ignored(envs)
    with _owned(envs, pair_id) as owned:
        if not owned:
            raise UsageError(
                f"{pair_id}: another process is running it in {folder}; wait for it or give --envs DIR"
            )
        reused = _marked(folder) == lock_digest
        if not reused:
            _remove(folder)
            folder.mkdir()
        (folder / KEPT).unlink(missing_ok=True)
        log_path = envs / f"{pair_id}.log"
        log_path.unlink(missing_ok=True)
        with log_path.open("a+b", buffering=0) as log:
            space = Workspace(
                folder=folder, log=log, log_path=log_path, reused=reused, lock_digest=lock_digest
            )
            try:
                yield space
            finally:
                log_path.unlink(missing_ok=True)
                space.clear()


def sweep(envs: Path, progress: Progress) -> None:
    """Remove the folders of killed runs: those that no process uses and that are not marked as kept."""
    if not envs.is_dir():
        return
    for folder in sorted(path for path in envs.iterdir() if path.is_dir() and not path.is_symlink()):
        if (folder / KEPT).exists() or not (envs / f"{folder.name}.lock").exists():
            continue
        with _owned(envs, folder.name) as owned:
            if owned:
                progress.note(f"removing {folder}, which an interrupted run of {folder.name} left behind")
                _remove(folder)


def make_ignored(folder: Path) -> None:
    """Create a folder of generated files, with a `.gitignore` that excludes it from any repository."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")


@contextmanager
def _owned(envs: Path, pair_id: str) -> Iterator[bool]:
    """Yield whether this process holds the lock file of the pair, which is released when a process ends."""
    import fcntl  # only Linux runs cells, and other systems read the reports

    with (envs / f"{pair_id}.lock").open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _marked(folder: Path) -> str:
    try:
        return (folder / KEPT).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
