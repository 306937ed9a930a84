"""The files of a bundle: what uv installs, as it would be on any machine."""

import csv
import io
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from compat._cli.progress import Progress
from compat.errors import IntegrityError, PreparationError, UsageError
from compat.requirements.graph import RequirementGraph
from compat.requirements.installed import read_environment
from compat.requirements.specifiers import pinned
from compat.uv import client, messages

OWN = re.compile(r"(^|/)__pycache__/|^\.lock$|^\.gitignore$")
"""What uv or Python puts there for itself."""
LONGEST_INSTALLATION = 3600.0
"""Seconds; a slow line needs minutes for 5 GB."""
SCRIPTS = "scripts that start the Python of the machine where the bundle was made"
_RECORD = re.compile(r"(?P<stem>[^/]+)\.dist-info/RECORD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A folder as uv has filled it. Its files may be links into uv's cache: they are only read."""

    folder: Path
    files: Mapping[str, Path]
    """Path below the site to the file, which is in the folder unless it is contested."""
    sizes: Mapping[str, int]
    """Path below the site to bytes."""
    contested: Mapping[str, tuple[NormalizedName, ...]]
    """Files that several packages bring in different forms: the first package's is taken. One that requires
    another stands before it, as pip would install it later; else they are in the order of names."""

    def scripts(self) -> list[str]:
        """Return what names an interpreter of this machine in its first line."""
        return [path for path, file in self.files.items() if path.startswith("bin/") and _is_script(file)]

    def entries(self, gone: Iterable[str]) -> dict[str, Path | bytes]:
        """Return what goes into the archive; each RECORD lists what is really there, in sorted lines."""
        left = set(self.files).difference(gone)
        entries: dict[str, Path | bytes] = {path: self.files[path] for path in left}
        for path in left:
            if _RECORD.fullmatch(path):
                entries[path] = _record(self.files[path].read_text(encoding="utf-8"), left)
        return entries


def install(
    requirements: Mapping[NormalizedName, str],
    folder: Path,
    *,
    python: str,
    platform: str,
    progress: Progress,
) -> Installed:
    """Install wheels with uv into `folder`/site, for a Python that need not be on this machine.

    Args:
        requirements: each package as a line with its version and hashes.
        folder: an empty folder for all that is written here.
        python: `X.Y`.
        platform: as uv calls it.
        progress: told of every second.

    Raises:
        UsageError: a package has no wheel for this Python and platform.
        PreparationError: uv failed otherwise.
        OutOfTimeError: uv did not end.
    """
    target = folder / "site"
    _run_uv(requirements.values(), target, python, platform, progress)
    files = _scan(target)
    contested = _contested(target, files)
    # uv unpacks wheels side by side, so which of several wins is chance.
    again = folder / "again"
    first = sorted({names[0] for names in contested.values()})
    for name in first:
        _run_uv([requirements[name]], again / name, python, platform, progress)
    files |= {path: again / names[0] / path for path, names in contested.items()}
    sizes = {path: file.stat().st_size for path, file in files.items()}
    return Installed(folder=target, files=files, sizes=sizes, contested=contested)


def _run_uv(lines: Iterable[str], target: Path, python: str, platform: str, progress: Progress) -> None:
    target.parent.mkdir(exist_ok=True)
    asked, log = Path(f"{target}.txt"), Path(f"{target}.log")
    asked.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [
        *(str(client.find_uv()), "pip", "install", "--target", str(target), "--requirements", str(asked)),
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
            "or --platform, or name it in --provided when the runner has it"
        )


def _scan(target: Path) -> dict[str, Path]:
    found = {}
    for root, folders, names in os.walk(target):
        links = [name for name in (*folders, *names) if Path(root, name).is_symlink()]
        if links:
            raise IntegrityError(f"{Path(root, links[0])}: a link; wheels hold plain files only")
        for name in names:
            path = Path(root, name)
            relative = path.relative_to(target).as_posix()
            if not OWN.search(relative):
                found[relative] = path
    return found


def _contested(target: Path, files: Mapping[str, Path]) -> dict[str, tuple[NormalizedName, ...]]:
    """Return the files whose RECORDs promise different digests, with the packages: the first is taken."""
    promised: defaultdict[str, dict[NormalizedName, str]] = defaultdict(dict)
    for path, file in files.items():
        record = _RECORD.fullmatch(path)
        if record:
            name = canonicalize_name(record["stem"].rpartition("-")[0])
            for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8"))):
                if len(row) == 3 and row[1] and (target / row[0]).is_file():
                    promised[row[0]][name] = row[1]
    several = {path: frozenset(by) for path, by in promised.items() if len(set(by.values())) > 1}
    owners = frozenset[NormalizedName]().union(*several.values())
    site = read_environment([target])
    graph = RequirementGraph(site.versions, site.requires)
    below = {name: frozenset(graph.closure([name])) for name in owners}
    return {
        path: tuple(sorted(names, key=lambda name: (-len(names & below[name]), name)))
        for path, names in several.items()
    }


def _is_script(path: Path) -> bool:
    with path.open("rb") as stream:
        return re.match(rb"#!\s*/\S*python|#!/bin/sh\n'''exec' ", stream.read(200)) is not None


def _record(text: str, left: set[str]) -> bytes:
    """Return the RECORD (https://packaging.python.org/en/latest/specifications/recording-installed-packages/)."""
    rows = sorted(row for row in csv.reader(io.StringIO(text)) if row and _place(row[0]) in left)
    output = io.StringIO()
    csv.writer(output, lineterminator="\n").writerows(rows)
    return output.getvalue().encode()


def _place(path: str) -> str:
    """Return a path of a RECORD below the site; scripts may be noted as if it were a `site-packages`."""
    return re.sub(r"^(\.\./)+(?=bin/)", "", path)
