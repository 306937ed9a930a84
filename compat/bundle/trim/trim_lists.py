"""Read trim lists: TOML files that name the files and packages that a certain use never loads."""

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName

from compat.bundle.trim.trim_files import Drop, parse_arch
from compat.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEYS = ("files", "packages", "reason", "arch")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDrop:
    """Patterns of packages to leave out for one reason; they are not installed at all."""

    patterns: tuple[str, ...]
    reason: str

    def covers(self, name: NormalizedName) -> bool:
        """Return whether a pattern matches the package."""
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimList:
    """The entries of one trim list that apply to the requested architecture."""

    files: tuple[Drop, ...] = ()
    packages: tuple[PackageDrop, ...] = ()


def shipped() -> tuple[str, ...]:
    """Return the names of the trim lists that this project ships."""
    folder = resources.files("compat.bundle.trim") / "lists"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def read_trim_list(name: str, arch: int | None) -> TrimList:
    """Return a shipped trim list by name, or read one from a file.

    Args:
        name: one of `shipped()`, or a path that ends in `.toml`.
        arch: the architecture of the bundle; entries for others are ignored.

    Raises:
        UsageError: the list does not exist or is not valid.
    """
    shipped_lists = resources.files("compat.bundle.trim") / "lists"
    source = Path(name) if name.endswith(".toml") else shipped_lists / f"{name}.toml"
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"--trim {name}: no such list (known: {', '.join(shipped())}; or give a .toml file)"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--trim {name}: cannot be read: {error}") from None
    if set(content) != {"drop"} or not isinstance(content["drop"], list):
        raise UsageError(f"--trim {name}: must contain [[drop]] tables and nothing else")
    files: list[Drop] = []
    packages: list[PackageDrop] = []
    for at, entry in enumerate(content["drop"]):
        where = f"--trim {name}: drop[{at}]"
        _check(entry, where)
        if not _holds(entry.get("arch", []), arch, where):
            continue
        if "files" in entry:
            files.append(Drop(patterns=tuple(entry["files"]), reason=entry["reason"]))
        if "packages" in entry:
            packages.append(PackageDrop(patterns=tuple(entry["packages"]), reason=entry["reason"]))
    return TrimList(files=tuple(files), packages=tuple(packages))


def _check(entry: Any, where: str) -> None:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: must be a table")
    for key, value in entry.items():
        if key not in KEYS:
            raise UsageError(f"{where}.{key}: unknown key (known: {', '.join(KEYS)})")
        texts = [value] if key == "reason" else value
        if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
            raise UsageError(
                f"{where}.{key}: must be a string"
                if key == "reason"
                else f"{where}.{key}: must be a list of strings"
            )
    if "reason" not in entry or not ("files" in entry or "packages" in entry):
        raise UsageError(f"{where}: needs a reason, and files or packages")


def _holds(names: list[str], arch: int | None, where: str) -> bool:
    try:
        return not names or arch in [parse_arch(name) for name in names]
    except ValueError as error:
        raise UsageError(f"{where}.arch: {error}") from None
