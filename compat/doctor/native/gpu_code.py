"""Compiled code against the GPUs that are there: is there any that they run?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compat._cli.text import FILES, listed
from compat.doctor.inspected_environment import Device, InspectedEnvironment, kernel
from compat.doctor.native.fatbin import Code, code
from compat.doctor.unmet_requirements import closure
from compat.errors import IntegrityError
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES

Compiled = Mapping[Path, frozenset[Code]]
"""Shared libraries that hold code for GPUs, and for which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """What the code for GPUs says."""

    findings: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()


def kernels(environment: InspectedEnvironment) -> Kernels:
    """Check torch, the covered packages and what else they need that is built on torch, if there is a GPU.

    It is a finding when a GPU runs nothing of all that torch, a covered package or sglang's kernels have; a
    single file that it does not run is a note, since some are for one kind of GPU only.
    """
    findings: list[Diagnosis] = []
    notes: list[str] = []
    if not environment.driver.devices:
        return Kernels()
    needed = {"torch", *environment.releases, *filter(None, [kernel(environment)])}
    for name in dict.fromkeys(["torch", *closure(environment)]):
        if name not in needed and not any(each.name == "torch" for each in environment.requires(name)):
            continue
        compiled, unread = _read(environment.files(name))
        notes += unread
        for gpu in dict.fromkeys(environment.driver.devices):
            idle = [path for path, found in compiled.items() if not _runs(found, gpu)]
            if idle and len(idle) == len(compiled) and name in needed:
                findings.append(_nothing(environment, name, compiled, gpu))
            elif idle:
                told = listed(sorted(path.name for path in idle), FILES)
                notes.append(f"{told} of {name}: no code for {gpu}; that is for other GPUs")
    return Kernels(findings=tuple(findings), notes=tuple(dict.fromkeys(notes)))


def _read(files: Iterable[Path]) -> tuple[Compiled, list[str]]:
    """Return the libraries with code for GPUs, and what could not be read."""
    found: dict[Path, frozenset[Code]] = {}
    notes = []
    for path in files:
        if path.suffix == ".so" and path.is_file():
            try:
                found[path] = code(path)
            except IntegrityError as error:
                notes.append(str(error))
    return {path: held for path, held in found.items() if held}, notes


def _runs(held: frozenset[Code], gpu: Device) -> bool:
    return any(each.runs_on(gpu.capability) for each in held)


def _nothing(environment: InspectedEnvironment, name: str, compiled: Compiled, gpu: Device) -> Diagnosis:
    """Return the finding that a distribution has nothing for a GPU."""
    version = environment.packages.version(name)
    held = map(str, sorted(frozenset[Code]().union(*compiled.values())))
    files = listed(sorted(path.name for path in compiled), FILES)
    verb = "has" if len(compiled) == 1 else "have"
    wanted = ".".join(map(str, gpu.capability))
    return Diagnosis(
        cause="abi_mismatch",
        package=name,
        version=version,
        module=IMPORT_NAMES.get(name, name),  # beside another finding of this cause
        evidence=(
            f"{files} of {name} {version} {verb} code for {', '.join(held)}; the GPU is {gpu}",
            "its kernels end with “no kernel image is available for execution on the device”",
        ),
        fix=Fix(
            kind="install",
            text=f"install a build of {name} for compute capability {wanted}, or build it on this machine",
        ),
    )
