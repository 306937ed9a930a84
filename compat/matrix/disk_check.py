"""Is there room for a cell? On the disk, beside the cells that run, and within a budget."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName

from compat.locks.lockfile import Lock
from compat.matrix import plan
from compat.matrix.cell import Job
from compat.matrix.install.disk_budget import Budget, Promised
from compat.uv import client


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCheck:
    """What decides whether there is room for a cell."""

    limit: int | None
    """Bytes that uv's cache and the environments may take together; None for what the disk has."""
    done: Sequence[Lock]
    """Of the finished cells of this run."""
    left: Sequence[Lock]
    """Of the others, the cell itself included."""

    def check(self, job: Job, promised: Promised) -> None:
        """Do nothing when the cell fits beside all that other cells have been promised.

        Raises:
            DiskError: it does not.
        """
        plan.check_room(promised.all, shutil.disk_usage(job.envs).free, job.envs, job.pair.id)
        if job.uv is None:
            return
        cache = nearest_existing(client.cache_folder(job.uv))
        if job.plan.cache_bytes:
            plan.check_room(job.plan.cache_bytes, shutil.disk_usage(cache).free, cache, job.pair.id)
        if self.limit is not None:
            budget = Budget(limit=self.limit, cache=cache, envs=job.envs, uv=job.uv)
            needed = promised.all + job.plan.cache_bytes
            budget.make_room(needed, self.done, self.left, self._kept(job, promised))

    def _kept(self, job: Job, promised: Promised) -> set[NormalizedName]:
        """Return the packages on which running cells count, and this one when it is to download nothing."""
        running = [lock for lock in (*self.done, *self.left) if lock.pair in promised.others]
        return {
            name for lock in (*running, *([job.lock] if job.plan.cached else [])) for name in lock.packages
        }


def nearest_existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is already there."""
    return next(path for path in (folder, *folder.parents) if path.exists())
