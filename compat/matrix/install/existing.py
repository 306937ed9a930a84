"""Open an existing environment, such as an unpacked bundle, and compare it with a lock.

This serves machines on which nothing can be installed. A child process lists the environment's packages from
their metadata. The environment is never modified: not even bytecode is written into it.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from compat._util.subprocesses import run
from compat.errors import PreparationError, UsageError
from compat.locks.lockfile import Lock
from compat.matrix.model.outcome import Disagreement
from compat.model.releases import PACKAGES, Pair
from compat.probe.probe_process import child_variables

MANIFEST, SITE = "manifest.json", "site"
"""The file and the folder that unpacking a bundle creates."""
LISTING_SECONDS = 120
LISTING = """
import json, platform, site
from importlib import metadata
found, names = {}, {}
for one in metadata.distributions():
    if one.metadata["Name"] and one.version:
        found.setdefault(one.metadata["Name"], [one.version, str(one.locate_file(""))])
for name, owners in metadata.packages_distributions().items():
    for owner in owners:
        names.setdefault(owner, []).append(name)
print(json.dumps({
    "python": platform.python_version(), "user": site.getuserbase(), "found": found, "names": names
}))
"""
"""The program of the child process. Of several distributions of one name, the first on the import path
counts, since Python imports that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The differences between a bundle and its lock that the manifest declares."""

    pair: str
    lock: str
    """Hexadecimal sha256 of the lock's requirements file."""
    python: str
    """`X.Y`."""
    provided: Mapping[NormalizedName, Version | None]
    """Locked packages that the runner has in this version; None for any version."""
    skipped: Mapping[NormalizedName, str]
    """Locked packages that the bundle leaves out, each with the reason."""
    dropped: Mapping[str, int]
    """The number of files that the bundle leaves out, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingEnvironment:
    """A virtual environment or an unpacked bundle with its interpreter."""

    python: Path
    path: tuple[Path, ...]
    """Folders that come first on the import path."""
    bundle: Bundle | None
    """None for a virtual environment, which declares nothing."""

    @property
    def what(self) -> str:
        """The kind of the environment, as text."""
        return "a virtual environment" if self.bundle is None else "an unpacked bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The packages of an environment, as its own Python lists them."""

    python: str
    """`X.Y.Z`."""
    user_base: str
    packages: Mapping[NormalizedName, str]
    """The version of each distribution."""
    places: Mapping[NormalizedName, Path]
    """The site-packages folder of each distribution."""
    imports: Mapping[NormalizedName, tuple[str, ...]]
    """The top-level modules and packages of each distribution."""

    def as_lock(self, lock: Lock) -> Lock:
        """Return the lock with the packages that are really installed, for the expectations of the index."""
        versions = {name: _version(text) for name, text in self.packages.items()}
        return replace(
            lock,
            packages={name: version for name, version in versions.items() if version is not None},
            imports={name: lock.imports.get(name) or self.imports.get(name, ()) for name in self.packages},
        )


def open_existing(folders: Sequence[Path], python: Path) -> ExistingEnvironment:
    """Return the environment in one folder, or in several bundles that precede one another on the path.

    Args:
        folders: one virtual environment, or unpacked bundles, that of the pair first.
        python: the interpreter for bundles.

    Raises:
        UsageError: a folder is neither, or the interpreter does not exist.
    """
    first, *others = (folder.resolve() for folder in folders)
    if not others and not (first / MANIFEST).exists() and (first / "bin" / "python").exists():
        return ExistingEnvironment(python=first / "bin" / "python", path=(), bundle=None)
    if not os.access(python, os.X_OK) or python.is_dir():
        raise UsageError(f"--python {python}: no such interpreter")
    for folder in (first, *others):
        if not (folder / MANIFEST).is_file() or not (folder / SITE).is_dir():
            raise UsageError(
                f"--environment {folder}: neither a virtual environment nor an unpacked bundle; "
                "give the folder that unpack.sh has created"
            )
    sites = [folder / SITE for folder in (first, *others)]
    path = tuple(entry for site in sites for entry in (site, *named_by_pth(site)))
    return ExistingEnvironment(python=python.absolute(), path=path, bundle=_read_bundle(first / MANIFEST))


def named_by_pth(site: Path) -> list[Path]:
    """Return the folders that the site's .pth files name, as `unpack.sh` prints them for PYTHONPATH."""
    lines = [
        line.strip()
        for file in sorted(site.glob("*.pth"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if not line.startswith(("#", "import ", "import\t"))
    ]
    return [site / line for line in lines if line and (site / line).is_dir()]


def variables(environment: ExistingEnvironment, folder: Path, user_base: str = "") -> dict[str, str]:
    """Return the environment variables for child processes: those of any cell, and the import path.

    Args:
        environment: the environment.
        folder: the folder for bytecode.
        user_base: the base folder of user site-packages, since child processes get another HOME.
    """
    path = {"PYTHONPATH": os.pathsep.join(map(str, environment.path))} if environment.path else {}
    user = {"PYTHONUSERBASE": user_base} if user_base else {}
    return {**child_variables(os.environ), **path, **user, "PYTHONPYCACHEPREFIX": str(folder / "pycache")}


def listing(environment: ExistingEnvironment, folder: Path) -> Listing:
    """Return the packages of an environment.

    Args:
        environment: the environment.
        folder: an empty folder, in which the child process runs.

    Raises:
        PreparationError: the interpreter does not run, or fails to list the packages.
    """
    command = [str(environment.python), "-c", LISTING]
    try:
        done = run(command, seconds=LISTING_SECONDS, variables=variables(environment, folder), folder=folder)
        output = json.loads(done.stdout) if done.code == 0 else None
    except (OSError, ValueError) as error:
        raise PreparationError(f"{environment.python} cannot list its packages ({error})") from None
    if output is None:
        ended = f"exit code {done.code}" if done.code is not None else f"no answer in {LISTING_SECONDS} s"
        last = (done.stderr.strip().splitlines() or [ended])[-1]
        raise PreparationError(f"{environment.python} cannot list its packages ({last})")
    return Listing(
        python=output["python"],
        user_base=output["user"],
        packages={canonicalize_name(name): version for name, (version, _) in output["found"].items()},
        places={canonicalize_name(name): Path(place) for name, (_, place) in output["found"].items()},
        imports={canonicalize_name(name): tuple(names) for name, names in output["names"].items()},
    )


def differences(
    pair: Pair, lock: Lock, bundle: Bundle | None, found: Listing
) -> tuple[tuple[Disagreement, ...], tuple[str, ...]]:
    """Return the differences between an environment and its lock: undeclared ones, and declared ones as text.

    Packages under test must be installed as locked, whatever a bundle declares. Packages that the lock lacks
    are ignored, unless they would be under test as well.
    """
    wrong: list[Disagreement] = []
    declared: list[str] = []
    python = ".".join(found.python.split(".")[:2])
    wanted = pair.python if bundle is None else bundle.python
    if python != wanted:
        wrong.append(_but("Python", wanted, found.python))
    elif python != pair.python:
        declared.append(f"Python {found.python}, locked is {pair.python}")
    if bundle is not None and bundle.lock != lock.digest:
        wrong.append(_but("the bundle", "built from this lock", "built from another one; build it again"))
    for name, locked in sorted(lock.packages.items()):
        have = found.packages.get(name)
        if have is None or not _fits(have, locked):
            # A declaration never excuses a package under test.
            word = None if bundle is None or name in PACKAGES else _declared(bundle, name, have)
            if word is None:
                wrong.append(_but(name, str(locked), have or "not installed"))
            else:
                declared.append(f"{name} {have or 'not installed'}, locked is {locked}: {word}")
    beside = [name for name in PACKAGES if name in found.packages and name not in lock.packages]
    wrong += [_but(name, "not in this pair", found.packages[name]) for name in beside]
    if bundle is not None:
        declared += [f"{count} files left out: {why}" for why, count in sorted(bundle.dropped.items())]
    return tuple(wrong), tuple(declared)


def _declared(bundle: Bundle, name: NormalizedName, have: str | None) -> str | None:
    """Return why the bundle declares that a package differs from the lock, or None if it does not."""
    if have is None:
        return f"left out: {bundle.skipped[name]}" if name in bundle.skipped else None
    if name not in bundle.provided:
        return None
    version = bundle.provided[name]
    return "declared as the runner's" if version is None or _fits(have, version) else None


def _fits(have: str, version: Version) -> bool:
    # `==` ignores a local label that the specifier does not have: 2.11.0+cu130 equals 2.11.0.
    found = _version(have)
    return found is not None and SpecifierSet(f"=={version}").contains(found, prereleases=True)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _but(what: str, expected: str, observed: str) -> Disagreement:
    return Disagreement(location=what, expected=expected, observed=observed)


def _read_bundle(path: Path) -> Bundle:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Bundle(
            pair=document["pair"],
            lock=document["lock"],
            python=document["python"],
            provided={
                canonicalize_name(one["name"]): Version(one["provided"]) if one["provided"] else None
                for one in document["provided"]
            },
            skipped={canonicalize_name(name): str(why) for name, why in document["skipped"].items()},
            dropped={one["reason"]: len(one["files"]) for one in document["dropped"]},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path}: not a bundle manifest ({problem}); unpack the bundle again") from None
