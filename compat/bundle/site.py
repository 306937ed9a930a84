"""The files of a bundle: what uv installs, as it would be on any machine."""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from compat.errors import IntegrityError, PreparationError, UsageError
from compat.matrix import uv
from compat.progress import Progress

OWN = re.compile(r"(^|/)__pycache__/|^\.lock$|^\.gitignore$")
"""What uv or Python puts there for itself."""
SCRIPTS = "scripts that start the Python of the machine where the bundle was made"
_RECORD = re.compile(r"(?P<stem>[^/]+)\.dist-info/RECORD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A folder as uv has filled it. Its files may be links into uv's cache: they are only read."""

    folder: Path
    sizes: Mapping[str, int]
    """Path below the folder to bytes."""

    @property
    def packages(self) -> frozenset[NormalizedName]:
        """The distributions that are really there."""
        found = (_RECORD.fullmatch(path) for path in self.sizes)
        return frozenset(canonicalize_name(record["stem"].rpartition("-")[0]) for record in found if record)

    def scripts(self) -> list[str]:
        """Return what names an interpreter of this machine in its first line."""
        return [path for path in self.sizes if path.startswith("bin/") and _is_script(self.folder / path)]

    def entries(self, gone: Iterable[str]) -> dict[str, Path | bytes]:
        """Return what goes into the archive; each RECORD lists what is really there, in sorted lines."""
        left = set(self.sizes).difference(gone)
        entries: dict[str, Path | bytes] = {path: self.folder / path for path in left}
        for path in left:
            if _RECORD.fullmatch(path):
                entries[path] = _record((self.folder / path).read_text(encoding="utf-8"), left)
        return entries


def install(
    requirements: str, folder: Path, *, python: str, platform: str, log: Path, progress: Progress
) -> Installed:
    """Install wheels with uv into `folder`/site, for a Python that need not be on this machine.

    Args:
        requirements: packages with versions and hashes.
        folder: an empty folder for all that is written here.
        python: `X.Y`.
        platform: as uv calls it.
        log: where uv's output goes.
        progress: told of every second.

    Raises:
        UsageError: a package has no wheel for this Python and platform.
        PreparationError: uv failed otherwise.
    """
    target, asked = folder / "site", folder / "requirements.txt"
    asked.write_text(requirements, encoding="utf-8")
    command = [
        *(str(uv.find_uv()), "pip", "install", "--target", str(target), "--requirements", str(asked)),
        *("--python-version", python, "--python-platform", platform),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--color", "never"),
    ]
    try:
        with log.open("a+b", buffering=0) as output:
            uv.run(command, output, progress)
    except PreparationError as error:
        _explain(log.read_text(encoding="utf-8", errors="replace"), python, platform)
        raise error from None
    return _scan(target)


def _explain(output: str, python: str, platform: str) -> None:
    text = " ".join(output.split())
    found = re.search(r"Because (\S+?)==(\S+) has no (?:usable )?wheels", text)
    if found:
        raise UsageError(
            f"{found[1]} {found[2]} has no wheel for Python {python} on {platform}; choose another --python "
            "or --platform, or name it in --provided when the runner has it"
        )


def _scan(target: Path) -> Installed:
    sizes = {}
    for root, folders, names in os.walk(target):
        links = [name for name in (*folders, *names) if Path(root, name).is_symlink()]
        if links:
            raise IntegrityError(f"{Path(root, links[0])}: a link; wheels hold plain files only")
        for name in names:
            path = Path(root, name)
            relative = path.relative_to(target).as_posix()
            if not OWN.search(relative):
                sizes[relative] = path.stat().st_size
    return Installed(folder=target, sizes=sizes)


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
