"""What `compat init` finds in a repository: its pins, the packages that it uses, and its default branch."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compat.errors import UsageError
from compat.model.package_names import SGLANG, VLLM
from compat.scan.releases.project_pins import pinned_specifiers, project_root
from compat.scan.sources.discovery import Walk, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository, and how it uses the packages."""

    root: Path
    pins: Mapping[str, Mapping[str, str]]
    """Per package, the specifiers that the project requires, each with the name of its file."""
    used: tuple[str, ...]
    """The packages that its Python files name."""
    branch: str
    """The default branch, for workflows that run on a push."""

    def text(self, name: str) -> str | None:
        """Return the content of a file; None if it does not exist.

        Raises:
            UsageError: the file cannot be read, or is not UTF-8.
        """
        try:
            return (self.root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.root / name}: cannot be read: {error}") from None


def find_repository(folder: Path) -> Repository:
    """Return the repository that contains a folder.

    Raises:
        UsageError: the folder does not exist, or is in no project.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    found = project_root(os.fspath(folder))
    if found is None:
        raise UsageError(f"{folder}: neither a Python project nor a git repository; change to one")
    root = Path(found)
    return Repository(root=root, pins=pinned_specifiers(found), used=_used(root), branch=_branch(root))


def _used(root: Path) -> tuple[str, ...]:
    """Return the packages that some Python file of the project names, sglang first."""
    found: set[str] = set()
    wanted = {package: re.compile(rf"\b{package}\b".encode()) for package in (SGLANG, VLLM)}
    for path in Walk().files((os.fspath(root),)):
        try:
            data = read(path)
        except OSError:
            continue
        found.update(package for package, word in wanted.items() if word.search(data))
        if len(found) == len(wanted):
            break
    return tuple(package for package in wanted if package in found)


def _branch(root: Path) -> str:
    """Return the branch that the repository's origin calls its default, else the current one, else `main`."""
    for name in (".git/refs/remotes/origin/HEAD", ".git/HEAD"):
        try:
            text = (root / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if found := re.fullmatch(r"ref: refs/(?:heads|remotes/origin)/([\w./-]+)\s*", text):
            return found[1]
    return "main"
