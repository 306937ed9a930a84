"""Which distribution's file stays where several bring the same one in different forms."""

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from compat.model.collisions import Collision, find_collisions
from compat.requirements.graph import RequirementGraph, required_name
from compat.requirements.installed import read_environment

RECORD = "RECORD"


def by_precedence(
    names: Iterable[str], versions: Mapping[str, str], requires: Callable[[str], Iterable[str]]
) -> tuple[str, ...]:
    """Return the distributions of a collision, the one whose files should stay first.

    A distribution precedes those that it requires, since it is made to lie over them. So does one that only
    extras require, as `nvidia-cutlass-dsl-libs-cu13`: somebody asked for it. Of others the higher version
    does, as code for an older one mostly runs with a newer one, which adds names.
    """
    mine = sorted(names)
    graph = RequirementGraph(versions, requires)
    below = {name: graph.closure([name]) for name in mine}
    lines = [(required_name(line), "extra ==" in line) for by in versions for line in requires(by)]
    required = {name for name, extra in lines if not extra}
    optional = {name for name, extra in lines if extra} - required

    def order(name: str) -> tuple[int, bool, Version]:
        return sum(other in below[name] for other in mine), name in optional, _version(versions.get(name, ""))

    return tuple(sorted(mine, key=order, reverse=True))


def recorded_files(sites: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Return the digests in the RECORDs of some folders, by distribution and path below the folder."""
    found: dict[str, dict[str, str]] = {}
    for record in sorted(path for site in sites for path in site.glob(f"*.dist-info/{RECORD}")):
        name = canonicalize_name(record.parent.name.removesuffix(".dist-info").rpartition("-")[0])
        text = record.read_text(encoding="utf-8", errors="replace")
        rows = (row for row in csv.reader(io.StringIO(text)) if len(row) == 3 and row[1])
        found.setdefault(name, {}).update(
            (path, digest) for path, digest, _ in rows if ".dist-info/" not in path and path[:2] != ".."
        )
    return found


def installed_collisions(sites: Iterable[Path]) -> dict[Collision, tuple[str, ...]]:
    """Return the files that several distributions in some folders bring in different forms.

    Each collision has its distributions by precedence.
    """
    folders = list(sites)
    environment = read_environment(folders)
    return {
        each: by_precedence(each.distributions, environment.versions, environment.requires)
        for each in find_collisions(recorded_files(folders))
    }


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file as RECORD has it."""
    content = hashlib.sha256(file.read_bytes()).digest()
    return f"sha256={base64.urlsafe_b64encode(content).rstrip(b'=').decode()}"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
