"""The environment that `compat doctor` examines: its interpreter, distributions and GPU driver."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from compat.doctor.survey_runner import Asker
from compat.errors import PreparationError
from compat.model.releases import IMPORT_NAMES, KERNELS, PACKAGES
from compat.requirements.graph import RequirementGraph, required_name
from compat.requirements.installed import InstalledEnvironment, metadata_folders, read_environment

TOPS = (*dict.fromkeys(IMPORT_NAMES.values()), "torch")
"""Top-level names whose origin on the import path is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU."""

    name: str
    capability: tuple[int, int]
    """Its compute capability, `(major, minor)`."""

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.capability[0]}.{self.capability[1]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """The CUDA driver and its devices."""

    version: str = ""
    """The CUDA version that it supports, `X.Y`."""
    devices: tuple[Device, ...] = ()
    problem: str = ""
    """Why there are no devices; empty if there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedEnvironment:
    """One Python interpreter and everything that it can import."""

    python: Path
    markers: Mapping[str, str]
    path: tuple[str, ...]
    """The import path, without the current folder."""
    packages: InstalledEnvironment
    """The distributions that Python uses: the first of each name on the import path."""
    metadata: Mapping[str, tuple[Path, ...]]
    """Canonical distribution name to all its metadata folders."""
    local: Mapping[str, str | None]
    """Top-level name to the file that a program in the current folder imports, or None."""
    installed: Mapping[str, str | None]
    """Top-level name to the file that is imported without the current folder, or None."""
    user_base: str
    driver: Driver
    folder: Path
    """The current folder."""

    @property
    def releases(self) -> dict[str, str]:
        """The installed packages that the index covers, with their versions."""
        versions = {str(package): self.packages.version(package) for package in PACKAGES}
        return {package: version for package, version in versions.items() if version is not None}

    @property
    def cuda(self) -> bool:
        """Whether the machine has a CUDA device."""
        return bool(self.driver.devices)

    @property
    def graph(self) -> RequirementGraph:
        """Who requires whom, with the markers evaluated for this Python."""
        return RequirementGraph(self.packages.versions, self.packages.requires, self.markers)

    def names(self, by: str, name: str) -> bool:
        """Return whether a distribution requires another one, anywhere and with whichever extra."""
        return any(required_name(line) == name for line in self.packages.requires(by))

    def files(self, name: str) -> tuple[Path, ...]:
        """Return the files that a distribution's RECORD lists, whether they exist or not."""
        distribution = self.packages.distribution(name)
        if distribution is None:
            return ()
        record = distribution.read_text("RECORD")  # `files` omits missing files from Python 3.12 on
        listed = [row[0] for row in csv.reader((record or "").splitlines()) if row]
        return tuple(Path(str(distribution.locate_file(file))) for file in listed or distribution.files or ())


def examine(asker: Asker, folder: Path) -> InspectedEnvironment:
    """Return the environment of an interpreter, without importing any of its packages.

    Args:
        asker: runs the survey with the interpreter.
        folder: the folder in which the user starts programs.

    Raises:
        PreparationError: the interpreter does not start or does not answer.
    """
    answer = asker.ask("interpreter", folder=str(folder), tops=TOPS)
    driver = _driver(asker)
    return InspectedEnvironment(
        python=asker.python,
        markers=answer["markers"],
        path=tuple(answer["path"]),
        packages=read_environment(answer["path"], cuda=bool(driver.devices)),
        metadata=_metadata(answer["path"]),
        local=answer["local"],
        installed=answer["installed"],
        user_base=answer["user_base"],
        driver=driver,
        folder=folder,
    )


def kernel(environment: InspectedEnvironment) -> str | None:
    """Return the installed distribution that provides `sgl_kernel`, or None."""
    return next((str(name) for name in KERNELS if environment.packages.version(name)), None)


def _driver(asker: Asker) -> Driver:
    try:
        answer: Mapping[str, Any] = asker.ask("driver")
    except PreparationError as error:
        return Driver(problem=str(error))
    if "error" in answer:
        return Driver(problem=answer["error"])
    devices = tuple(
        Device(name=each["name"], capability=(each["major"], each["minor"])) for each in answer["devices"]
    )
    return Driver(version=answer["version"], devices=devices, problem="" if devices else "it lists no device")


def _metadata(path: list[str]) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = {}
    for entry in dict.fromkeys(path):
        for each in metadata_folders(Path(entry)):
            found.setdefault(canonicalize_name(each.stem.partition("-")[0]), []).append(each)
    return {name: tuple(folders) for name, folders in found.items()}
