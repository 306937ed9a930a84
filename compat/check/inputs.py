"""Read what to check: requirements, locks of several forms, a pair of the matrix, or an environment."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from compat._util.regular_file import read_regular
from compat._util.subprocesses import run
from compat.errors import PreparationError, UsageError
from compat.locks.lockfile import read_lock
from compat.matrix.config import read_matrix
from compat.requirements.installed import read_environment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TIMEOUT = 60
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?={2,3}([^\s;\\]+)")


@dataclass(slots=True, kw_only=True)
class CheckInput:
    """What the command line names."""

    requirements: list[Requirement] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    """Canonical distribution name to version, from locks and environments."""
    provided: frozenset[str] | None = None
    """All top-level modules that are installed; None if not known."""
    complete: bool = False
    """Whether nothing but `versions` is installed."""
    python: str | None = None
    """The Python version, `X.Y`, if the source tells it."""


def parse_requirement(text: str, where: str) -> Requirement:
    """Return a requirement.

    Raises:
        UsageError: `text` is not one.
    """
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise UsageError(f"{where}: {text!r} is not a requirement (example: transformers==4.57.1)") from None


def read_requirements(path: Path) -> list[Requirement]:
    """Return the requirements of a requirements file; options, paths and addresses are left out.

    Raises:
        UsageError: the file cannot be read, or a line is not a requirement.
    """
    found = []
    for number, line in enumerate(_text(path).replace("\\\n", " ").splitlines(), 1):
        text = re.split(r"\s#|\s--", line.strip())[0].strip()
        if text and not text.startswith(("#", "-", ".", "/")) and "://" not in text:
            found.append(parse_requirement(text, f"{path}, line {number}"))
    return [each for each in found if each.marker is None or each.marker.evaluate()]


def read_lock_file(path: Path) -> CheckInput:
    """Return the versions in a lock: one of this project, `pylock.toml`, `uv.lock`, or that of `pip freeze`.

    Raises:
        UsageError: the file cannot be read, or is of no known form.
    """
    text = _text(path)
    if path.suffix == ".json":
        return _own_lock(path, text)
    if path.suffix == ".toml" or path.name == "uv.lock":
        return CheckInput(versions=_toml_versions(path, text), complete=True)
    versions: dict[str, str] = {canonicalize_name(name): version for name, version in _PIN.findall(text)}
    if not versions:
        raise UsageError(
            f"{path}: no exact versions in it; --lock takes a lock of this project, pylock.toml, uv.lock, or "
            "the output of pip freeze"
        )
    beside = path.with_suffix(".json")
    if beside.is_file() and '"imports"' in _text(beside):
        return _own_lock(beside, _text(beside))
    return CheckInput(versions=versions, complete=True)


def read_pair(pair_id: str, matrix: Path) -> CheckInput:
    """Return the versions in the lock of a pair of the matrix.

    Raises:
        UsageError: the matrix or the lock cannot be read, or there is no such pair.
    """
    pair = read_matrix(matrix).select([pair_id])[0]
    lock = read_lock(pair.id, matrix.parent / "locks")
    return CheckInput(
        versions={name: str(version) for name, version in lock.packages.items()},
        provided=frozenset(top for tops in lock.imports.values() for top in tops),
        complete=True,
        python=pair.python,
    )


def read_python(python: Path) -> CheckInput:
    """Return what is installed for an interpreter, from its metadata; nothing of it is imported.

    Raises:
        PreparationError: the interpreter does not answer.
    """
    program = "import json, sys; print(json.dumps([sys.path[1:], list(sys.version_info[:2])]))"
    try:
        done = run([python, "-c", program], seconds=_TIMEOUT)
        folders, version = json.loads(done.stdout)
    except (OSError, ValueError):
        raise PreparationError(f"{python}: it does not answer; pass a Python with --python") from None
    installed = read_environment(folders)
    return CheckInput(versions=dict(installed.versions), complete=True, python=".".join(map(str, version)))


def _own_lock(path: Path, text: str) -> CheckInput:
    try:
        document = json.loads(text)
        packages: Mapping[str, Any] = document["packages"]
        return CheckInput(
            versions={canonicalize_name(name): str(each["version"]) for name, each in packages.items()},
            provided=frozenset(top for each in packages.values() for top in each["imports"]),
            complete=True,
            python=document["inputs"]["python"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{path}: it is not a lock of this project") from None


def _toml_versions(path: Path, text: str) -> dict[str, str]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    entries = document.get("packages", document.get("package"))
    if not isinstance(entries, list):
        raise UsageError(f"{path}: neither pylock.toml nor uv.lock: it lists no packages")
    return dict(_entries(entries))


def _entries(entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("version"), str) and entry.get("name"):
            yield canonicalize_name(str(entry["name"])), entry["version"]


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
