"""Compiled code against what is installed: the libraries that it needs, and the symbols of torch's."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compat._cli.text import FILES, listed
from compat._util.elf import Exports, Library, read
from compat.doctor.inspected_environment import InspectedEnvironment, kernel
from compat.doctor.survey_runner import Asker
from compat.doctor.unmet_requirements import Violation, closure, demands
from compat.errors import IntegrityError, PreparationError
from compat.explain.lookup.demangle import demangled
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, allows

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
"""The mangled names that only torch defines: those of its namespaces, and its C interface."""

_FOR_TORCH = re.compile(r"torch_?(\d)\.?(\d{1,2})(?!\d)")
"""In the name of a file: one of several variants, for this torch (torch-c-dlpack-ext has one for each)."""

DRIVER = re.compile(r"libcuda\.so|libnvidia-|libnvcuvid")
"""Libraries of NVIDIA's driver: where they are missing, that is no fault of the packages."""

Missing = dict[Path, list[str]]
"""Compiled modules, and the symbols of torch's that they need in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """What the compiled code of the environment says."""

    findings: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    checked: int = 0
    """Compiled modules whose torch symbols were all looked up."""
    mismatched: tuple[str, ...] = ()
    """Distributions built for another torch."""


def native(environment: InspectedEnvironment, asker: Asker) -> Native:
    """Check the compiled modules of the covered packages, and of all they need that is built on torch."""
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
    return Native(
        findings=tuple(findings), notes=(*notes, *driver), checked=checked, mismatched=tuple(mismatched)
    )


def _read(environment: InspectedEnvironment) -> tuple[dict[str, list[Library]], list[str]]:
    """Return the compiled modules by distribution, and what could not be read."""
    found: dict[str, list[Library]] = {}
    notes = []
    for name in closure(environment):
        built_on_torch = any(each.name == "torch" for each in environment.requires(name))
        if not (built_on_torch or name in environment.releases):
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
    """Tell whether the name of a library says that it is a variant for another torch, which nothing loads."""
    named = _FOR_TORCH.search(library.path.name)
    torch = environment.packages.version("torch") or ""
    return named is not None and torch.split(".")[:2] != [named[1], named[2]]


def _torch_folder(environment: InspectedEnvironment) -> Path | None:
    origin = environment.installed.get("torch")
    folder = Path(origin).parent / "lib" if origin else None
    return folder if folder and folder.is_dir() else None


def _mismatch(environment: InspectedEnvironment, mismatched: Mapping[str, Missing]) -> Diagnosis:
    """Return the finding that distributions are built for another torch than there is: one, for one cause."""
    torch = environment.packages.version("torch")
    evidence, wanted = [], []
    for name, missing in mismatched.items():
        symbols = list(dict.fromkeys(symbol for gone in missing.values() for symbol in gone))
        shown = ", ".join(demangled(symbol) for symbol in symbols[:FILES])
        files = listed(sorted(path.name for path in missing), FILES)
        release = f"{name} {environment.packages.version(name)}"
        evidence.append(
            f"{files} of {release}: torch {torch} does not define {shown} ({len(symbols)} in all)"
        )
        pin = _torch_pin(environment, name)
        if pin is not None:
            evidence.append(f"{pin.by} {pin.by_version} requires torch{pin.requirement.specifier}")
            wanted.append(str(pin.requirement.specifier))
    fix = Fix(kind="install", text=f"install builds for torch {torch}, or the torch that they were built for")
    if wanted:
        # Where the pins differ, what most ask for; of equals, the first: that of the covered packages.
        pin_text = max(dict.fromkeys(wanted), key=wanted.count)
        text = f"install the torch that they were built for: torch{pin_text}"
        fix = Fix(kind="install", text=text, command=f"pip install 'torch{pin_text}'")
    return Diagnosis(
        cause="abi_mismatch",
        package="torch",
        version=torch,
        evidence=tuple(dict.fromkeys(evidence)),
        fix=fix,
    )


def _torch_pin(environment: InspectedEnvironment, name: str) -> Violation | None:
    """Return the torch that a distribution asks for and does not get; sglang asks for its kernels."""
    asked = demands(environment, name, "torch")
    if not asked and name == kernel(environment):
        asked = demands(environment, SGLANG, "torch")
    torch = environment.packages.version("torch") or ""
    unmet = (each for each in asked if not allows(each.requirement.specifier, torch))
    return next(unmet, None)


def _absent_libraries(
    environment: InspectedEnvironment, libraries: dict[str, list[Library]], asker: Asker, torch: Path | None
) -> tuple[list[Diagnosis], list[str]]:
    """Return the libraries that the loader would not find, and those of the driver as notes."""
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
        told = f"{needed} is needed by {listed(files, FILES)} and is not there"
        if DRIVER.match(needed):
            notes.append(f"{told}: it comes with NVIDIA's driver")
            continue
        name = users[0][0]
        findings.append(
            Diagnosis(
                cause="missing_native_library",
                package=name,
                version=environment.packages.version(name),
                evidence=(told,),
                fix=_library_fix(needed),
            )
        )
    return findings, notes


def _library_folders(environment: InspectedEnvironment, torch: Path | None) -> list[Path]:
    """Return where libraries are found because torch has loaded them before, or a variable says so."""
    site = [Path(entry) for entry in environment.path]
    brought = [folder for entry in site for folder in sorted(entry.glob("nvidia/*/lib"))]
    named = [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry]
    return [*([torch] if torch else []), *brought, *named]


def _library_fix(needed: str) -> Fix:
    cuda = re.match(r"lib(?:cudart|cublas|cublasLt|nvrtc|cusparse|cufft|nccl)[\w-]*\.so\.(\d+)", needed)
    if cuda:
        text = f"install a build for the CUDA of this torch, or a torch built for CUDA {cuda[1]}"
        return Fix(kind="install", text=text)
    return Fix(kind="environment", text=f"install the system library that has {needed}")
