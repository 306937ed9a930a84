"""The environment that is examined: its interpreter, everything that is installed, its driver."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from compat.doctor.survey_runner import Asker
from compat.errors import PreparationError
from compat.model.releases import IMPORT_NAMES, KERNELS, PACKAGES
from compat.requirements.installed import InstalledEnvironment, metadata_folders, read_environment

TOPS = (*dict.fromkeys(IMPORT_NAMES.values()), "torch")
"""Top-level names of which it is told where they would be imported from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU."""

    name: str
    capability: tuple[int, int]
    """Its compute capability, `(major, minor)`."""

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.capability[0]}.{self.capability[1]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What the CUDA driver says."""

    version: str = ""
    """The CUDA version that it supports, `X.Y`."""
    devices: tuple[Device, ...] = ()
    problem: str = ""
    """Why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedEnvironment:
    """One Python with all that it can import."""

    python: Path
    markers: Mapping[str, str]
    path: tuple[str, ...]
    """Its import path, without the current folder."""
    packages: InstalledEnvironment
    """The distributions that count: the first of each name on the path."""
    metadata: Mapping[str, tuple[Path, ...]]
    """Canonical distribution name to every metadata folder of it."""
    local: Mapping[str, str | None]
    """Top-level name to where it comes from for a program in the current folder."""
    installed: Mapping[str, str | None]
    """The same without the current folder."""
    user_base: str
    driver: Driver
    folder: Path
    """The current folder."""

    @property
    def releases(self) -> dict[str, str]:
        """The covered packages that are there, with their versions."""
        versions = {str(package): self.packages.version(package) for package in PACKAGES}
        return {package: version for package, version in versions.items() if version is not None}

    @property
    def cuda(self) -> bool:
        """Whether there is a CUDA device."""
        return bool(self.driver.devices)

    def requires(self, name: str) -> tuple[Requirement, ...]:
        """Return what a distribution requires; lines that are no requirement are left out."""
        found = []
        for line in self.packages.requires(name):
            try:
                found.append(Requirement(line))
            except InvalidRequirement:  # noqa: PERF203 -- rare, and a distribution has few lines
                continue
        return tuple(found)

    def files(self, name: str) -> tuple[Path, ...]:
        """Return the files that a distribution lists, whether they are there or not; maybe none."""
        distribution = self.packages.distribution(name)
        if distribution is None:
            return ()
        record = distribution.read_text("RECORD")  # `files` leaves out what is gone, from Python 3.12 on
        listed = [row[0] for row in csv.reader((record or "").splitlines()) if row]
        return tuple(Path(str(distribution.locate_file(file))) for file in listed or distribution.files or ())


def examine(asker: Asker, folder: Path) -> InspectedEnvironment:
    """Return what an interpreter is; nothing of a package is run.

    Args:
        asker: asks the interpreter.
        folder: the current folder of a program.

    Raises:
        PreparationError: the interpreter does not answer.
    """
    told = asker.ask("interpreter", folder=str(folder), tops=TOPS)
    driver = _driver(asker)
    return InspectedEnvironment(
        python=asker.python,
        markers=told["markers"],
        path=tuple(told["path"]),
        packages=read_environment(told["path"], cuda=bool(driver.devices)),
        metadata=_metadata(told["path"]),
        local=told["local"],
        installed=told["installed"],
        user_base=told["user_base"],
        driver=driver,
        folder=folder,
    )


def kernel(environment: InspectedEnvironment) -> str | None:
    """Return the distribution that provides `sgl_kernel`."""
    return next((str(name) for name in KERNELS if environment.packages.version(name)), None)


def _driver(asker: Asker) -> Driver:
    try:
        told: Mapping[str, Any] = asker.ask("driver")
    except PreparationError as error:
        return Driver(problem=str(error))
    if "error" in told:
        return Driver(problem=told["error"])
    devices = tuple(
        Device(name=each["name"], capability=(each["major"], each["minor"])) for each in told["devices"]
    )
    return Driver(version=told["version"], devices=devices, problem="" if devices else "it lists no device")


def _metadata(path: list[str]) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = {}
    for entry in dict.fromkeys(path):
        for each in metadata_folders(Path(entry)):
            found.setdefault(canonicalize_name(each.stem.partition("-")[0]), []).append(each)
    return {name: tuple(folders) for name, folders in found.items()}
