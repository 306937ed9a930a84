"""The requirements of a bundle: the lock's versions, with the hashes of the wheels that fit its Python."""

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
"""Project pages read at once: the time goes into waiting."""


def locked_hashes(lock: Lock) -> dict[NormalizedName, tuple[str, ...]]:
    """Return the hashes that the lock itself pins: of the wheels for its own Python."""
    text = lock.requirements.read_text(encoding="utf-8")
    return {name: pin.hashes for name, pin in parse_requirements(text, str(lock.requirements)).items()}


def other_hashes(
    packages: Mapping[NormalizedName, Version], python: str, registry: Registry, progress: Progress
) -> dict[NormalizedName, tuple[str, ...]]:
    """Return the hashes of the wheels of the same versions for another Python, as the index promises them.

    Args:
        packages: the locked versions.
        python: `X.Y`.
        registry: the index that is asked.
        progress: advanced by one for each package.

    Raises:
        UsageError: a version has no wheel for it.
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
            "--python, or name in --provided what the runner has"
        )
    return found


def requirements(
    packages: Mapping[NormalizedName, Version], hashes: Mapping[NormalizedName, tuple[str, ...]]
) -> dict[NormalizedName, str]:
    """Return each package as a line for an installer that checks hashes, sorted by name."""
    return {
        name: " ".join([f"{name}=={version}", *(f"--hash={digest}" for digest in hashes[name])])
        for name, version in sorted(packages.items())
    }
