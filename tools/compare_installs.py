"""Install a lock twice, in opposite orders, and compare all files of the two environments.

    python tools/compare_installs.py LOCK.txt… --folder FOLDER [--second-cache CACHE]

The distributions are unpacked in two groups, each with uv from its cache, without network: in the second
environment, the groups and their order are reversed. Then the files that several distributions bring are
settled as `compat matrix` does. What uv's cache lacks is linked from a second cache, if there is one.
"""

import argparse
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from compat.errors import PreparationError
from compat.matrix.install.settle_files import settle_files
from compat.requirements.installed import read_environment
from compat.uv.client import find_uv

OWN = {"RECORD", "uv_cache.json", "direct_url.json"}
"""Files about the installation itself, which say when and in which order."""


def main() -> None:
    """Compare the two environments of each lock."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("locks", type=Path, nargs="+", metavar="LOCK")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--second-cache", type=Path)
    arguments = parser.parse_args()
    for lock in arguments.locks:
        pins = list(pins_of(lock))
        sites = []
        for number, order in enumerate((pins, pins[::-1])):
            environment = Installation(arguments.folder / f"{lock.stem}-{number}", arguments.second_cache)
            environment.install(order)
            sites.append(environment.site)
        first, second = ({path.relative_to(site): path for path in files(site)} for site in sites)
        differing = [
            str(path)
            for path in sorted(first.keys() | second.keys())
            if path not in first or path not in second or not same(first[path], second[path])
        ]
        print(f"{lock.stem}: {len(first)} files, {len(differing)} differ {differing[:5]}", flush=True)
        for number in range(2):
            shutil.rmtree(arguments.folder / f"{lock.stem}-{number}")


class Installation:
    """One new environment."""

    def __init__(self, folder: Path, second: Path | None) -> None:
        self._uv, self._second = str(find_uv()), second
        self._python = folder / "bin" / "python"
        subprocess.run([self._uv, "venv", "--quiet", "--python", "3.11", str(folder)], check=True)
        (self.site,) = folder.glob("lib/python3*/site-packages")

    def install(self, pins: Sequence[str]) -> None:
        """Install in two steps, and settle which of several files stays."""
        half = len(pins) // 2
        for group in (pins[:half], pins[half:]):
            if not self._add(group):
                for pin in group:
                    self._one(pin)
        by_name = {pin.partition("==")[0].partition("[")[0]: pin for pin in pins}
        found = settle_files([self.site], lambda name: self._again(by_name[name]))
        print(f"{self._python.parent.parent.name}: {len(found)} collisions settled", flush=True)

    def _one(self, pin: str) -> None:
        if not self._add([pin]) and (self._second is None or not self._add([pin], self._second)):
            raise PreparationError(f"{pin} is in no cache")

    def _again(self, pin: str) -> None:
        """Unpack a distribution once more, over the files of others; uv's own way would ask the network."""
        name = pin.partition("==")[0].partition("[")[0]
        shutil.rmtree(read_environment([self.site]).folders[name])
        self._one(pin)

    def _add(self, pins: Sequence[str], cache: Path | None = None) -> bool:
        command = [self._uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python"]
        kind = "hardlink" if cache is None else "symlink"
        variables = {} if cache is None else {"UV_CACHE_DIR": str(cache)}
        done = subprocess.run(
            [*command, str(self._python), "--link-mode", kind, *pins],
            check=False,
            capture_output=True,
            env={**os.environ, **variables, "UV_CONCURRENT_INSTALLS": "1"},
        )
        return done.returncode == 0


def pins_of(lock: Path) -> Iterator[str]:
    """Yield the exact requirements of a lock."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line[:1].isalnum():
            yield line.partition("\\")[0].strip()


def files(site: Path) -> Iterator[Path]:
    """Yield all files of an environment, except those about its installation."""
    return (path for path in site.rglob("*") if path.is_file() and path.name not in OWN)


def same(one: Path, other: Path) -> bool:
    """Return whether two files are one file with two names, or have the same content."""
    return one.samefile(other) or one.read_bytes() == other.read_bytes()


if __name__ == "__main__":
    main()
