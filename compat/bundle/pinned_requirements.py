"""The requirements of a bundle: the locked versions, with the hashes of the wheels for its Python version."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from packaging.utils import NormalizedName
from packaging.version import Version

from compat._cli.progress import Progress
from compat.errors import UsageError
from compat.locks.lockfile import Lock, parse_requirements
from compat.wheels.package_index import Registry
from compat.wheels.platform_tags import fitting_wheels

THREADS = 8
"""Project pages that are read concurrently; reading one is mostly waiting."""


def locked_hashes(lock: Lock) -> dict[NormalizedName, tuple[str, ...]]:
    """Return the hashes in the lock by package: those of the wheels for the lock's own Python version."""
    text = lock.requirements.read_text(encoding="utf-8")
    return {name: pin.hashes for name, pin in parse_requirements(text, str(lock.requirements)).items()}


def other_hashes(
    packages: Mapping[NormalizedName, Version], python: str, registry: Registry, progress: Progress
) -> dict[NormalizedName, tuple[str, ...]]:
    """Return the hashes of the wheels for another Python version, as the package index states them.

    Args:
        packages: the locked versions.
        python: `X.Y`.
        registry: the package index.
        progress: advanced by one for each package.

    Raises:
        UsageError: a locked version has no wheel for this Python version.
        NetworkError: the index cannot be reached.
    """

    def read(name: NormalizedName) -> tuple[str, ...]:
        files = (file for file in registry.files(name) if file.version == packages[name])
        progress.advance()
        return tuple(sorted({f"sha256:{wheel.sha256}" for wheel in fitting_wheels(files, python)}))

    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(packages, pool.map(read, packages), strict=True))
    without = [f"{name} {packages[name]}" for name, hashes in found.items() if not hashes]
    if without:
        raise UsageError(
            f"no wheel for Python {python} on Linux x86-64: {', '.join(sorted(without))}; choose another "
            "--python, or list in --provided what the runner has"
        )
    return found


def requirements(
    packages: Mapping[NormalizedName, Version], hashes: Mapping[NormalizedName, tuple[str, ...]]
) -> dict[NormalizedName, str]:
    """Return each package as a line of a hashed requirements file, sorted by name."""
    return {
        name: " ".join([f"{name}=={version}", *(f"--hash={digest}" for digest in hashes[name])])
        for name, version in sorted(packages.items())
    }
