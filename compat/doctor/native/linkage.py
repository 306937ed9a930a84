"""Check that compiled modules find the libraries and torch symbols that they need."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compat._cli.text import FILES, counted, listed
from compat._util.elf import Exports, Library, read
from compat.doctor.inspected_environment import InspectedEnvironment, kernel
from compat.doctor.survey_runner import Asker
from compat.doctor.unmet_requirements import closure, required
from compat.errors import IntegrityError, PreparationError
from compat.explain.lookup.demangle import demangled
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, allows
from compat.requirements.graph import RequirementEdge

TORCH_LIBRARIES = (
    "libc10.so",
    "libc10_cuda.so",
    "libtorch_cpu.so",
    "libtorch_cuda.so",
    "libtorch_python.so",
    "libtorch.so",
)
TORCH_SYMBOL = re.compile(
    r"_ZN[KVR]*(?:2at|3c10|5torch|6caffe2)\d|_ZT[VIST]N(?:2at|3c10|5torch|6caffe2)\d|aoti_torch_|THP"
)
"""Matches mangled names that only torch defines: in its namespaces or its C interface."""

_FOR_TORCH = re.compile(r"torch_?(\d)\.?(\d{1,2})(?!\d)")
"""Matches the torch version in the name of a file that has one variant per torch (torch-c-dlpack-ext)."""

DRIVER = re.compile(r"libcuda\.so|libnvidia-|libnvcuvid")
"""Matches libraries of NVIDIA's driver, which the packages do not install."""

Missing = dict[Path, list[str]]
"""Compiled module to the symbols that the installed torch does not define."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkageReport:
    """The findings and notes about compiled modules."""

    findings: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    checked: int = 0
    """The number of compiled modules whose torch symbols were looked up."""
    mismatched: tuple[str, ...] = ()
    """The distributions that are built for another torch."""


def check_linkage(environment: InspectedEnvironment, asker: Asker) -> LinkageReport:
    """Check the compiled modules of the covered packages and of dependencies that are built on torch."""
    libraries, notes = _read(environment)
    torch = _torch_folder(environment)
    findings: list[Diagnosis] = []
    checked, mismatched = 0, {}
    if torch is not None:
        with Exports(
            [path for path in (torch / name for name in TORCH_LIBRARIES) if path.is_file()]
        ) as exports:
            for name, group in libraries.items():
                linked = [
                    each
                    for each in group
                    if any("torch" in needed for needed in each.needed)
                    and not _for_another(each, environment)
                ]
                checked += len(linked)
                missing = {each.path: gone for each in linked if (gone := _missing(each, exports))}
                if missing:
                    mismatched[name] = missing
    if mismatched:
        findings.append(_mismatch(environment, mismatched))
    own = {name: group for name, group in libraries.items() if name in environment.releases}
    absent, driver = _absent_libraries(environment, own, asker, torch)
    findings += absent
    return LinkageReport(
        findings=tuple(findings), notes=(*notes, *driver), checked=checked, mismatched=tuple(mismatched)
    )


def _read(environment: InspectedEnvironment) -> tuple[dict[str, list[Library]], list[str]]:
    """Return distribution name to its compiled modules, and notes on files that could not be read."""
    found: dict[str, list[Library]] = {}
    notes = []
    for name in closure(environment):
        if not (environment.names(name, "torch") or name in environment.releases):
            continue
        for path in environment.files(name):
            if path.suffix != ".so" or not path.is_file():
                continue
            try:
                found.setdefault(name, []).append(read(path))
            except IntegrityError as error:
                notes.append(str(error))
    return found, notes


def _missing(library: Library, exports: Exports) -> list[str]:
    return [
        symbol for symbol in library.undefined if TORCH_SYMBOL.match(symbol) and not exports.define(symbol)
    ]


def _for_another(library: Library, environment: InspectedEnvironment) -> bool:
    """Return whether a library is a variant for another torch, according to its name, and never loaded."""
    named = _FOR_TORCH.search(library.path.name)
    torch = environment.packages.version("torch") or ""
    return named is not None and torch.split(".")[:2] != [named[1], named[2]]


def _torch_folder(environment: InspectedEnvironment) -> Path | None:
    origin = environment.installed.get("torch")
    folder = Path(origin).parent / "lib" if origin else None
    return folder if folder and folder.is_dir() else None


def _mismatch(environment: InspectedEnvironment, mismatched: Mapping[str, Missing]) -> Diagnosis:
    """Return the one finding for all distributions that are built for another torch."""
    torch = environment.packages.version("torch")
    evidence, wanted = [], []
    for name, missing in mismatched.items():
        symbols = list(dict.fromkeys(symbol for gone in missing.values() for symbol in gone))
        shown = ", ".join(demangled(symbol) for symbol in symbols[:FILES])
        files = listed(sorted(path.name for path in missing), FILES)
        release = f"{name} {environment.packages.version(name)}"
        evidence.append(
            f"{files} of {release}: torch {torch} does not define {shown} "
            f"({counted(len(symbols), 'missing symbol')} in all)"
        )
        pin = _torch_pin(environment, name)
        if pin is not None:
            evidence.append(f"{pin.by} {pin.version} requires torch{pin.requirement.specifier}")
            wanted.append(str(pin.requirement.specifier))
    fix = Fix(kind="install", text=f"Install builds for torch {torch}, or the torch that they are built for.")
    if wanted:
        # If the pins differ, the most frequent one counts; in a tie, the first, which a covered package has.
        pin_text = max(dict.fromkeys(wanted), key=wanted.count)
        text = f"Install the torch that they are built for: torch{pin_text}."
        fix = Fix(kind="install", text=text, command=f"pip install 'torch{pin_text}'")
    return Diagnosis(
        cause="abi_mismatch",
        package="torch",
        version=torch,
        evidence=tuple(dict.fromkeys(evidence)),
        fix=fix,
    )


def _torch_pin(environment: InspectedEnvironment, name: str) -> RequirementEdge | None:
    """Return the unmet requirement of a distribution on torch; for the kernels, that of sglang counts."""
    asked = [edge for edge in required(environment, [name]) if edge.name == "torch"]
    if not asked and name == kernel(environment):
        asked = [edge for edge in required(environment, [SGLANG]) if edge.name == "torch"]
    torch = environment.packages.version("torch") or ""
    return next((edge for edge in asked if not allows(edge.requirement.specifier, torch)), None)


def _absent_libraries(
    environment: InspectedEnvironment, libraries: dict[str, list[Library]], asker: Asker, torch: Path | None
) -> tuple[list[Diagnosis], list[str]]:
    """Return findings for libraries that the loader does not find, and notes for those of the driver."""
    wanted: dict[str, list[tuple[str, Library]]] = {}
    folders = _library_folders(environment, torch)
    for name, group in libraries.items():
        for library in group:
            for needed in library.needed:
                near = [*library.search, library.path.parent, *folders]
                if not any((folder / needed).is_file() for folder in near):
                    wanted.setdefault(needed, []).append((name, library))
    try:
        refused = asker.ask("libraries", libraries=sorted(wanted)) if wanted else {}
    except PreparationError as error:
        return [], [str(error)]
    findings, notes = [], []
    for needed in sorted(refused):
        users = wanted[needed]
        files = sorted({library.path.name for _, library in users})
        needs = "needs" if len(files) == 1 else "need"
        missing = f"{listed(files, FILES)} {needs} {needed}, which is not installed"
        if DRIVER.match(needed):
            notes.append(f"{missing}: it is part of the NVIDIA driver")
            continue
        name = users[0][0]
        findings.append(
            Diagnosis(
                cause="missing_native_library",
                package=name,
                version=environment.packages.version(name),
                evidence=(missing,),
                fix=_library_fix(needed),
            )
        )
    return findings, notes


def _library_folders(environment: InspectedEnvironment, torch: Path | None) -> list[Path]:
    """Return the folders whose libraries are found because torch loads them, or by LD_LIBRARY_PATH."""
    site = [Path(entry) for entry in environment.path]
    brought = [folder for entry in site for folder in sorted(entry.glob("nvidia/*/lib"))]
    named = [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry]
    return [*([torch] if torch else []), *brought, *named]


def _library_fix(needed: str) -> Fix:
    cuda = re.match(r"lib(?:cudart|cublas|cublasLt|nvrtc|cusparse|cufft|nccl)[\w-]*\.so\.(\d+)", needed)
    if cuda:
        text = f"Install a build for the CUDA of this torch, or a torch built for CUDA {cuda[1]}."
        return Fix(kind="install", text=text)
    return Fix(kind="environment", text=f"Install the system library that contains {needed}.")
