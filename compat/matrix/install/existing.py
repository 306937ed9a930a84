"""An environment that is there already, such as an unpacked bundle: is it what the lock says?

For machines that install nothing. What the environment holds is told by a child process, from metadata.
Nothing is ever written into it or removed, bytecode included.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from compat.errors import PreparationError, UsageError
from compat.locks.lockfile import Lock
from compat.matrix.outcome import Disagreement
from compat.model.releases import PACKAGES, Pair
from compat.probe.probe_runner import child_variables

MANIFEST, SITE = "manifest.json", "site"
"""What a bundle unpacks to."""
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
"""What the child runs. Of several distributions of one name the first on the path counts: it is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What the manifest of an unpacked bundle declares."""

    pair: str
    lock: str
    """Hexadecimal sha256 of the lock's requirements file."""
    python: str
    """`X.Y`."""
    provided: Mapping[NormalizedName, Version | None]
    """Locked packages that the runner has, in this version; None: in whatever version it says it has."""
    skipped: Mapping[NormalizedName, str]
    """Locked packages that are left out on purpose, with the reason."""
    dropped: Mapping[str, int]
    """Reason to number of files that are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingEnvironment:
    """An environment as the user names it."""

    python: Path
    path: tuple[Path, ...]
    """Folders that come first on the import path."""
    bundle: Bundle | None
    """None for a virtual environment, of which nothing is declared."""

    @property
    def what(self) -> str:
        """The environment in words."""
        return "a virtual environment" if self.bundle is None else "an unpacked bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What an environment holds, as its own Python tells."""

    python: str
    """`X.Y.Z`."""
    user_base: str
    packages: Mapping[NormalizedName, str]
    """Distribution to version."""
    places: Mapping[NormalizedName, Path]
    """Distribution to the folder it stands in."""
    imports: Mapping[NormalizedName, tuple[str, ...]]
    """Distribution to top-level import names."""

    def as_lock(self, lock: Lock) -> Lock:
        """Return the lock with the packages that are really there, for what the index expects of them."""
        versions = {name: _version(text) for name, text in self.packages.items()}
        return replace(
            lock,
            packages={name: version for name, version in versions.items() if version is not None},
            imports={name: lock.imports.get(name) or self.imports.get(name, ()) for name in self.packages},
        )


def open_existing(folders: Sequence[Path], python: Path) -> ExistingEnvironment:
    """Return the environment in a folder; of several, each bundle stands on top of those after it.

    Args:
        folders: one virtual environment, or unpacked bundles, that of the pair first.
        python: the interpreter that bundles are for.

    Raises:
        UsageError: a folder is neither.
    """
    first, *others = (folder.resolve() for folder in folders)
    if not others and not (first / MANIFEST).exists() and (first / "bin" / "python").exists():
        return ExistingEnvironment(python=first / "bin" / "python", path=(), bundle=None)
    if not os.access(python, os.X_OK) or python.is_dir():
        raise UsageError(f"--python {python}: there is no such interpreter")
    for folder in (first, *others):
        if not (folder / MANIFEST).is_file() or not (folder / SITE).is_dir():
            raise UsageError(
                f"--environment {folder}: neither a virtual environment nor an unpacked bundle "
                "(give the folder that `unpack.sh` has made)"
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
    """Return the environment variables for its children: as for any cell, and with its import path.

    Args:
        environment: the environment.
        folder: takes the bytecode of what is imported.
        user_base: where the user's own packages are, since the children get a HOME of their own.
    """
    path = {"PYTHONPATH": os.pathsep.join(map(str, environment.path))} if environment.path else {}
    user = {"PYTHONUSERBASE": user_base} if user_base else {}
    return {**child_variables(os.environ), **path, **user, "PYTHONPYCACHEPREFIX": str(folder / "pycache")}


def listing(environment: ExistingEnvironment, folder: Path) -> Listing:
    """Return what the environment holds.

    Args:
        environment: the environment.
        folder: an empty folder, in which the child runs.

    Raises:
        PreparationError: its Python does not tell.
    """
    try:
        done = subprocess.run(
            [environment.python, "-c", LISTING],
            cwd=folder,
            env=variables(environment, folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LISTING_SECONDS,
            check=False,
        )
        told = json.loads(done.stdout) if not done.returncode else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise PreparationError(f"{environment.python} tells nothing about itself ({error})") from None
    if told is None:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PreparationError(f"{environment.python} tells nothing about itself ({last})")
    return Listing(
        python=told["python"],
        user_base=told["user"],
        packages={canonicalize_name(name): version for name, (version, _) in told["found"].items()},
        places={canonicalize_name(name): Path(place) for name, (_, place) in told["found"].items()},
        imports={canonicalize_name(name): tuple(names) for name, names in told["names"].items()},
    )


def differences(
    pair: Pair, lock: Lock, bundle: Bundle | None, found: Listing
) -> tuple[tuple[Disagreement, ...], tuple[str, ...]]:
    """Return in what an environment is not its lock: what nobody declared, and what its bundle does.

    What is under test must be there as it is locked, whatever a bundle declares. Packages beside those of the
    lock are nobody's business, unless they would be under test, too.
    """
    wrong: list[Disagreement] = []
    told: list[str] = []
    python = ".".join(found.python.split(".")[:2])
    wanted = pair.python if bundle is None else bundle.python
    if python != wanted:
        wrong.append(_but("Python", wanted, found.python))
    elif python != pair.python:
        told.append(f"Python {found.python}, locked is {pair.python}")
    if bundle is not None and bundle.lock != lock.digest:
        wrong.append(_but("the bundle", "made from this lock", "made from another one; make it again"))
    for name, locked in sorted(lock.packages.items()):
        have = found.packages.get(name)
        if have is None or not _fits(have, locked):
            # What is under test is never declared away.
            word = None if bundle is None or name in PACKAGES else _declared(bundle, name, have)
            if word is None:
                wrong.append(_but(name, str(locked), have or "not there"))
            else:
                told.append(f"{name} {have or 'not there'}, locked is {locked}: {word}")
    beside = [name for name in PACKAGES if name in found.packages and name not in lock.packages]
    wrong += [_but(name, "not in this pair", found.packages[name]) for name in beside]
    if bundle is not None:
        told += [f"{count} files left out: {why}" for why, count in sorted(bundle.dropped.items())]
    return tuple(wrong), tuple(told)


def _declared(bundle: Bundle, name: NormalizedName, have: str | None) -> str | None:
    """Return what the bundle says of a package that is not there as it is locked; None when nothing."""
    if have is None:
        return f"left out: {bundle.skipped[name]}" if name in bundle.skipped else None
    if name not in bundle.provided:
        return None
    version = bundle.provided[name]
    return "declared as the runner's" if version is None or _fits(have, version) else None


def _fits(have: str, version: Version) -> bool:
    # `==` passes over a local label that it does not name: 2.11.0+cu130 is 2.11.0.
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
        raise UsageError(f"{path}: no manifest of a bundle ({problem}); unpack it again") from None
