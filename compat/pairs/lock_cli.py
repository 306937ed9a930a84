"""`compat pairs lock`: write the locks of pairs, or check whether they are stale."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compat import errors
from compat._cli import console
from compat._cli.progress import on_terminal
from compat._cli.text import size
from compat.errors import UsageError
from compat.locks.lockfile import Inputs, lock_paths, read_lock, write_lock
from compat.model.releases import Pair

if TYPE_CHECKING:
    from compat.uv.compile import WheelReader

FOLDER = "locks"
"""The folder of locks, beside `matrix.toml`."""


def main(argv: Sequence[str]) -> int:
    """Run `compat pairs lock` with `argv`, and return the exit code."""
    options = parser().parse_args(argv)

    from compat.matrix.config import read_matrix

    pairs = read_matrix(options.matrix).select(options.ids)
    folder = options.matrix.parent / FOLDER
    results = _check(pairs, folder) if options.check else _lock(pairs, folder)
    if options.format == "json":
        print(console.document("pairs lock", results=results))
    else:
        for result in results:
            print(_line(result))
    return errors.FINDINGS if any(result["problems"] for result in results) else errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat pairs lock`."""
    lock = console.Parser(
        "compat pairs lock",
        "Resolve pairs of the matrix, and write the exact versions and hashes of their environments.",
    )
    lock.add_argument("ids", nargs="+", metavar="ID", help="id of a pair, or a glob such as 'torch-*'")
    lock.add_argument(
        "--check", action="store_true", help="only report stale locks; exit with 1 if there are any"
    )
    lock.add_argument(
        "--matrix", type=Path, default=Path("matrix.toml"), metavar="FILE", help="default: matrix.toml"
    )
    lock.add_argument("--format", choices=("text", "json"), default="text")
    return lock


def _check(pairs: Sequence[Pair], folder: Path) -> list[dict[str, Any]]:
    """Return the differences between locks and matrix, without resolving."""
    return [{"pair": pair.id, "problems": _problems(pair, folder)} for pair in pairs]


def _problems(pair: Pair, folder: Path) -> list[str]:
    try:
        lock = read_lock(pair.id, folder)
    except UsageError as error:
        return [str(error)]
    return lock.inputs.differences(Inputs.of(pair))


def _lock(pairs: Sequence[Pair], folder: Path) -> list[dict[str, Any]]:
    from compat.uv.client import find_uv
    from compat.uv.compile import WheelReader
    from compat.wheels.package_index import Registry

    uv = str(find_uv())
    with Registry() as registry:
        reader = WheelReader(registry)
        return [_lock_one(pair, folder, uv, reader) for pair in pairs]


def _lock_one(pair: Pair, folder: Path, uv: str, reader: "WheelReader") -> dict[str, Any]:
    from compat.uv.compile import compile_requirements

    for release in pair.releases:
        # For an unknown version, this error names the nearest ones; uv's does not.
        reader.registry.wheel(release.package, release.version)
    console.say(f"resolving {pair.id}: {pair.describe()}, Python {pair.python}")
    pinned = compile_requirements(pair, uv)
    with on_terminal(f"reading the wheels of {pair.id}", len(pinned)) as progress:
        packages = reader.read(pinned, pair.python, progress)
    write_lock(pair, packages, folder)
    return {
        "pair": pair.id,
        "problems": [],
        "packages": len(packages),
        "guessed": sorted(name for name, package in packages.items() if package.guessed),
        "download_bytes": sum(package.download_bytes for package in packages.values()),
        "installed_bytes": sum(package.installed_bytes for package in packages.values()),
        "requirements": str(lock_paths(pair.id, folder)[0]),
    }


def _line(result: dict[str, Any]) -> str:
    if result["problems"]:
        return f"{result['pair']}: {'; '.join(result['problems'])}"
    if "packages" not in result:
        return f"{result['pair']}: up to date"
    fetched, installed = (size(result[key]) for key in ("download_bytes", "installed_bytes"))
    line = f"{result['packages']} packages, {fetched} to download, {installed} installed"
    if result["guessed"]:
        line += f"; built from source, with guessed import names: {', '.join(result['guessed'])}"
    return f"{result['pair']}: {line}; written to {result['requirements']}"
