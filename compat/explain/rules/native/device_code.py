"""Rules for code that the GPU, its driver or its compiler refuses."""

import re

from compat.explain.context import RuleContext
from compat.explain.log.model import ExceptionInfo
from compat.explain.rules.native.failed_extensions import with_library
from compat.explain.rules.native.torch_pins import torch_lines
from compat.model.diagnosis import Diagnosis, Fix

_KERNEL = re.compile(r"no kernel image is available for execution")
_DRIVER = re.compile(
    r"driver on your system is too old|driver version is insufficient for CUDA runtime"
    r"|forward compatibility was attempted on non supported HW"
    r"|PTX was compiled with an unsupported toolchain"
)
_PTXAS = re.compile(r"\b(ptxas(?:-blackwell)?) fatal {1,8}: Value '(sm_\w{1,12})' is not defined for option")
_NVCC = re.compile(r"\bnvcc fatal {1,8}: Unsupported gpu architecture '(\w{1,20})'")


def device_code(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose kernels that are built for another GPU, and a driver or compiler that is too old."""
    found = _KERNEL.search(exception.text)
    if found:
        text = (
            "The build has no code for this GPU: install a build for its compute capability, or build it on "
            'this machine. "compat doctor" finds the package that is at fault.'
        )
        return with_library("abi_mismatch", None, Fix(kind="install", text=text), exception, context)
    found = _PTXAS.search(exception.text)
    if found:
        return _assembler(found[1], found[2], exception, context)
    found = _NVCC.search(exception.text)
    if found:
        text = (
            f"This CUDA toolkit does not support {found[1]}: set TORCH_CUDA_ARCH_LIST to architectures that "
            '"nvcc --list-gpu-arch" lists, or build with another toolkit.'
        )
        return with_library("abi_mismatch", None, Fix(kind="environment", text=text), exception, context)
    found = _DRIVER.search(exception.text)
    if not found:
        return None
    text = "Update the NVIDIA driver, or install a torch that is built for the CUDA of this driver."
    torch = context.known("torch")
    return Diagnosis(
        cause="abi_mismatch",
        package="torch",
        version=torch.version if torch else None,
        evidence=(exception.line, *torch_lines(context, None)),
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
