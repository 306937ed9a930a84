"""Check that the GPUs of this machine can run the GPU code of the installed packages."""

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
"""Shared library to the architectures that it has code for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCodeReport:
    """The findings and notes about GPU code."""

    findings: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()


def check_gpu_code(environment: InspectedEnvironment) -> GpuCodeReport:
    """Check the GPU code of torch, the covered packages and their dependencies that are built on torch.

    It is a finding if a GPU can run no file of torch, a covered package or sglang's kernels. A single file
    that it cannot run is a note, because some files are for one kind of GPU only.
    """
    findings: list[Diagnosis] = []
    notes: list[str] = []
    if not environment.driver.devices:
        return GpuCodeReport()
    needed = {"torch", *environment.releases, *filter(None, [kernel(environment)])}
    for name in dict.fromkeys(["torch", *closure(environment)]):
        if name not in needed and not environment.names(name, "torch"):
            continue
        compiled, unread = _read(environment.files(name))
        notes += unread
        for gpu in dict.fromkeys(environment.driver.devices):
            idle = [path for path, found in compiled.items() if not _runs(found, gpu)]
            if idle and len(idle) == len(compiled) and name in needed:
                findings.append(_nothing(environment, name, compiled, gpu))
            elif idle:
                files = listed(sorted(path.name for path in idle), FILES)
                notes.append(f"{files} of {name}: no code for {gpu}, only for other GPUs")
    return GpuCodeReport(findings=tuple(findings), notes=tuple(dict.fromkeys(notes)))


def _read(files: Iterable[Path]) -> tuple[Compiled, list[str]]:
    """Return the libraries with GPU code, and notes on files that could not be read."""
    found: dict[Path, frozenset[Code]] = {}
    notes = []
    for path in files:
        if path.suffix == ".so" and path.is_file():
            try:
                found[path] = code(path)
            except IntegrityError as error:
                notes.append(str(error))
    return {path: architectures for path, architectures in found.items() if architectures}, notes


def _runs(architectures: frozenset[Code], gpu: Device) -> bool:
    return any(each.runs_on(gpu.capability) for each in architectures)


def _nothing(environment: InspectedEnvironment, name: str, compiled: Compiled, gpu: Device) -> Diagnosis:
    """Return the finding that a distribution has no code for a GPU."""
    version = environment.packages.version(name)
    architectures = map(str, sorted(frozenset[Code]().union(*compiled.values())))
    files = listed(sorted(path.name for path in compiled), FILES)
    verb = "has" if len(compiled) == 1 else "have"
    wanted = ".".join(map(str, gpu.capability))
    return Diagnosis(
        cause="abi_mismatch",
        package=name,
        version=version,
        module=IMPORT_NAMES.get(name, name),  # distinct from another finding of this cause
        evidence=(
            f"{files} of {name} {version} {verb} code for {', '.join(architectures)}; the GPU is {gpu}",
            "its kernels fail with “no kernel image is available for execution on the device”",
        ),
        fix=Fix(
            kind="install",
            text=f"Install a build of {name} for compute capability {wanted}, or build it on this machine.",
        ),
    )
