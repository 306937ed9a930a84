"""Resolve the requirements of a pair with uv, and read sizes and import names from the chosen wheels."""

import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from packaging.utils import NormalizedName

from compat._cli.progress import Progress, Silent
from compat._util.subprocesses import CommandResult, run
from compat.errors import DiskError, IntegrityError, NetworkError, UsageError
from compat.locks.lockfile import Inputs, LockedPackage, Pinned, parse_requirements
from compat.model.releases import Pair
from compat.uv import messages
from compat.wheels.http_session import ADVICE
from compat.wheels.index_url import index_url
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.platform_tags import PLATFORM, fitting_wheels
from compat.wheels.wheel_sources import WheelManifest, read_manifest

THREADS = 8
"""Wheels that are read concurrently: the responses are small, so reading is mostly waiting."""

LONGEST_RESOLUTION = 900
"""Seconds; with a cold cache and a slow connection, a resolution takes a few minutes at most."""


def compile_requirements(pair: Pair, uv: str) -> dict[NormalizedName, Pinned]:
    """Return the versions and hashes that uv chooses for the environment of `pair`.

    Args:
        pair: the pair to resolve.
        uv: path of the uv program.

    Raises:
        UsageError: the requirements exclude each other; the message names them.
        NetworkError: uv cannot reach the package index.
        DiskError: uv cannot write to its cache, or the disk is full.
    """
    attempt = resolve(Inputs.of(pair), uv, "--generate-hashes", "--no-header", "--no-annotate")
    if attempt.code:
        _fail(pair, attempt.stderr)
    # uv prints settings of the user, such as an additional index, as option lines.
    lines = attempt.stdout.splitlines(keepends=True)
    return parse_requirements("".join(line for line in lines if not line.startswith("-")), f"pair {pair.id}")


def resolve(inputs: Inputs, uv: str, *options: str) -> CommandResult:
    """Return the result of `uv pip compile` for some inputs, on the platform of all locks.

    Args:
        inputs: requirements, overrides and Python version.
        uv: path of the uv program.
        options: further options, such as the output format.

    Raises:
        NetworkError: uv takes too long, or cannot reach the package index.
        DiskError: uv cannot write to its cache, or the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="compat-lock-") as folder:
        requirements, overrides = Path(folder, "requirements.in"), Path(folder, "overrides.in")
        requirements.write_text("\n".join(inputs.requirements) + "\n", encoding="utf-8")
        overrides.write_text("\n".join(inputs.overrides) + "\n", encoding="utf-8")
        arguments = [
            *(uv, "pip", "compile", requirements.name, "--override", overrides.name),
            *("--python-version", inputs.python, "--python-platform", PLATFORM),
            *("--quiet", "--color", "never", *options),
        ]
        # In the empty folder, uv reads no settings of a project.
        done = run(arguments, seconds=LONGEST_RESOLUTION, variables=_environment(), folder=folder)
    if done.code is None:
        raise NetworkError(f"uv found no solution in {LONGEST_RESOLUTION} s; {ADVICE}")
    if done.code and messages.is_unreachable(done.stderr):
        raise NetworkError(f"{', '.join(inputs.requirements)}: uv cannot reach the package index; {ADVICE}")
    if done.code and messages.is_disk_failure(done.stderr):
        # That says nothing about the pair.
        reason = messages.failure_reason(done.stderr, done.code)
        raise DiskError(f"cannot resolve {', '.join(inputs.requirements)}: {reason}")
    return done


class WheelReader:
    """Reads sizes and import names from the wheels of locked packages; each wheel is read once."""

    def __init__(self, registry: Registry) -> None:
        """Read wheels from `registry`."""
        self.registry = registry
        self._manifests: dict[str, WheelManifest] = {}

    def read(
        self, pinned: Mapping[NormalizedName, Pinned], python: str, progress: Progress | None = None
    ) -> dict[NormalizedName, LockedPackage]:
        """Return the packages as a lock stores them, with the hashes of compatible wheels only.

        Args:
            pinned: the packages.
            python: `X.Y`, the Python version of the environment.
            progress: advanced by one for each package.

        Raises:
            NetworkError: the index cannot be reached.
            IntegrityError: the index has another file than the one that uv chose, or a damaged one.
        """
        progress = progress or Silent()
        packages = {}
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda name: self._package(name, pinned[name], python), pinned)
            for name, package in zip(pinned, found, strict=True):
                packages[name] = package
                progress.advance()
        return packages

    def _package(self, name: NormalizedName, pin: Pinned, python: str) -> LockedPackage:
        files = (file for file in self.registry.files(name) if file.version == pin.version)
        wheels = fitting_wheels(files, python)
        if not wheels:
            guess = name.removeprefix("python-").removesuffix("-python").replace("-", "_")
            return LockedPackage(pin=pin, imports=(guess,), download_bytes=0, installed_bytes=0, guessed=True)
        hashes = tuple(sorted({f"sha256:{wheel.sha256}" for wheel in wheels}))
        if not set(pin.hashes).issuperset(hashes):
            raise IntegrityError(
                f"{name} {pin.version}: the wheels on the index differ from those that uv lists; {ADVICE}"
            )
        manifest = self._manifest(wheels[0])
        return LockedPackage(
            # Hashes for other platforms are left out, so that people can review a change of the lock.
            pin=replace(pin, hashes=hashes),
            imports=manifest.imports,
            download_bytes=manifest.download_bytes,
            installed_bytes=manifest.installed_bytes,
        )

    def _manifest(self, wheel: WheelFile) -> WheelManifest:
        if wheel.sha256 not in self._manifests:
            self._manifests[wheel.sha256] = read_manifest(wheel, self.registry.session)
        return self._manifests[wheel.sha256]


def _environment() -> dict[str, str]:
    """Return the environment variables for uv, with the index that the wheels are read from."""
    index = index_url()
    return {**os.environ, **({"UV_DEFAULT_INDEX": index} if index else {})}


def _fail(pair: Pair, stderr: str) -> NoReturn:
    clash = messages.first_step(stderr)
    if clash:
        raise UsageError(
            f"pair {pair.id} cannot be resolved: {clash}; add or change an override in matrix.toml"
        )
    raise UsageError(f"pair {pair.id}: uv failed: {messages.complaint(stderr) or 'it gave no reason'}")
