"""Report an interpreter's import path, markers, package locations, GPUs or loadable libraries.

The examined Python, where `compat` is not installed, runs this file as `python survey.py TASK`: it needs the
standard library only. TASK is a JSON file with the question and the file for the answer.
"""

from __future__ import annotations  # Python 3.9 runs it too

# ruff: noqa: BLE001, PTH123 -- third-party finders may raise anything; imports are kept to a minimum
import ctypes
import importlib.util
import json
import os
import platform
import signal
import site
import sys
from typing import Any

SET_PARENT_DEATH_SIGNAL = 1
COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76
"""Device attributes of the CUDA driver API."""


def markers() -> dict[str, str]:
    """Return the variables of environment markers and their values, as PEP 508 defines them."""
    version = sys.implementation.version
    numbers = ".".join(map(str, version[:3]))
    kind = "" if version.releaselevel == "final" else f"{version.releaselevel[0]}{version.serial}"
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": numbers + kind,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def found(top: str) -> str | None:
    """Return the file or folder that a top-level name would be imported from, or None."""
    try:
        spec = importlib.util.find_spec(top)
    except Exception:
        return None
    if spec is None:
        return None
    if spec.origin is not None:
        return spec.origin
    return next(iter(spec.submodule_search_locations or ()), None)


def interpreter(task: dict[str, Any]) -> dict[str, Any]:
    """Return the interpreter's import path, markers and package locations, without importing a package."""
    # Python puts the folder of this file first; for the user's programs, that is the current folder.
    sys.path[:1] = [task["folder"]]
    local = {top: found(top) for top in task["tops"]}
    sys.path.pop(0)
    importlib.invalidate_caches()
    return {
        "path": [entry for entry in sys.path if entry],
        "markers": markers(),
        "user_base": site.getuserbase(),
        "local": local,
        "installed": {top: found(top) for top in task["tops"]},
    }


def driver() -> dict[str, Any]:
    """Return the version of the CUDA driver and its devices, or an error message."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return {"error": str(error)}
    code = cuda.cuInit(0)
    if code:
        return {"error": f"cuInit failed with {code}"}
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    version = f"{number.value // 1000}.{number.value % 1000 // 10}"
    cuda.cuDeviceGetCount(ctypes.byref(number))
    return {"version": version, "devices": [device(cuda, at) for at in range(number.value)]}


def device(cuda: ctypes.CDLL, at: int) -> dict[str, Any]:
    """Return the name and the compute capability of a device."""
    handle, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(handle), at)
    cuda.cuDeviceGetName(name, len(name), handle)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), COMPUTE_CAPABILITY_MAJOR, handle)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), COMPUTE_CAPABILITY_MINOR, handle)
    return {"name": name.value.decode("utf-8", "replace"), "major": major.value, "minor": minor.value}


def loadable(names: list[str]) -> dict[str, str]:
    """Return the libraries that cannot be loaded, each with the loader's message."""
    refused = {}
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError as error:  # noqa: PERF203 -- this process does nothing else
            refused[name] = str(error)
    return refused


def main() -> None:
    """Write the answer to the question of the task file, and exit."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    with open(sys.argv[1], encoding="utf-8") as stream:
        task = json.load(stream)
    if task["question"] == "interpreter":
        answer: Any = interpreter(task)
    elif task["question"] == "driver":
        answer = driver()
    else:
        answer = loadable(task["libraries"])
    with open(task["answer"], "w", encoding="utf-8") as stream:
        json.dump(answer, stream)
    os._exit(0)


if __name__ == "__main__":
    main()
