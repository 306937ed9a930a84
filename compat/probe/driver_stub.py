"""A stub of NVIDIA's driver library, with which compiled code can be loaded where there is no driver.

Many extension modules are linked against `libcuda.so.1`, which comes with the driver and from no package
index. Each function of the stub returns CUDA_ERROR_NO_DEVICE: what is loaded meets a machine without a GPU,
instead of one on which it cannot be loaded. triton compiles a C file of its own against the library, in some
releases as soon as sglang is imported; what C files call is therefore defined as well.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from compat._util import elf
from compat.errors import IntegrityError, PreparationError

LIBRARY = "libcuda.so.1"
NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE."""
LOOKED_UP = ("cuGetExportTable", "cuGetProcAddress", "cuInit")
"""Functions that CUDA's runtime looks up by name: nobody is linked against them."""
COMPILERS = ("cc", "gcc", "clang")
SECONDS = 120.0
"""For the compiler."""

_FUNCTION = re.compile(r"cu(?!File)[A-Z]\w*")
"""The names of the driver's functions; those of `cuFile` are another library's."""
_CALL = re.compile(rf"\b({_FUNCTION.pattern})\s*\(")


def compiler() -> list[str]:
    """Return the command of a C compiler: that of the environment variable CC, else the first on the path.

    Raises:
        PreparationError: there is none.
    """
    asked = shlex.split(os.environ.get("CC", ""))
    for command in (asked, *([name] for name in COMPILERS)):
        if command and shutil.which(command[0]):
            return command
    raise PreparationError(
        "there is neither an NVIDIA driver nor a C compiler to make a stub of its library, without which no "
        "layer can be built; install a compiler such as gcc, or name one in CC"
    )


def build(sites: Iterable[Path], folder: Path) -> Path:
    """Return a folder that holds the stub, to be put first on LD_LIBRARY_PATH.

    Args:
        sites: the folders in which an environment's packages are.
        folder: an existing, private folder.

    Raises:
        PreparationError: there is no C compiler, or it fails.
    """
    names = sorted({*LOOKED_UP, *(name for site in sites for name in _asked_of_driver(site))})
    place = folder / "driver-stub"
    place.mkdir(exist_ok=True)
    linked = place / LIBRARY.removesuffix(".1")  # what `-lcuda` looks for
    linked.unlink(missing_ok=True)
    linked.symlink_to(LIBRARY)
    source = place / "libcuda.c"
    source.write_text("".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in names), "ascii")
    options = ["-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{LIBRARY}", "-o", str(place / LIBRARY)]
    command = [*compiler(), *options, str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PreparationError(
            f"{command[0]} did not make a stub of the driver's library ({error})"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PreparationError(f"{command[0]} did not make a stub of the driver's library ({last})")
    return place


def _asked_of_driver(site: Path) -> Iterator[str]:
    """Yield the functions that what is in a folder may expect of the driver's library."""
    for path in site.rglob("*.c"):
        if path.is_file():
            for name in _CALL.findall(path.read_text("utf-8", errors="replace")):
                yield from (name, f"{name}_v2")  # what cuda.h makes of some
    for path in site.rglob("*.so*"):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            if LIBRARY in elf.linked_against(path):
                yield from filter(_FUNCTION.fullmatch, elf.read(path).undefined)
        except IntegrityError:  # such as a text whose name has `.so` in it
            continue
