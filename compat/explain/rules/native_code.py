"""Rules for compiled code that cannot be loaded or run: undefined symbols, missing libraries, wrong GPU."""

import re

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import imported
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.demangle import demangled
from compat.explain.lookup.module_paths import ALIASES, below_site, distribution_of, top_of
from compat.explain.lookup.requirement_violations import demands, of_release, violated
from compat.model.diagnosis import Cause, Diagnosis, Fix
from compat.model.releases import KERNELS, SGLANG, VLLM, allows
from compat.requirements.specifiers import pinned

_SYMBOL = re.compile(r"([^\s'\"():]{1,400}\.so[\w.]{0,20})?:? ?undefined symbol: ([\w.$@]{1,600})")
_LIBRARY = re.compile(
    r"([\w.+-]{1,120}\.so(?:\.[\w.]{1,40})?)( \(deleted\))?: cannot open shared object file"
)
_LOADING = re.compile(r"Could not load this library: (\S{1,400}\.so[\w.]{0,20})")
_IN_CACHE = re.compile(
    r"(/\S{1,300}/(?:\.cache|torch_extensions)/\S{1,200})/[^/\s]{1,120}\.so: cannot open shared"
)
_OF_ROCM = re.compile(r"lib(?:amdhip|hsa-runtime|hip|roc|MIOpen|rccl|amd_)")
_OWN_FUNCTION = re.compile(r"_Z(\d{1,3})")
"""Begins a function outside any namespace: torch and CUDA have none of that kind."""
_OF_PYTHON = re.compile(r"_?Py[A-Z_]")
"""Begins a function of CPython."""
_OLD_STRING = re.compile(r"[EKRS_]Ss")
"""A `std::string` of the C++ ABI before C++11 among the parameters of a function."""
_CUDA_LABEL = re.compile(r"\bcu(1[0-9])(\d)(?!\d)")
_GLIBC = re.compile(
    r"version `((?:GLIBC|GLIBCXX|CXXABI)_[\w.]{1,40})' not found(?: \(required by ([^)]{1,400})\))?"
)
_KERNEL = re.compile(r"no kernel image is available for execution")
_DRIVER = re.compile(
    r"driver on your system is too old|driver version is insufficient for CUDA runtime"
    r"|forward compatibility was attempted on non supported HW"
    r"|PTX was compiled with an unsupported toolchain"
)
_PTXAS = re.compile(r"\b(ptxas(?:-blackwell)?) fatal {1,8}: Value '(sm_\w{1,12})' is not defined for option")
_NVCC = re.compile(r"\bnvcc fatal {1,8}: Unsupported gpu architecture '(\w{1,20})'")
_EXTENSION = re.compile(
    r"(?i)(?:\b(?:import|importing|from|load|loading) [`'\"]?|-packages/)"
    r"((?:vllm|sglang|sgl_kernel|flash_attn|flashinfer)(?:\.\w+){0,4})\b"
)
"""Matches the module that a message names as being imported, or one of its files."""
_TORCH_SYMBOL = re.compile(r"c10|torch|_ZN2at|at::|caffe2")
_PIP: tuple[tuple[str, str], ...] = (
    ("libcudart", "nvidia-cuda-runtime"),
    ("libcublas", "nvidia-cublas"),
    ("libcudnn", "nvidia-cudnn"),
    ("libcufft", "nvidia-cufft"),
    ("libcupti", "nvidia-cuda-cupti"),
    ("libcurand", "nvidia-curand"),
    ("libcusolver", "nvidia-cusolver"),
    ("libcusparseLt", "nvidia-cusparselt"),
    ("libcusparse", "nvidia-cusparse"),
    ("libnccl", "nvidia-nccl"),
    ("libnvJitLink", "nvidia-nvjitlink"),
    ("libnvrtc", "nvidia-cuda-nvrtc"),
    ("libnvshmem", "nvidia-nvshmem"),
)
"""Prefix of a library's name, and prefix of the distribution that contains it."""
_SYMBOLS: tuple[tuple[str, str], ...] = (
    ("cuda[A-Z]", "libcudart"),
    ("cublas[A-Z]", "libcublas"),
    ("cudnn[A-Z]", "libcudnn"),
    ("cufft[A-Z]", "libcufft"),
    ("curand[A-Z]", "libcurand"),
    ("cusolver[A-Z]", "libcusolver"),
    ("cusparseLt[A-Z]", "libcusparseLt"),
    ("cusparse[A-Z]", "libcusparse"),
    ("nccl[A-Z]", "libnccl"),
    ("_*nvJitLink", "libnvJitLink"),
    ("nvrtc[A-Z]", "libnvrtc"),
    ("nvshmem", "libnvshmem"),
    ("cu[A-Z]", "libcuda"),
)
"""Pattern of the start of a function's name, and prefix of the library that defines it."""
_OF_TOOLKIT = ("libcudart", "libcublas", "libnvrtc", "libcupti", "libnvJitLink")
"""Libraries whose version number is that of the CUDA toolkit."""
TORCH_COMPANIONS = ("torchvision", "torchaudio")
"""Distributions of which each release is built for one torch."""
DRIVER_LIBRARIES = ("libcuda.so", "libnvidia-ml.so")
_REPLACED = Fix(
    kind="environment",
    text="The file was replaced while the process had it open, for example by pip: start the process again; "
    "if it fails again, reinstall the package of the library.",
)
_TORCH_LIBRARIES = ("libtorch", "libc10")


def undefined_symbol(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an extension that needs a symbol which the installed library does not define."""
    at = exception.text.find("undefined symbol")
    found = _SYMBOL.search(exception.text, max(0, at - 400), at + 700) if at >= 0 else None
    if not found:
        return None
    symbol = found[2].partition("@")[0]
    readable = demangled(symbol)
    what = f"{symbol} is {readable}" if readable != symbol else f"the undefined symbol is {symbol}"
    library = next((name for start, name in _SYMBOLS if re.match(start, symbol)), None)
    if library is not None:
        return _older_library(library, symbol, exception, context, found[1])
    own = _OWN_FUNCTION.match(symbol)
    if own:
        return _incomplete(symbol[own.end() :][: int(own[1])], exception, context, found[1])
    if _OF_PYTHON.match(symbol):
        return _another_python(symbol, exception, context, found[1])
    lines = [exception.line, what]
    if symbol.startswith("_ZN") and _OLD_STRING.search(symbol):
        lines.append(
            "the symbol has a std::string of the old C++ ABI: the extension is built for a torch without the "
            "cxx11 ABI, and the installed torch has it"
        )
    return mismatch(
        exception,
        context,
        found[1],
        tuple(lines),
        torch=bool(_TORCH_SYMBOL.search(symbol + readable)),
    )


def _another_python(
    symbol: str, exception: ExceptionInfo, context: RuleContext, path: str | None
) -> Diagnosis:
    """Return the diagnosis of an extension that lacks a function of Python: it is of another Python."""
    package = _package(exception, context, path)
    known = context.known(package) if package else None
    return Diagnosis(
        cause="abi_mismatch",
        package=package,
        version=known.version if known else None,
        module=_module(exception),
        evidence=(exception.line, f"{symbol} is a function of CPython"),
        fix=Fix(
            kind="environment",
            text="The extension is built for another Python than the one that loads it, or one environment's "
            "files are on the path of another's interpreter: check PYTHONPATH and PYTHONHOME, and install "
            f"{package or 'what the file belongs to'} with the Python that runs.",
        ),
    )


def _incomplete(function: str, exception: ExceptionInfo, context: RuleContext, path: str | None) -> Diagnosis:
    """Return the diagnosis of an extension that lacks a function of its own: its build left the file out."""
    package = _package(exception, context, path)
    known = context.known(package) if package else None
    name = package or "the extension"
    text = (
        f"Rebuild {name} from a clean tree, with the same sources for all of its files and with the GPU "
        "architectures that it needs (TORCH_CUDA_ARCH_LIST), or install a released wheel."
    )
    return Diagnosis(
        cause="abi_mismatch",
        package=package,
        version=known.version if known else None,
        module=_module(exception),
        evidence=(
            exception.line,
            f"{function} is a function of {name} itself, not of torch: this build does not contain it",
        ),
        fix=Fix(kind="environment", text=text),
    )


def _older_library(
    library: str, symbol: str, exception: ExceptionInfo, context: RuleContext, path: str | None
) -> Diagnosis:
    """Return the diagnosis of an NVIDIA library that lacks a function because it is too old."""
    package = _package(exception, context, path)
    known = context.known(package) if package else None
    name = package or "the extension"
    if library == "libcuda":
        evidence = f"{symbol} is a function of libcuda.so.1, which comes with the NVIDIA driver"
        text = (
            f"The driver is older than the CUDA that {name} is built for: update the NVIDIA driver, or "
            f"install a build of {name} for the CUDA of this driver."
        )
        fix = Fix(kind="environment", text=text)
    else:
        carrier = dict(_PIP)[library]
        evidence = f"{symbol} is a function of {library}, which {carrier} contains"
        text = (
            f"The loader finds a {library} that is older than the one {name} is built for: install the "
            f"{carrier} that this torch requires, and remove other copies from LD_LIBRARY_PATH."
        )
        fix = Fix(kind="environment", text=text, command="pip check")
    return Diagnosis(
        cause="abi_mismatch",
        package=package,
        version=known.version if known else None,
        module=_module(exception),
        evidence=(exception.line, evidence),
        fix=fix,
    )


def missing_library(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a shared library that the loader does not find, or that is too old."""
    found = _LIBRARY.search(exception.text)
    if found:
        library = found[1]
        if found[2]:
            return _library("missing_native_library", library, _REPLACED, exception, context)
        return _library(
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
    return _library("missing_native_library", found[1], fix, exception, context, path=found[2])


def device_code(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose kernels that are built for another GPU, and a driver or compiler that is too old."""
    found = _KERNEL.search(exception.text)
    if found:
        text = (
            "The build has no code for this GPU: install a build for its compute capability, or build it on "
            'this machine. "compat doctor" finds the package that is at fault.'
        )
        return _library("abi_mismatch", None, Fix(kind="install", text=text), exception, context)
    found = _PTXAS.search(exception.text)
    if found:
        return _assembler(found[1], found[2], exception, context)
    found = _NVCC.search(exception.text)
    if found:
        text = (
            f"This CUDA toolkit does not support {found[1]}: set TORCH_CUDA_ARCH_LIST to architectures that "
            '"nvcc --list-gpu-arch" lists, or build with another toolkit.'
        )
        return _library("abi_mismatch", None, Fix(kind="environment", text=text), exception, context)
    found = _DRIVER.search(exception.text)
    if not found:
        return None
    text = "Update the NVIDIA driver, or install a torch that is built for the CUDA of this driver."
    torch = context.known("torch")
    return Diagnosis(
        cause="abi_mismatch",
        package="torch",
        version=torch.version if torch else None,
        evidence=(exception.line, *_torch_lines(context, None)),
        fix=Fix(kind="environment", text=text),
    )


def _assembler(name: str, gpu: str, exception: ExceptionInfo, context: RuleContext) -> Diagnosis:
    """Return the diagnosis of a ptxas that triton bundles and that is older than the GPU."""
    # triton's `knobs.py` reads this environment variable.
    variable = f"TRITON_{name.upper().replace('-', '_')}_PATH"
    known = context.known("triton")
    line = next(line for line in exception.text.splitlines() if _PTXAS.search(line))
    text = (
        f"The {name} that triton bundles does not support this GPU ({gpu}): set {variable} to the ptxas of "
        "a CUDA toolkit that does, such as /usr/local/cuda/bin/ptxas, or install a torch with a newer triton."
    )
    return Diagnosis(
        cause="abi_mismatch",
        package="triton",
        version=known.version if known else None,
        evidence=tuple(dict.fromkeys((exception.line, line.strip()))),
        fix=Fix(kind="environment", text=text, command=f"export {variable}=/usr/local/cuda/bin/ptxas"),
    )


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
    package = _package(exception, context, None)
    if library.startswith(_TORCH_LIBRARIES):
        pin = _torch_pin(context, package)
        text = f"{library} is part of torch: install the CUDA build that the extension was built for."
        return Fix(kind="install", text=text, command=f'pip install "torch{pin[1]}"' if pin else None)
    name = next((name for start, name in _PIP if library.startswith(start)), None)
    if name is None:
        text = f"Install the system's package that contains {library}."
        return Fix(kind="environment", text=text)
    major = re.search(r"\.so\.(\d{1,3})", library)
    toolkit = major[1] if major and library.startswith(_OF_TOOLKIT) else ""
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
    pin, torch = _torch_pin(context, package), context.known("torch")
    hint, command = "", None
    if torch and toolkit and f"+cu{toolkit}" in torch.version:
        folder = f"nvidia/{name.removeprefix('nvidia-').replace('-', '_')}/lib"
        hint = f" torch {torch.version} installs it: if the file exists, add its folder ({folder} in "
        hint += "site-packages) to LD_LIBRARY_PATH, because the loader does not search it."
    elif pin and torch and _has_it(context, pin):
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


def _library(
    cause: Cause,
    library: str | None,
    fix: Fix,
    exception: ExceptionInfo,
    context: RuleContext,
    *,
    path: str | None = None,
) -> Diagnosis:
    package = _package(exception, context, path)
    known = context.known(package) if package else None
    pin = _torch_pin(context, package)
    lines = [exception.line]
    needed = next((line for line in exception.more.splitlines() if library and library in line), None)
    lines += [needed.strip(" -*")] if needed else []  # sgl_kernel lists its errors with hyphens
    lines += _torch_lines(context, pin)
    return Diagnosis(
        cause=cause,
        package=package,
        version=known.version if known else None,
        module=_module(exception),
        symbol=library,
        evidence=tuple(lines),
        fix=fix,
    )


def mismatch(
    exception: ExceptionInfo,
    context: RuleContext,
    path: str | None,
    evidence: tuple[str, ...],
    *,
    torch: bool,
    package: str | None = None,
) -> Diagnosis:
    """Return the diagnosis of an extension that does not match the libraries that it is linked against."""
    package = package or _package(exception, context, path)
    known = context.known(package) if package else None
    pin = _torch_pin(context, package) if torch else None
    lines = [*evidence, *_torch_lines(context, pin)]
    broken = violated(context, package) if package else None
    if broken:
        spec = f"{package}{broken.edge.requirement.specifier}"
        lines.append(f"{broken.edge}; {broken.installed} is installed")
        fix = Fix(kind="install", text=f"Install the required {spec}.", command=f'pip install "{spec}"')
    elif package is not None and package not in context.index.packages:
        fix = _rebuild(package, context, pin)
    elif pin and known and "+" in known.version and package not in KERNELS:
        text = (
            f"{package} {known.version} is a build of its own, maybe not for torch{pin[1]}: rebuild it "
            "for the installed torch, or install the torch that it was built with."
        )
        fix = Fix(kind="environment", text=text)
    elif pin and not _has_it(context, pin):
        again = package or "the extension"
        text = f"{pin[0]} is built for torch{pin[1]}: install that torch, then reinstall {again}."
        fix = Fix(kind="install", text=text, command=f'pip install "torch{pin[1]}"')
    else:
        name = package or "the extension"
        others = "torch" if torch else "the libraries that it links against"
        text = f"Install {name} and {others} in versions built for each other."
        needs = violated(context, "torch") if torch else None
        version = f"=={known.version}" if known and "+" not in known.version else ""
        command = (
            f"pip install --force-reinstall --no-deps {package}{version}" if package and version else None
        )
        if needs is not None:
            spec = f"torch{needs.edge.requirement.specifier}"
            lines.append(f"{needs.edge}; {needs.installed} is installed")
            text, command = f"Install the required {spec}, then reinstall {name}.", f'pip install "{spec}"'
        fix = Fix(kind="install", text=text, command=command)
    return Diagnosis(
        cause="abi_mismatch",
        package=package,
        version=known.version if known else None,
        module=_module(exception),
        evidence=tuple(lines),
        fix=fix,
    )


def _rebuild(package: str, context: RuleContext, pin: tuple[str, str] | None) -> Fix:
    """Return the fix for an extension of another project: it follows the torch, not the other way round."""
    pins = [each for each in demands(context, package) if pinned(each.requirement.specifier)]
    if pins:
        spec = f"{package}{pins[0].requirement.specifier}"
        text = f"Install the {spec} that {pins[0].by} {pins[0].version} requires."
        return Fix(kind="install", text=text, command=f'pip install "{spec}"')
    torch = f"torch{pin[1]}, which {pin[0]} requires" if pin else "the installed torch"
    if package in TORCH_COMPANIONS:
        text = f"Install the {package} that goes with {torch}: each of its releases is built for one torch."
    else:
        text = f"Rebuild {package} for {torch}, install its wheel for that torch, or uninstall it."
    return Fix(kind="environment", text=text)


def _has_it(context: RuleContext, pin: tuple[str, str]) -> bool:
    """Return whether the torch of a pin is installed, so that the extension must be from another build."""
    torch = context.known("torch")
    return torch is not None and allows(SpecifierSet(pin[1]), torch.version)


def _torch_lines(context: RuleContext, pin: tuple[str, str] | None) -> list[str]:
    torch = context.known("torch")
    lines = [f"{pin[0]} is built for torch{pin[1]}"] if pin else []
    return [*lines, f"torch {torch.version}: {torch.source}"] if torch else lines


def _torch_pin(context: RuleContext, package: str | None) -> tuple[str, str] | None:
    """Return the release that pins torch for an extension, and the pin; None if no pin applies."""
    found = [each for each in demands(context, "torch") if str(each.requirement.specifier).startswith("==")]
    own = [each for each in found if each.by == package]
    near = [each for each in found if package in ("sgl-kernel", "sglang-kernel") and each.by == "sglang"]
    if package in KERNELS and not own and not near:
        return _pin_beside(context, package)
    others = [] if package in ("vllm", "sgl-kernel") else found
    if package is None and len({each.requirement.specifier for each in found}) > 1:
        others = []  # the extension may be of either release
    best = next(iter([*own, *near] or others), None)
    return (f"{best.by} {best.version}", str(best.requirement.specifier)) if best else None


def _pin_beside(context: RuleContext, kernels: str) -> tuple[str, str] | None:
    """Return the torch that all sglang releases pin which pin the known version of their kernels."""
    known = context.known(kernels)
    if known is None:
        return None
    version, pins = Version(known.version.partition("+")[0]), set()
    for at in range(len(context.index.versions(SGLANG))):
        needs = list(of_release(context, SGLANG, at, kernels))
        if any(pinned(each.requirement.specifier) == version for each in needs):
            pins |= {str(each.requirement.specifier) for each in of_release(context, SGLANG, at, "torch")}
    exact = [each for each in pins if each.startswith("==")]
    return (f"{kernels} {version}", exact[0]) if len(exact) == 1 else None


def _package(exception: ExceptionInfo, context: RuleContext, path: str | None) -> str | None:
    """Return the distribution of the extension: by its path, by the import, or by the failing frame."""
    path = path or _loaded(exception, context)
    top = top_of(path or "")
    stem = (path or "").rpartition("/")[2].partition(".")[0]
    if stem in ALIASES:
        return distribution_of(stem)
    if top is not None and top not in ALIASES and "/" not in (below_site(path or "") or ""):
        return None  # an extension outside any package, whose distribution is unknown
    if top is None and path:
        parts = [part for part in path.split("/") if part in context.index.owners]
        top = parts[0] if parts else context.package_of_extension(path.partition(".")[0])
    if top is None and exception.frames:
        asked = imported(exception.frames[-1].source)
        top = asked.module.partition(".")[0] if asked else None
        if top is None or (top not in context.index.owners and top_of(exception.frames[-1].path)):
            top = top_of(exception.frames[-1].path) or top
    if top is None:
        found = _EXTENSION.search(exception.text)
        top = found[1].partition(".")[0] if found else None
    if top is None:
        return None
    return context.owner(top) or distribution_of(top)


def _loaded(exception: ExceptionInfo, context: RuleContext) -> str | None:
    """Return the file that torch was loading when an exception was raised, as the next exception tells."""
    chain = next((each.chain for each in context.contents.failures if exception in each.chain), ())
    found = next((match for each in chain if (match := _LOADING.search(each.text))), None)
    return found[1] if found else None


def _module(exception: ExceptionInfo) -> str | None:
    asked = imported(exception.frames[-1].source) if exception.frames else None
    if asked:
        return asked.module
    found = _EXTENSION.search(exception.more or exception.message)
    return found[1] if found else None
