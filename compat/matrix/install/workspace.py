"""The folders in which cells run: one per pair, owned by one process, gone when the cell is over."""

import fcntl
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
"""The file that marks a finished environment somebody wants to keep; it holds the digest of its lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where one cell runs. Everything that is written before the outcome is in here."""

    folder: Path
    log: BinaryIO
    """Unbuffered, open for reading and appending."""
    log_path: Path
    """The file behind `log`; beside the folder, so that it can be copied once that is gone."""
    lock_digest: str
    reused: bool
    """Whether a complete environment of the same lock is here already."""

    @property
    def environment(self) -> Path:
        """The environment's folder."""
        return self.folder / "env"

    def keep(self) -> None:
        """Mark the environment as complete: it stays when the cell is over."""
        (self.folder / KEPT).write_text(self.lock_digest, encoding="ascii")

    def clear(self) -> None:
        """Remove the folder unless it was marked as kept."""
        if _marked(self.folder) != self.lock_digest:
            _remove(self.folder)

    def used_bytes(self) -> int:
        """Return what the folder takes on the disk."""
        return used_bytes(self.folder)


@contextmanager
def claimed(envs: Path, pair_id: str, lock_digest: str) -> Iterator[Workspace]:
    """Yield the workspace of a pair to this process alone; remove it afterwards unless it was marked as kept.

    Raises:
        UsageError: another process is running this pair.
    """
    folder = envs / pair_id
    make_root(envs)
    with _owned(envs, pair_id) as owned:
        if not owned:
            raise UsageError(f"{pair_id}: another run is at work in {folder}; wait for it or give --envs DIR")
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
    """Remove what killed runs have left behind: folders that nobody owns and nobody wanted to keep."""
    if not envs.is_dir():
        return
    for folder in sorted(path for path in envs.iterdir() if path.is_dir() and not path.is_symlink()):
        if (folder / KEPT).exists() or not (envs / f"{folder.name}.lock").exists():
            continue
        with _owned(envs, folder.name) as owned:
            if owned:
                progress.note(f"removing what an interrupted run of {folder.name} left in {folder}")
                _remove(folder)


def make_root(envs: Path) -> None:
    """Make the folder of all workspaces, which git ignores wherever it is."""
    envs.mkdir(parents=True, exist_ok=True)
    ignore = envs / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")


@contextmanager
def _owned(envs: Path, pair_id: str) -> Iterator[bool]:
    """Yield whether this process could take the pair's lock file; a process that dies gives it back."""
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
