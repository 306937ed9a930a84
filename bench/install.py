"""Measure time and disk space of installing one locked pair with pip and with uv, from the same hashed lock.

A pair without source archives is most meaningful, since building one needs another torch with either tool.
The tools take turns: uv, pip, uv. Each turn starts with an empty cache and creates two environments: the
first one, cold, fills the cache; the second one, warm, finds every package there. This needs about twice the
disk space of the pair.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from compat._util import atomic_write
from compat.locks.lockfile import Lock, read_lock
from compat.matrix.install.disk_usage import used_bytes
from compat.uv.client import find_uv, install_command, interpreter, venv_command

ROOT = Path(__file__).resolve().parents[1]
TURNS = ("uv", "pip", "uv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The measurements of one installation."""

    seconds: float
    """Seconds to create the environment and install all packages."""
    added_bytes: int
    """Bytes of cache and environment together, minus the cache before; hard links count once."""
    load: float
    """Other runnable processes at the start."""


def install(tool: str, lock: Lock, folder: Path) -> Installed:
    """Install a lock into a new environment, measure it, and remove the environment."""
    environment, cache = folder / "env", folder / tool
    variables = {**os.environ, "UV_CACHE_DIR": str(cache), "PIP_CACHE_DIR": str(cache)}
    if tool == "uv":
        uv = find_uv()
        commands = [
            venv_command(uv, lock.inputs.python, environment),
            install_command(uv, environment, lock.requirements),
        ]
    else:
        options = ["--disable-pip-version-check", "--require-hashes", "--no-deps", "--no-compile"]
        python = f"python{lock.inputs.python}"
        commands = [
            [python, "-m", "venv", str(environment)],
            [str(interpreter(environment)), "-m", "pip", "install", *options, "-r", str(lock.requirements)],
        ]
    load, before = os.getloadavg()[0], used_bytes(cache)
    begun = time.monotonic()
    for command in commands:
        subprocess.run(command, check=True, env=variables, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    seconds = time.monotonic() - begun
    added = used_bytes(environment, cache) - before
    shutil.rmtree(environment)
    return Installed(seconds=round(seconds, 1), added_bytes=added, load=round(load, 1))


def turn(tool: str, lock: Lock, folder: Path) -> tuple[Installed, Installed]:
    """Return the cold and the warm installation of one turn, after removing its files."""
    try:
        return install(tool, lock, folder), install(tool, lock, folder)
    finally:
        shutil.rmtree(folder / tool, ignore_errors=True)


def summary(pair: str, turns: Sequence[tuple[str, Sequence[Installed]]]) -> dict[str, Any]:
    """Return the measurements, and the ratios of pip to uv."""
    document: dict[str, Any] = {"pair": pair}
    for place, kind in enumerate(("cold", "warm")):
        runs = {tool: [each[place] for name, each in turns if name == tool] for tool in ("pip", "uv")}
        seconds = {tool: [run.seconds for run in each] for tool, each in runs.items()}
        added = {tool: mean(run.added_bytes for run in each) for tool, each in runs.items()}
        document[kind] = {
            "seconds": seconds,
            "load": {tool: [run.load for run in each] for tool, each in runs.items()},
            "added_gb": {tool: round(count / 1e9, 2) for tool, count in added.items()},
            "ratio_seconds": round(mean(seconds["pip"]) / mean(seconds["uv"]), 1),
            "ratio_bytes": round(added["pip"] / added["uv"], 1),
        }
    return document


def main() -> int:
    """Print the summary as one line of JSON; `--output` writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", nargs="?", default="vllm-alone", metavar="ID")
    parser.add_argument("--turns", nargs="+", choices=("uv", "pip"), default=TURNS)
    parser.add_argument(
        "--envs", type=Path, metavar="DIR", help="folder for environments (default: a temporary one)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    lock = read_lock(options.pair, ROOT / "locks")
    with tempfile.TemporaryDirectory(prefix="bench-install-", dir=options.envs) as folder:
        turns = [(tool, turn(tool, lock, Path(folder))) for tool in options.turns]
    result = summary(options.pair, turns)
    print(json.dumps(result, sort_keys=True))
    if options.output:
        atomic_write.write_text(options.output, json.dumps(result, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
