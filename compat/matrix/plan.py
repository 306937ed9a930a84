"""What installing a pair takes: uv's argument lists, and the plan with disk and time. Starts no process."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compat.errors import DiskError

INSTALLED_BYTES_PER_SECOND = 110e6
"""What uv puts in place when it has to download; measured on 2 cores: 9 GB in 50-100 s."""
LINKED_BYTES_PER_SECOND = 2e9
"""What uv puts in place when its cache holds it all and only links are made."""
FIRST_IMPORT_SECONDS = 40.0
"""The first child that imports torch and the packages, from a cold disk cache."""
MODULE_SECONDS = 0.1
"""Every further module; measured over 255 modules of the pair `seed`."""
REHEARSAL_SECONDS = 25.0
"""Building a layer of every scheme of one package."""
CROSS = "\N{MULTIPLICATION SIGN}"
FRAME = f" \t{CROSS}╰─▶│├"
"""What uv draws around its explanations."""
BYTECODE_BYTES = 200_000_000
"""What the imports themselves write, above all compiled bytecode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What running one cell will take."""

    pair_id: str
    describe: str
    modules: int
    packages: int = 0
    """Of how many a layer of every scheme is built."""
    download_bytes: int
    """What travels; 0 when uv's cache holds every package."""
    installed_bytes: int
    cached: bool
    linked: bool
    """Whether cache and environment share a disk: uv then links, and each file counts once."""
    finished: str = ""
    """Why there is nothing to do, when there is not."""
    cell_id: str = ""
    """The cell, when it is not the one of the level `import`."""

    @property
    def disk_bytes(self) -> int:
        """Bytes that the environment's disk must have free."""
        return BYTECODE_BYTES + (0 if self.cached and self.linked else self.installed_bytes)

    @property
    def cache_bytes(self) -> int:
        """Bytes that the disk of uv's cache must have free as well, when it is another one."""
        return 0 if self.cached or self.linked else self.installed_bytes

    @property
    def seconds(self) -> float:
        """How long it is likely to take."""
        rate = LINKED_BYTES_PER_SECOND if self.cached and self.linked else INSTALLED_BYTES_PER_SECOND
        looking = MODULE_SECONDS * self.modules + REHEARSAL_SECONDS * self.packages
        return self.installed_bytes / rate + FIRST_IMPORT_SECONDS + looking

    def line(self) -> str:
        """Return the plan in one line."""
        if self.finished:
            return f"{self.cell_id or self.pair_id}: {self.finished}"
        fetched = "nothing to download" if self.cached else f"downloads up to {size(self.download_bytes)}"
        disk = size(self.disk_bytes + self.cache_bytes)
        return (
            f"{self.cell_id or self.pair_id} ({self.describe}): {self.modules} modules, {fetched}, "
            f"needs up to {disk} of disk and about {duration(self.seconds)}"
        )


def check_room(needed: int, free: int, folder: Path, pair_id: str) -> None:
    """Do nothing when the disk holds the pair.

    Raises:
        DiskError: it does not; the message says by how much and what to do.
    """
    if needed > free:
        raise DiskError(
            f"{pair_id}: needs {size(needed)} of disk, {folder} has {size(free)} free; "
            f"free {size(needed - free)}, or give --envs a folder on a larger disk"
        )


def venv_command(uv: Path, python: str, environment: Path) -> list[str]:
    """Return the command that makes an empty environment with the Python `X.Y`."""
    return [str(uv), "venv", "--no-project", "--python", python, str(environment)]


def install_command(uv: Path, environment: Path, requirements: Path) -> list[str]:
    """Return the command that installs exactly what a lock lists; where from, the user's uv knows."""
    python = str(interpreter(environment))
    options = ["--python", python, "--require-hashes", "--no-deps"]
    return [str(uv), "pip", "install", *options, "--requirements", str(requirements)]


def cache_query(uv: Path, environment: Path, requirements: Path) -> list[str]:
    """Return the command whose output `nothing_to_download` reads; it changes nothing."""
    return [*install_command(uv, environment, requirements), "--dry-run", "--offline"]


def nothing_to_download(code: int, output: str) -> bool:
    """Return whether uv's cache holds every package, given how a `cache_query` ended."""
    return code == 0 and "Would download" not in output


def interpreter(environment: Path) -> Path:
    """Return the Python of an environment."""
    return environment / "bin" / "python"


def reason_of(output: str, code: int) -> str:
    """Return in one line why uv failed: its first complaint and, when there is another, the root cause."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", output)
    lines = [line.strip(FRAME) for line in text.splitlines()]
    marks = [at for at, line in enumerate(text.splitlines()) if line.startswith("error:") or CROSS in line]
    if not marks:
        last = next((line for line in reversed(lines) if line), "no output")
        return _without_addresses(f"uv ended with {code}: {last}")
    head = lines[marks[0]].removeprefix("error:").strip()
    rest = [line for line in lines[marks[0] + 1 :] if line]
    causes = _causes(lines[marks[0] + 1 :]) or rest[:1]
    return _without_addresses(": ".join(["uv", head.rstrip(":"), *causes[-1:]]))


def _causes(lines: Sequence[str]) -> list[str]:
    """Return the causes below an error, each whole: uv breaks long lines."""
    causes: list[str] = []
    inside = False
    for line in lines:
        found = re.match(r"(?:Caused by|cause):\s*(.*)", line)  # as older and newer uv call it
        if found:
            causes.append(found[1])
        elif inside and line:
            causes[-1] += f" {line}"
        inside = bool(found) or (inside and bool(line))
    return causes


def _without_addresses(line: str) -> str:
    """Return the line with the last part of each address only: where packages come from is private."""
    return re.sub(r"https?://[^\s`'\")]*?([^/\s`'\")]*)/?(?=[\s`'\")]|$)", r"\1", line)


def size(count: float) -> str:
    """Return a number of bytes for people: `9.1 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Return a time for people: `1 min 35 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
