"""Write the site: its pages, the list of names, the records in shards, and the table of pairs."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compat import __version__
from compat._cli.html_page import STYLE
from compat._cli.progress import on_terminal
from compat._util.replace_folder import replacing_folder
from compat.errors import UsageError
from compat.export.site.pairs import pairs_table
from compat.export.site.records import Recorder
from compat.index.build.parse_pool import begin_worker
from compat.index.reader import Index
from compat.model.package_names import IMPORT_NAMES
from compat.model.releases import newest
from compat.model.symbols import STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

SHARD = 128
"""The number of names of a shard: a file that a page loads in a few milliseconds."""
ASSETS = Path(__file__).parent / "assets"
MARK = "names.js"
"""The file by which an earlier site is recognized."""
_WEIGHTS = 10
MANY = 1000
"""The number of names from which several processes save time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltSite:
    """What was written."""

    names: int
    """The number of names and modules that can be looked up."""
    bytes: int


def build_site(folder: Path, only: Collection[str] | None = None) -> BuiltSite:
    """Write the site into a folder, which is replaced in one step at the end.

    Args:
        folder: a folder that does not exist, is empty, or has an earlier site.
        only: the names and modules that get answers; by default all. The others are listed without any.

    Raises:
        UsageError: the folder has something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output {folder}: exists and is not a folder; choose another path")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "data" / MARK).is_file():
        raise UsageError(f"--output {folder}: the folder is neither empty nor a site; choose another one")
    index = Index()
    names, modules = _symbols(index, "bindings"), _symbols(index, "module_ranges")
    with replacing_folder(Path(os.path.realpath(folder))) as created:  # realpath: a link to a folder stays
        size = _build(created, index, names, modules, only)
    return BuiltSite(names=len(names) + len(modules), bytes=size)


def _build(
    folder: Path,
    index: Index,
    names: Mapping[str, _Symbol],
    modules: Mapping[str, _Symbol],
    only: Collection[str] | None,
) -> int:
    """Write all files of the site into an empty folder, and return their size in bytes."""
    data = folder / "data"
    data.mkdir()
    for asset in (*sorted(ASSETS.iterdir()), STYLE):
        shutil.copyfile(asset, folder / asset.name)
    _write(data / MARK, "names", _head(index, names, modules))
    _write(data / "pairs.js", "pairs", pairs_table(index))
    listed = [name if only is None or name in only else None for name in (*names, *modules)]
    shards = [listed[at : at + SHARD] for at in range(0, len(listed), SHARD)]
    with on_terminal("looking names up", len(listed)) as progress:
        for number, content in enumerate(_shards(shards)):
            _write_text(data / f"shard-{number}.js", f"shard-{number}", content)
            progress.advance(len(shards[number]))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Symbol:
    """What the list of names knows of a name, as bits by package, and how much it is used."""

    ever: int = 0
    now: int = 0
    """The packages whose newest release binds it."""
    modules: int = 0
    """The number of modules that bind it, in all releases."""


def _symbols(index: Index, table: str) -> dict[str, _Symbol]:
    """Return the names of the index, or the modules of the packages, in order."""
    bits = {number: 1 << at for at, number in enumerate(index.packages.values())}
    latest = {number: len(index.versions(package)) - 1 for package, number in index.packages.items()}
    column, texts = ("name", "names") if table == "bindings" else ("module", "modules")
    found: dict[str, _Symbol] = {}
    for name, package, last, modules in index.rows(
        f"""
        SELECT texts.name, package, max(last), count(DISTINCT module)
        FROM {table} AS entries JOIN {texts} AS texts ON texts.id = entries.{column}
        GROUP BY texts.id, package ORDER BY texts.name"""  # noqa: S608 -- constants
    ):
        if table == "bindings" and (not name.isidentifier() or name in IMPORT_NAMES.values()):
            continue
        bit, known = bits[package], found.get(name, _Symbol())
        found[name] = _Symbol(
            ever=known.ever | bit,
            now=known.now | (bit if last == latest[package] else 0),
            modules=known.modules + modules,
        )
    return found


def _head(index: Index, names: Mapping[str, _Symbol], modules: Mapping[str, _Symbol]) -> dict[str, Any]:
    """Return what every page needs: the releases, the names, and what a search ranks by."""
    symbols = [*names.values(), *modules.values()]
    return {
        "version": __version__,
        "statuses": STATUSES,
        "shard": SHARD,
        "packages": [
            {
                "name": package,
                "import": IMPORT_NAMES[package],
                "versions": index.versions(package),
                "newest": newest(index.versions(package)),
                "dates": [(each.uploaded or "")[:10] for each in index.releases(package)],
            }
            for package in index.packages
        ],
        "names": " ".join(names),
        "modules": " ".join(modules),
        "ever": "".join(f"{each.ever:x}" for each in symbols),
        "now": "".join(f"{each.now:x}" for each in symbols),
        "weight": "".join(str(min(each.modules.bit_length(), _WEIGHTS) - 1) for each in symbols),
    }


_Shard = Sequence[str | None]


def _shards(shards: Sequence[_Shard]) -> Iterator[str]:
    """Yield the content of each shard, computed in several processes if there is much to compute."""
    if sum(name is not None for shard in shards for name in shard) < MANY:
        yield from map(_shard, shards)
        return
    count = min(4, os.cpu_count() or 1)
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield from pool.map(_shard, shards)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Prepare a process of the pool: an interruption ends the command, which ends the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    begin_worker()


def _shard(names: _Shard) -> str:
    return _recorder().shard(names)


@lru_cache(maxsize=1)
def _recorder() -> Recorder:
    """Return the recorder of this process."""
    index = Index()
    return Recorder(index, _symbols(index, "module_ranges"))


def _write(path: Path, key: str, content: object) -> None:
    _write_text(path, key, json.dumps(content, ensure_ascii=True, separators=(",", ":")))


def _write_text(path: Path, key: str, content: str) -> None:
    """Write data as a script: a page that was opened from disk can load nothing else."""
    path.write_text(f'explorer.loaded("{key}",{content});\n', encoding="utf-8")
