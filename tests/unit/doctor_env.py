"""Virtual environments for the tests of `compat doctor`, with generated packages and compiled code."""

import subprocess
import sys
import textwrap
import venv
from pathlib import Path
from typing import Any

import pytest

from installed import distribution

Q = "vllm/model_executor/layers/quantization"
DOTTED = Q.replace("/", ".")

BASE = {
    "vllm/__init__.py": "",
    "vllm/model_executor/__init__.py": "",
    "vllm/model_executor/layers/__init__.py": "",
    f"{Q}/__init__.py": "",
    f"{Q}/fine.py": "class Fine:\n    def apply(self, x): return x\n",
}


class Env:
    """A virtual environment without pip, into which tests write distributions."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = (
            folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )

    def add(self, name: str, version: str, files: dict[str, str] | None = None, **more: Any) -> None:
        distribution(self.site, name, version, files, **more)


def compiled(folder: Path, name: str, source: str, *options: str) -> Path:
    """Compile a shared library, or skip the test if no compiler is installed."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    code = target.with_suffix(".c")
    code.write_text(textwrap.dedent(source))
    try:
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-Wl,-soname,{target.name}", "-o", target, code, *options],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no C compiler")
    code.unlink()
    return target


DRIVER = """
    #include <string.h>
    int cuInit(unsigned flags) { return 0; }
    int cuDriverGetVersion(int *v) { *v = 12040; return 0; }
    int cuDeviceGetCount(int *n) { *n = 1; return 0; }
    int cuDeviceGet(int *d, int at) { *d = at; return 0; }
    int cuDeviceGetName(char *name, int size, int d) { strncpy(name, "Made Up 100", size); return 0; }
    int cuDeviceGetAttribute(int *v, int what, int d) { *v = what == 75 ? 9 : 1; return 0; }
"""
