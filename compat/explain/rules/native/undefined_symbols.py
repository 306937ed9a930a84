"""Rules for extensions that need a function which no loaded library defines."""

import re

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.demangle import demangled
from compat.explain.lookup.requirement_violations import demands, violated
from compat.explain.rules.native.cuda_libraries import CARRIERS, FUNCTIONS
from compat.explain.rules.native.failed_extensions import module_of, package_of
from compat.explain.rules.native.torch_pins import has_it, torch_lines, torch_pin
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import KERNELS
from compat.requirements.specifiers import pinned

_SYMBOL = re.compile(r"([^\s'\"():]{1,400}\.so[\w.]{0,20})?:? ?undefined symbol: ([\w.$@]{1,600})")
_OWN_FUNCTION = re.compile(r"_Z(\d{1,3})")
"""Begins a function outside any namespace: torch and CUDA have none of that kind."""
_OF_PYTHON = re.compile(r"_?Py[A-Z_]")
"""Begins a function of CPython."""
_OLD_STRING = re.compile(r"[EKRS_]Ss")
"""A `std::string` of the C++ ABI before C++11 among the parameters of a function."""
_TORCH_SYMBOL = re.compile(r"c10|torch|_ZN2at|at::|caffe2")
TORCH_COMPANIONS = ("torchvision", "torchaudio")
"""Distributions of which each release is built for one torch."""


def undefined_symbol(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an extension that needs a symbol which the installed library does not define."""
    at = exception.text.find("undefined symbol")
    found = _SYMBOL.search(exception.text, max(0, at - 400), at + 700) if at >= 0 else None
    if not found:
        return None
    symbol = found[2].partition("@")[0]
    readable = demangled(symbol)
    what = f"{symbol} is {readable}" if readable != symbol else f"the undefined symbol is {symbol}"
    library = next((name for start, name in FUNCTIONS if re.match(start, symbol)), None)
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
    package = package_of(exception, context, path)
    known = context.known(package) if package else None
    return Diagnosis(
        cause="abi_mismatch",
        package=package,
        version=known.version if known else None,
        module=module_of(exception),
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
    package = package_of(exception, context, path)
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
        module=module_of(exception),
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
    package = package_of(exception, context, path)
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
        carrier = dict(CARRIERS)[library]
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
        module=module_of(exception),
        evidence=(exception.line, evidence),
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
    package = package or package_of(exception, context, path)
    known = context.known(package) if package else None
    pin = torch_pin(context, package) if torch else None
    lines = [*evidence, *torch_lines(context, pin)]
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
    elif pin and not has_it(context, pin):
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
        module=module_of(exception),
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
