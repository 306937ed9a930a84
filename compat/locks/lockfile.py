"""Read and write locks: the exact versions and hashes of each pair's environment, kept in the repository.

A lock consists of two files: `ID.txt`, a requirements file for installers, and `ID.json`, with inputs, import
names and sizes. One command writes both, and files that do not agree are refused. Resolving is not done here.
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
from compat._util.regular_file import read_regular
from compat.errors import UsageError
from compat.model.releases import Pair

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of a resolution; a lock is stale when its inputs differ from the pair in the matrix."""

    python: str
    requirements: tuple[str, ...]
    overrides: tuple[str, ...]

    @classmethod
    def of(cls, pair: Pair) -> "Inputs":
        """Return the inputs of `pair`.

        Raises:
            UsageError: an override is not a valid requirement.
        """
        overrides = tuple(_override(pair, name, pair.overrides[name]) for name in sorted(pair.overrides))
        requirements = tuple(map(str, pair.requirements))
        return cls(python=pair.python, requirements=requirements, overrides=overrides)

    def differences(self, other: "Inputs") -> list[str]:
        """Return one line for each input of a lock that differs from `other`, the inputs in the matrix."""
        lines = []
        for name in ("python", "requirements", "overrides"):
            locked, current = getattr(self, name), getattr(other, name)
            if locked != current:
                lines.append(f"{name}: {_listed(locked)} in the lock, {_listed(current)} in the matrix")
        return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The version and hashes in one line of the requirements file."""

    version: Version
    hashes: tuple[str, ...]
    """Each is `sha256:` and hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One package as it is written into a lock."""

    pin: Pinned
    imports: tuple[str, ...]
    download_bytes: int
    installed_bytes: int
    guessed: bool = False
    """Whether no wheel is compatible: the package is built from source, its import name is a guess, and its
    sizes count as 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The locked environment of one pair."""

    pair: str
    inputs: Inputs
    packages: Mapping[NormalizedName, Version]
    imports: Mapping[NormalizedName, tuple[str, ...]]
    """Top-level modules and packages that each distribution provides."""
    download_bytes: int
    installed_bytes: int
    digest: str
    """Hexadecimal sha256 of the requirements file."""
    requirements: Path
    """The requirements file, to install with hash checking."""
    sizes: Mapping[NormalizedName, int] = field(default_factory=dict)
    """Installed bytes of each package."""


def lock_paths(pair_id: str, folder: Path) -> tuple[Path, Path]:
    """Return the paths of the requirements file and the JSON file of a lock."""
    return folder / f"{pair_id}.txt", folder / f"{pair_id}.json"


def read_lock(pair_id: str, folder: Path) -> Lock:
    """Return the lock of a pair.

    Raises:
        UsageError: the lock is missing or not valid; the message names the command that writes it.
    """
    text_path, json_path = lock_paths(pair_id, folder)
    try:
        return _read(pair_id, text_path, json_path)
    except FileNotFoundError as error:
        problem = f"{error.filename} does not exist"
    except OSError as error:
        problem = f"{error.filename}: {(error.strerror or str(error)).lower()}"
    except (InvalidVersion, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        problem = f"{json_path} is not a valid lock ({type(error).__name__}: {error})"
    except UsageError as error:
        problem = str(error)
    raise UsageError(f'{problem}; run "{command(pair_id)}"')


def read_current(pair: Pair, folder: Path) -> Lock:
    """Return the lock of a pair, after checking that it is not stale.

    Raises:
        UsageError: the lock is missing, not valid or stale; the message names the command that writes it.
    """
    lock = read_lock(pair.id, folder)
    differences = lock.inputs.differences(Inputs.of(pair))
    if differences:
        raise UsageError(
            f'the lock of {pair.id} is stale ({"; ".join(differences)}); run "{command(pair.id)}"'
        )
    return lock


def command(pair_id: str) -> str:
    """Return the command that writes the lock of a pair."""
    return f"python -m compat.pairs lock {pair_id}"


def parse_requirements(text: str, where: str) -> dict[NormalizedName, Pinned]:
    """Return the pinned version and the hashes of each package in a requirements file.

    Args:
        text: the content of the file.
        where: the file or pair that errors name.

    Raises:
        UsageError: a line is an option, a URL, or a requirement without an exact version or a hash.
    """
    pinned: dict[NormalizedName, Pinned] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement, *hashes = re.split(r"(?<!\s)\s+--hash=", line.strip())
        name, version = _pin(requirement, where)
        if not hashes or not all(map(_HASH.fullmatch, hashes)):
            raise UsageError(f"{where}: {name} has no sha256 hash")
        if name in pinned:
            raise UsageError(f"{where}: {name} is listed twice")
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
    # After an interruption between the two writes, `read_lock` reports that the files do not agree.
    atomic_write.write_text(text_path, _requirements(pair, packages))
    atomic_write.write_text(json_path, json.dumps(document, indent=1, sort_keys=True) + "\n")


def _read(pair_id: str, text_path: Path, json_path: Path) -> Lock:
    content = read_regular(text_path)
    pinned = parse_requirements(content.decode("utf-8"), str(text_path))
    document: dict[str, Any] = json.loads(read_regular(json_path))
    entries = {canonicalize_name(name): entry for name, entry in document["packages"].items()}
    if document["pair"] != pair_id or document["schema"] != 1:
        raise UsageError(f"{json_path} is for another pair or was written by another version of this program")
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
        raise UsageError(f"{json_path}: the totals differ from the sums over the packages")
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
    # `torch` followed by `2.7.1` is valid as well, but names a distribution torch2.7.1.
    if requirement is None or requirement.name != name:
        where = f"pair.{pair.id}.overrides.{name}"
        raise UsageError(f"{where}: {specifier!r} is not a valid specifier (example: ==2.7.1)")
    return str(requirement)


def _pin(text: str, where: str) -> tuple[NormalizedName, Version]:
    if text.startswith("-") or "://" in text:
        raise UsageError(f"{where}: {text.split(maxsplit=1)[0]!r}: a lock must not contain options or URLs")
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise UsageError(f"{where}: {text!r} is not a valid requirement") from None
    if requirement.marker or requirement.extras:
        raise UsageError(f"{where}: {text!r}: a lock must not contain markers or extras")
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
