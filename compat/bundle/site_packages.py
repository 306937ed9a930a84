"""Install the packages of a bundle with uv, so that the files do not depend on this machine."""

import csv
import io
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from compat._cli.progress import Progress
from compat.errors import IntegrityError, PreparationError, UsageError
from compat.requirements.file_owners import installed_collisions
from compat.requirements.specifiers import pinned
from compat.uv import client, messages

OWN = re.compile(r"(^|/)__pycache__/|^\.lock$|^\.gitignore$")
"""Files that uv or Python create for themselves; a bundle leaves them out."""
LONGEST_INSTALLATION = 3600.0
"""Seconds; a slow connection needs minutes for 5 GB."""
SCRIPTS = "scripts that start the Python of the machine where the bundle was made"
_RECORD = re.compile(r"(?P<stem>[^/]+)\.dist-info/RECORD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The files that uv has installed. They may be links into uv's cache, so they must not be modified."""

    folder: Path
    files: Mapping[str, Path]
    """The file for each path below site-packages; it is in `folder` unless it is contested."""
    sizes: Mapping[str, int]
    """Bytes by path below site-packages."""
    contested: Mapping[str, tuple[NormalizedName, ...]]
    """Files that several packages provide with different contents; the first package's file is used. A
    package precedes those that it requires, since pip would install it after them; otherwise by name."""

    def scripts(self) -> list[str]:
        """Return the scripts whose first line names a Python interpreter of this machine."""
        return [path for path, file in self.files.items() if path.startswith("bin/") and _is_script(file)]

    def entries(self, dropped: Iterable[str]) -> dict[str, Path | bytes]:
        """Return the entries of the archive without `dropped` files; each RECORD lists the remaining ones."""
        remaining = set(self.files).difference(dropped)
        entries: dict[str, Path | bytes] = {path: self.files[path] for path in remaining}
        for path in remaining:
            if _RECORD.fullmatch(path):
                entries[path] = _record(self.files[path].read_text(encoding="utf-8"), remaining)
        return entries


def install(
    requirements: Mapping[NormalizedName, str],
    folder: Path,
    *,
    python: str,
    platform: str,
    progress: Progress,
) -> Installed:
    """Install wheels with uv into `folder`/site, for a Python version that this machine need not have.

    Args:
        requirements: each package as a requirement with version and hashes.
        folder: an empty folder for all files.
        python: `X.Y`.
        platform: the platform, as uv names it.
        progress: advanced once a second.

    Raises:
        UsageError: a package has no wheel for this Python version and platform.
        PreparationError: uv failed for another reason.
        OutOfTimeError: uv did not finish in time.
    """
    target = folder / "site"
    _run_uv(requirements.values(), target, python, platform, progress)
    files = _scan(target)
    contested = _contested(target, files)
    # uv unpacks wheels concurrently, so it is random which package's file remains.
    again = folder / "again"
    first = sorted({names[0] for names in contested.values()})
    for name in first:
        _run_uv([requirements[name]], again / name, python, platform, progress)
    files |= {path: again / names[0] / path for path, names in contested.items()}
    sizes = {path: file.stat().st_size for path, file in files.items()}
    return Installed(folder=target, files=files, sizes=sizes, contested=contested)


def _run_uv(lines: Iterable[str], target: Path, python: str, platform: str, progress: Progress) -> None:
    target.parent.mkdir(exist_ok=True)
    requirements_file, log = Path(f"{target}.txt"), Path(f"{target}.log")
    requirements_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [
        *(
            str(client.find_uv()),
            "pip",
            "install",
            "--target",
            str(target),
            "--requirements",
            str(requirements_file),
        ),
        *("--python-version", python, "--python-platform", platform),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--color", "never"),
    ]
    try:
        with log.open("a+b", buffering=0) as output:
            client.run(command, output, progress, until=time.monotonic() + LONGEST_INSTALLATION)
    except PreparationError as error:
        _explain(log.read_text(encoding="utf-8", errors="replace"), python, platform)
        raise error from None


def _explain(output: str, python: str, platform: str) -> None:
    found = messages.no_wheel(output)
    if found:
        version = pinned(found.specifier) or found.specifier
        raise UsageError(
            f"{found.name} {version} has no wheel for Python {python} on {platform}; choose another --python "
            "or --platform, or list it in --provided if the runner has it"
        )


def _scan(target: Path) -> dict[str, Path]:
    found = {}
    for root, folders, names in os.walk(target):
        links = [name for name in (*folders, *names) if Path(root, name).is_symlink()]
        if links:
            raise IntegrityError(f"{Path(root, links[0])}: a symbolic link, which no wheel may contain")
        for name in names:
            path = Path(root, name)
            relative = path.relative_to(target).as_posix()
            if not OWN.search(relative):
                found[relative] = path
    return found


def _contested(target: Path, files: Mapping[str, Path]) -> dict[str, tuple[NormalizedName, ...]]:
    """Return the files with different digests in several RECORDs, with the packages by precedence."""
    return {
        path: tuple(map(canonicalize_name, owners))
        for collision, owners in installed_collisions([target]).items()
        for path in collision.names
        if path in files
    }


def _is_script(path: Path) -> bool:
    with path.open("rb") as stream:
        return re.match(rb"#!\s*/\S*python|#!/bin/sh\n'''exec' ", stream.read(200)) is not None


def _record(text: str, remaining: set[str]) -> bytes:
    """Return a RECORD with the lines of the remaining files, sorted.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    rows = sorted(row for row in csv.reader(io.StringIO(text)) if row and _below_site(row[0]) in remaining)
    output = io.StringIO()
    csv.writer(output, lineterminator="\n").writerows(rows)
    return output.getvalue().encode()


def _below_site(path: str) -> str:
    """Return a path of a RECORD relative to the target folder; scripts may be listed as `../../bin/…`."""
    return re.sub(r"^(\.\./)+(?=bin/)", "", path)
