"""The GPU and its driver against what torch was built for."""

import re
from pathlib import Path

from packaging.version import Version

from compat.doctor.inspected_environment import InspectedEnvironment
from compat.model.diagnosis import Diagnosis, Fix

_BUILT_FOR = re.compile(r"^cuda(?:: [^=]+)? = '([\d.]+)'", re.MULTILINE)
"""What torch/version.py says of the CUDA that it was built for."""


def built_for(environment: InspectedEnvironment) -> str | None:
    """Return the CUDA version that the installed torch was built for; None for a build without CUDA."""
    origin = environment.installed.get("torch")
    if origin is None:
        return None
    try:
        found = _BUILT_FOR.search(Path(origin).with_name("version.py").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None


def describe(environment: InspectedEnvironment) -> str:
    """Return driver and devices in one line."""
    driver = environment.driver
    if driver.devices:
        return f"{', '.join(map(str, driver.devices))}; driver for CUDA {driver.version}"
    return f"none: {driver.problem}"


def gpu(environment: InspectedEnvironment, *, wanted: bool) -> tuple[Diagnosis, ...]:
    """Return what is wrong with GPU and driver; that there is none is wrong only when one is wanted."""
    driver, cuda = environment.driver, built_for(environment)
    torch = environment.packages.version("torch")
    if not driver.devices:
        fix = Fix(kind="environment", text="run on a machine with an NVIDIA GPU and its driver")
        evidence = (f"no CUDA device: {driver.problem}",)
        return (Diagnosis(cause="no_gpu", evidence=evidence, fix=fix),) if wanted else ()
    if torch is not None and cuda is None:
        evidence = (f"there is a GPU ({driver.devices[0]}), and torch {torch} is built without CUDA",)
        fix = Fix(kind="install", text="install a torch that is built with CUDA")
        return (Diagnosis(cause="no_gpu", package="torch", version=torch, evidence=evidence, fix=fix),)
    if cuda is not None and Version(cuda).major > Version(driver.version).major:
        told = f"torch {torch} is built for CUDA {cuda}, the driver supports CUDA {driver.version}"
        fix = Fix(kind="environment", text=f"update the driver to one for CUDA {Version(cuda).major}")
        return (Diagnosis(cause="no_gpu", package="torch", version=torch, evidence=(told,), fix=fix),)
    return ()
