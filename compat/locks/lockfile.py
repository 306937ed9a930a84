"""Locks: the exact versions and hashes of each pair's environment, as they are kept in the repository.

A lock is two files: `ID.txt`, what an installer reads, and `ID.json`, what is known about those packages.
Both are written by one command and refused when they do not fit each other.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from compat._util import atomic_write
from compat.errors import UsageError
from compat.model.releases import Pair

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a lock was made from; it is stale when these differ from the matrix."""

    python: str
    requirements: tuple[str, ...]
    overrides: tuple[str, ...]

    @classmethod
    def of(cls, pair: Pair) -> "Inputs":
        """Return the inputs of `pair`.

        Raises:
            UsageError: an override is no requirement.
        """
        overrides = tuple(_override(pair, name, pair.overrides[name]) for name in sorted(pair.overrides))
        requirements = tuple(map(str, pair.requirements))
        return cls(python=pair.python, requirements=requirements, overrides=overrides)

    def differences(self, other: "Inputs") -> list[str]:
        """Return one line for each input that is another in `other`."""
        lines = []
        for name in ("python", "requirements", "overrides"):
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                lines.append(f"{name}: {_listed(mine)} in the lock, {_listed(its)} in the matrix")
        return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One line of the requirements file."""

    version: Version
    hashes: tuple[str, ...]
    """Each `sha256:` and hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One package as a lock is to hold it."""

    pin: Pinned
    imports: tuple[str, ...]
    download_bytes: int
    installed_bytes: int
    guessed: bool = False
    """No wheel fits: the package is built from source, its import name is a guess, its sizes count as 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The environment of one pair."""

    pair: str
    inputs: Inputs
    packages: Mapping[NormalizedName, Version]
    imports: Mapping[NormalizedName, tuple[str, ...]]
    """Top-level names that each package lets a program import."""
    download_bytes: int
    installed_bytes: int
    digest: str
    """Hexadecimal sha256 of the requirements file."""
    requirements: Path
    """The file for the installer, to be used with its hash checking."""
    sizes: Mapping[NormalizedName, int] = field(default_factory=dict)
    """Bytes that each package takes when it is installed."""


def lock_paths(pair_id: str, folder: Path) -> tuple[Path, Path]:
    """Return the requirements file and the JSON file of a lock."""
    return folder / f"{pair_id}.txt", folder / f"{pair_id}.json"


def read_lock(pair_id: str, folder: Path) -> Lock:
    """Return the lock of a pair.

    Raises:
        UsageError: it is missing, or its files are not what the command writes; the command is named.
    """
    text_path, json_path = lock_paths(pair_id, folder)
    try:
        return _read(pair_id, text_path, json_path)
    except FileNotFoundError as error:
        problem = f"{error.filename} does not exist"
    except (InvalidVersion, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        problem = f"{json_path} is not as it was written ({type(error).__name__}: {error})"
    except UsageError as error:
        problem = str(error)
    raise UsageError(f"{problem}; run `{command(pair_id)}`")


def read_current(pair: Pair, folder: Path) -> Lock:
    """Return the lock of a pair, made from what the pair is now.

    Raises:
        UsageError: it is missing, broken or stale; the command is named.
    """
    lock = read_lock(pair.id, folder)
    differences = lock.inputs.differences(Inputs.of(pair))
    if differences:
        raise UsageError(
            f"the lock of {pair.id} is stale ({'; '.join(differences)}); run `{command(pair.id)}`"
        )
    return lock


def command(pair_id: str) -> str:
    """Return the command that writes the lock of a pair."""
    return f"python -m compat.pairs lock {pair_id}"


def parse_requirements(text: str, where: str) -> dict[NormalizedName, Pinned]:
    """Return what a hashed requirements file pins.

    Args:
        text: its content.
        where: what to name in errors.

    Raises:
        UsageError: a line is an option, an address, or a requirement without version or hash.
    """
    pinned: dict[NormalizedName, Pinned] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        name, version = _pin(requirement, where)
        if not hashes or not all(map(_HASH.fullmatch, hashes)):
            raise UsageError(f"{where}: {name} has no sha256 hash")
        if name in pinned:
            raise UsageError(f"{where}: {name} is there twice")
        pinned[name] = Pinned(version=version, hashes=tuple(hashes))
    return pinned


def write_lock(pair: Pair, packages: Mapping[NormalizedName, LockedPackage], folder: Path) -> None:
    """Write both files of the lock of `pair` into `folder`."""
    text_path, json_path = lock_paths(pair.id, folder)
    inputs = Inputs.of(pair)
    document = {
        "schema": 1,
        "pair": pair.id,
        "inputs": {
            "python": inputs.python,
            "requirements": list(inputs.requirements),
            "overrides": list(inputs.overrides),
        },
        "packages": {name: _entry(package) for name, package in packages.items()},
        "download_bytes": sum(package.download_bytes for package in packages.values()),
        "installed_bytes": sum(package.installed_bytes for package in packages.values()),
    }
    # Interrupted between the two, they do not fit each other, and `read_lock` says so.
    atomic_write.write_text(text_path, _requirements(pair, packages))
    atomic_write.write_text(json_path, json.dumps(document, indent=1, sort_keys=True) + "\n")


def _read(pair_id: str, text_path: Path, json_path: Path) -> Lock:
    content = text_path.read_bytes()
    pinned = parse_requirements(content.decode("utf-8"), str(text_path))
    document: dict[str, Any] = json.loads(json_path.read_text(encoding="utf-8"))
    entries = {canonicalize_name(name): entry for name, entry in document["packages"].items()}
    if document["pair"] != pair_id or document["schema"] != 1:
        raise UsageError(f"{json_path} belongs to another pair or another version of this program")
    for name in sorted({*pinned, *entries}):
        if (
            name not in entries
            or name not in pinned
            or Version(entries[name]["version"]) != pinned[name].version
        ):
            raise UsageError(f"{text_path} and {json_path} do not agree on {name}")
    totals = {
        key: sum(entry[key] for entry in entries.values()) for key in ("download_bytes", "installed_bytes")
    }
    if any(document[key] != total for key, total in totals.items()):
        raise UsageError(f"{json_path}: its totals are not the sums of its packages")
    inputs = document["inputs"]
    return Lock(
        pair=pair_id,
        inputs=Inputs(
            python=inputs["python"],
            requirements=tuple(inputs["requirements"]),
            overrides=tuple(inputs["overrides"]),
        ),
        packages=MappingProxyType({name: pin.version for name, pin in pinned.items()}),
        imports=MappingProxyType({name: tuple(entry["imports"]) for name, entry in entries.items()}),
        **totals,
        digest=hashlib.sha256(content).hexdigest(),
        requirements=text_path,
        sizes=MappingProxyType({name: int(entry["installed_bytes"]) for name, entry in entries.items()}),
    )


def _override(pair: Pair, name: str, specifier: str) -> str:
    try:
        requirement = Requirement(f"{name}{specifier}")
    except InvalidRequirement:
        requirement = None
    # `torch` and `2.7.1` make a valid requirement too: a distribution called torch2.7.1.
    if requirement is None or requirement.name != name:
        where = f"pair.{pair.id}.overrides.{name}"
        raise UsageError(f"{where}: {specifier!r} is no specifier (write one such as ==2.7.1)")
    return str(requirement)


def _pin(text: str, where: str) -> tuple[NormalizedName, Version]:
    if text.startswith("-") or "://" in text:
        raise UsageError(
            f"{where}: {text.split(maxsplit=1)[0]!r}: a lock holds neither options nor addresses"
        )
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise UsageError(f"{where}: {text!r} is no requirement") from None
    if requirement.marker or requirement.extras:
        raise UsageError(f"{where}: {text!r}: a lock holds plain names with versions")
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or specifiers[0].version.endswith("*"):
        raise UsageError(f"{where}: {requirement.name} is not pinned to one version")
    return canonicalize_name(requirement.name), Version(specifiers[0].version)


def _requirements(pair: Pair, packages: Mapping[NormalizedName, LockedPackage]) -> str:
    lines = [
        f"# Pair {pair.id}: {pair.describe()}, Python {pair.python}, Linux x86-64.",
        f"# Written by `{command(pair.id)}`; do not edit.",
    ]
    for name, package in sorted(packages.items()):
        hashes = (f"    --hash={digest}" for digest in sorted(package.pin.hashes))
        lines.append(" \\\n".join([f"{name}=={package.pin.version}", *hashes]))
    return "\n".join(lines) + "\n"


def _entry(package: LockedPackage) -> dict[str, Any]:
    entry = {
        "version": str(package.pin.version),
        "imports": list(package.imports),
        "download_bytes": package.download_bytes,
        "installed_bytes": package.installed_bytes,
    }
    return {**entry, "guessed": True} if package.guessed else entry


def _listed(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else (", ".join(value) or "none")
