"""Build a stub of NVIDIA's driver library, so that compiled code loads on a machine without a driver.

Many extension modules are linked against `libcuda.so.1`, which is part of the driver and in no package index.
Every function of the stub returns CUDA_ERROR_NO_DEVICE: code that is loaded finds no GPU instead of failing
to load. triton compiles a C file against the library, in some releases when sglang is imported; therefore,
the stub also defines the functions that C files in the environment call.
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from compat._util import elf, subprocesses
from compat.errors import IntegrityError, PreparationError

LIBRARY = "libcuda.so.1"
NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE."""
LOOKED_UP = ("cuGetExportTable", "cuGetProcAddress", "cuInit")
"""Functions that the CUDA runtime looks up by name, so that no library is linked against them."""
COMPILERS = ("cc", "gcc", "clang")
SECONDS = 120.0
"""Time-out of the compiler."""

_FUNCTION = re.compile(r"cu(?!File)[A-Z]\w*")
"""Names of driver functions; those with `cuFile` belong to another library."""
_CALL = re.compile(rf"\b({_FUNCTION.pattern})\s*\(")


def compiler() -> list[str]:
    """Return the command of a C compiler: the environment variable CC, or the first compiler on the path.

    Raises:
        PreparationError: there is no compiler.
    """
    configured = shlex.split(os.environ.get("CC", ""))
    for command in (configured, *([name] for name in COMPILERS)):
        if command and shutil.which(command[0]):
            return command
    raise PreparationError(
        "no NVIDIA driver, and no C compiler to build a stub of its library for the layers; "
        "install a compiler such as gcc, or set CC"
    )


def build(sites: Iterable[Path], folder: Path) -> Path:
    """Return a folder with the stub, to be put first in LD_LIBRARY_PATH.

    Args:
        sites: the folders that contain the packages of an environment.
        folder: an existing private folder.

    Raises:
        PreparationError: there is no C compiler, or it failed.
    """
    names = sorted({*LOOKED_UP, *(name for site in sites for name in _driver_functions(site))})
    stub = folder / "driver-stub"
    stub.mkdir(exist_ok=True)
    linked = stub / LIBRARY.removesuffix(".1")  # the name that `-lcuda` looks for
    linked.unlink(missing_ok=True)
    linked.symlink_to(LIBRARY)
    source = stub / "libcuda.c"
    source.write_text("".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in names), "ascii")
    options = ["-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{LIBRARY}", "-o", str(stub / LIBRARY)]
    command = [*compiler(), *options, str(source)]
    try:
        result = subprocesses.run(command, seconds=SECONDS, merged=True)
    except OSError as error:
        raise _failure(command, error.strerror or str(error)) from None
    if result.code is None:
        raise _failure(command, f"no result after {SECONDS:g} s")
    if result.code:
        raise _failure(command, [f"exit code {result.code}", *result.stdout.strip().splitlines()][-1])
    return stub


def _failure(command: list[str], reason: str) -> PreparationError:
    return PreparationError(f"{command[0]} did not build a stub of the driver library ({reason})")


def _driver_functions(site: Path) -> Iterator[str]:
    """Yield the driver functions that the shared libraries and C files in a folder use."""
    for path in site.rglob("*.c"):
        if path.is_file():
            for name in _CALL.findall(path.read_text("utf-8", errors="replace")):
                yield from (name, f"{name}_v2")  # cuda.h maps some names to their second version
    # An installer may have linked every file to its cache; libraries link to each other as well.
    for path in sorted({path.resolve() for path in site.rglob("*.so*") if path.is_file()}):
        yield from filter(_FUNCTION.fullmatch, _undefined(path))


def _undefined(path: Path) -> tuple[str, ...]:
    """Return the undefined symbols of a library that is linked against the driver; of other files none."""
    try:
        return elf.read(path).undefined if LIBRARY in elf.linked_against(path) else ()
    except IntegrityError:  # such as a text file whose name contains `.so`
        return ()
