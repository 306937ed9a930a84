"""Check the free disk space before a cell starts: on the disk, beside other cells, and within a budget."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName

from compat.locks.lockfile import Lock
from compat.matrix.cell import Job
from compat.matrix.install.disk_budget import Budget, Promised
from compat.matrix.model import plan
from compat.uv import client


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCheck:
    """The disk limit of a run, and the locks of its cells."""

    limit: int | None
    """Bytes that uv's cache and the environments may use together; None for no limit but the disk."""
    done: Sequence[Lock]
    """The locks of the finished cells of this run."""
    left: Sequence[Lock]
    """The locks of the other cells, the one to check included."""

    def check(self, job: Job, promised: Promised) -> None:
        """Check that there is disk space for a cell beside the reservations of other cells.

        Raises:
            DiskError: there is not enough.
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
        """Return the packages that must stay in the cache for running cells, and for this one if cached."""
        running = [lock for lock in (*self.done, *self.left) if lock.pair in promised.others]
        return {
            name for lock in (*running, *([job.lock] if job.plan.cached else [])) for name in lock.packages
        }


def nearest_existing(folder: Path) -> Path:
    """Return `folder`, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
