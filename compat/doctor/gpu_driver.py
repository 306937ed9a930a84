"""Check the GPU and its driver against the CUDA version that torch is built for."""

import re
from pathlib import Path

from packaging.version import Version

from compat.doctor.inspected_environment import InspectedEnvironment
from compat.model.diagnosis import Diagnosis, Fix

_BUILT_FOR = re.compile(r"^cuda(?:: [^=]+)? = '([\d.]+)'", re.MULTILINE)
"""Matches the CUDA version in torch/version.py."""


def built_for(environment: InspectedEnvironment) -> str | None:
    """Return the CUDA version that the installed torch is built for, or None if it is built without CUDA."""
    origin = environment.installed.get("torch")
    if origin is None:
        return None
    try:
        found = _BUILT_FOR.search(Path(origin).with_name("version.py").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None


def describe(environment: InspectedEnvironment) -> str:
    """Return one line about the devices and the driver."""
    driver = environment.driver
    if driver.devices:
        return f"{', '.join(map(str, driver.devices))}; driver for CUDA {driver.version}"
    return f"none: {driver.problem}"


def check_driver(environment: InspectedEnvironment, *, wanted: bool) -> tuple[Diagnosis, ...]:
    """Return the findings about GPU and driver; a missing GPU is a finding only if `wanted`."""
    driver, cuda = environment.driver, built_for(environment)
    torch = environment.packages.version("torch")
    if not driver.devices:
        fix = Fix(kind="environment", text="Run on a machine with an NVIDIA GPU and its driver.")
        evidence = (f"no CUDA device: {driver.problem}",)
        return (Diagnosis(cause="no_gpu", evidence=evidence, fix=fix),) if wanted else ()
    if torch is not None and cuda is None:
        evidence = (f"the machine has a GPU, {driver.devices[0]}, but torch {torch} is built without CUDA",)
        fix = Fix(kind="install", text="Install a torch that is built with CUDA.")
        return (Diagnosis(cause="no_gpu", package="torch", version=torch, evidence=evidence, fix=fix),)
    if cuda is not None and Version(cuda).major > Version(driver.version).major:
        evidence = (f"torch {torch} is built for CUDA {cuda}, the driver supports CUDA {driver.version}",)
        fix = Fix(
            kind="environment", text=f"Update the driver to one that supports CUDA {Version(cuda).major}."
        )
        return (Diagnosis(cause="no_gpu", package="torch", version=torch, evidence=evidence, fix=fix),)
    return ()
