"""Rules for shared libraries that the loader does not find, or that are too old."""

import re

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.rules.native.cuda_libraries import CARRIERS, DRIVER_LIBRARIES, OF_TOOLKIT, TORCH_LIBRARIES
from compat.explain.rules.native.failed_extensions import package_of, with_library
from compat.explain.rules.native.torch_pins import has_it, torch_pin
from compat.explain.rules.native.undefined_symbols import undefined_symbol
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import KERNELS, VLLM

_LIBRARY = re.compile(
    r"([\w.+-]{1,120}\.so(?:\.[\w.]{1,40})?)( \(deleted\))?: cannot open shared object file"
)
_IN_CACHE = re.compile(
    r"(/\S{1,300}/(?:\.cache|torch_extensions)/\S{1,200})/[^/\s]{1,120}\.so: cannot open shared"
)
_OF_ROCM = re.compile(r"lib(?:amdhip|hsa-runtime|hip|roc|MIOpen|rccl|amd_)")
_CUDA_LABEL = re.compile(r"\bcu(1[0-9])(\d)(?!\d)")
_GLIBC = re.compile(
    r"version `((?:GLIBC|GLIBCXX|CXXABI)_[\w.]{1,40})' not found(?: \(required by ([^)]{1,400})\))?"
)
_REPLACED = Fix(
    kind="environment",
    text="The file was replaced while the process had it open, for example by pip: start the process again; "
    "if it fails again, reinstall the package of the library.",
)


def missing_library(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a shared library that the loader does not find, or that is too old."""
    found = _LIBRARY.search(exception.text)
    if found:
        library = found[1]
        if found[2]:
            return with_library("missing_native_library", library, _REPLACED, exception, context)
        return with_library(
            "missing_native_library", library, _library_fix(library, exception, context), exception, context
        )
    found = _GLIBC.search(exception.text)
    if not found:
        return None
    system = "GLIBC_" in found[1] and "XX" not in found[1]
    fix = Fix(
        kind="environment",
        text=f"The wheel needs a newer system: use a Linux distribution or container image with glibc "
        f'{found[1].partition("_")[2]} or newer ({found[1]}); "ldd --version" prints the glibc of this one.'
        if system
        else f"The wheel needs a newer libstdc++: update it to one with {found[1]}, from a newer gcc.",
        command=None if system else 'conda install -c conda-forge "libstdcxx-ng>=13"',
    )
    return with_library("missing_native_library", found[1], fix, exception, context, path=found[2])


def why_not_loaded(context: RuleContext) -> Diagnosis | None:
    """Return why an extension did not load, if a warning about its guarded import says so."""
    for failure in context.contents.mentions:
        for mention in failure.chain:
            for rule in (undefined_symbol, missing_library):
                why = rule(mention, context)
                if why is not None:
                    return why
    return None


def _library_fix(library: str, exception: ExceptionInfo, context: RuleContext) -> Fix:
    if library.startswith(DRIVER_LIBRARIES):
        text = (
            f"{library} is part of the NVIDIA driver: run it on a machine, or in a container, that has the "
            "driver."
        )
        return Fix(kind="environment", text=text)
    if _OF_ROCM.match(library):
        text = f"{library} is part of ROCm: install it, or the build of torch for the GPU of this machine."
        return Fix(kind="environment", text=text)
    cached = _IN_CACHE.search(exception.text)
    if cached:
        text = f"The file is compiled when it is first used: delete {cached[1]} and start again."
        return Fix(kind="environment", text=text)
    package = package_of(exception, context, None)
    if library.startswith(TORCH_LIBRARIES):
        pin = torch_pin(context, package)
        text = f"{library} is part of torch: install the CUDA build that the extension was built for."
        return Fix(kind="install", text=text, command=f'pip install "torch{pin[1]}"' if pin else None)
    name = next((name for start, name in CARRIERS if library.startswith(start)), None)
    if name is None:
        text = f"Install the system's package that contains {library}."
        return Fix(kind="environment", text=text)
    major = re.search(r"\.so\.(\d{1,3})", library)
    toolkit = major[1] if major and library.startswith(OF_TOOLKIT) else ""
    others = _other_cudas(toolkit, context) if toolkit else []
    if others:
        extension = package or "the extension that asks for it"
        text = (
            f"{library} is of CUDA {toolkit}, and {', '.join(others)}: install a build of {extension} for "
            f"that CUDA, or everything for CUDA {toolkit}; the library alone does not help."
        )
        return Fix(kind="environment", text=text)
    suffix = f"-cu{toolkit}" if toolkit in ("11", "12") else "" if toolkit else "-cu12"
    hint, command = _source_of_runtime(name, toolkit, package, context)
    command = command or f"pip install {name}{suffix}"
    return Fix(
        kind="install",
        text=f"Install the runtime of CUDA{f' {toolkit}' if toolkit else ''} that {library} belongs to "
        f"({name}{suffix}).{hint}",
        command=command,
    )


def _source_of_runtime(
    name: str, toolkit: str, package: str | None, context: RuleContext
) -> tuple[str, str | None]:
    """Return a sentence about the torch that installs a library of CUDA, and the command that installs it."""
    pin, torch = torch_pin(context, package), context.known("torch")
    hint, command = "", None
    if torch and toolkit and f"+cu{toolkit}" in torch.version:
        folder = f"nvidia/{name.removeprefix('nvidia-').replace('-', '_')}/lib"
        hint = f" torch {torch.version} installs it: if the file exists, add its folder ({folder} in "
        hint += "site-packages) to LD_LIBRARY_PATH, because the loader does not search it."
    elif pin and torch and has_it(context, pin):
        hint = f" {pin[0]} requires torch {torch.version}, which installs another version of the library:"
        hint += " the extension comes from another build."
    elif pin and package is None:
        hint = f" {pin[0]} is built for torch{pin[1]}, whose wheel installs what its own extensions need: if "
        hint += "another package asks for it, install the build of that for the CUDA of your torch."
    elif pin:
        hint = f" {pin[0]} is built for torch{pin[1]}, whose wheel installs it."
        command = f'pip install "torch{pin[1]}"'
    return hint, command


def _other_cudas(toolkit: str, context: RuleContext) -> list[str]:
    """Return what of the log is for another CUDA than a library, as clauses for people."""
    found = []
    for name in ("torch", VLLM, *KERNELS):
        known = context.known(name)
        label = _CUDA_LABEL.search(known.version.partition("+")[2]) if known else None
        if known and label and label[1] != toolkit:
            found.append(f"{name} {known.version} is a build for CUDA {label[1]}.{label[2]}")
    folders = sorted(context.contents.facts.cuda)
    if not found and folders and toolkit not in folders:
        found.append(f"the installed libraries are those of CUDA {folders[-1]} (nvidia/cu{folders[-1]})")
    return found
