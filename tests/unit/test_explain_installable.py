"""A distribution is named for installation only if metadata names it, never because a module has its name."""

import pytest

from compat.explain.engine import explain
from compat.index.reader import Index
from compat.model.diagnosis import Diagnosis
from compat.requirements.named_distributions import is_named

FRAME = """Traceback (most recent call last):
  File "/v/lib/python3.11/site-packages/sglang/srt/disaggregation/mooncake/conn.py", line 1, in <module>
    from {module}.engine import Engine
ModuleNotFoundError: No module named '{module}'
"""
OWN = """Traceback (most recent call last):
  File "/home/me/serve.py", line 3, in <module>
    import {module}
ModuleNotFoundError: No module named '{module}'
"""
LINE = "ModuleNotFoundError: No module named '{module}'\n"
ADVICE = "ImportError: Please install {module} by following the instructions\n"
METADATA = "importlib.metadata.PackageNotFoundError: No package metadata was found for {module}\n"


def diagnosed(log: str) -> Diagnosis:
    return explain(log, sglang="0.5.14")[0]


@pytest.mark.parametrize("log", [FRAME, OWN, LINE, ADVICE, METADATA])
@pytest.mark.parametrize("module", ["mooncake", "triton_kernels", "aiter", "fla", "flash_attn", "nixl"])
def test_no_installation_of_a_name_that_nobody_has_verified(log: str, module: str) -> None:
    fix = diagnosed(log.format(module=module)).fix
    assert "install" not in (fix.command or "")
    assert fix.kind != "install"
    assert not fix.text.startswith("Install ")


@pytest.mark.parametrize("log", [FRAME, OWN, LINE])
@pytest.mark.parametrize(
    ("module", "distribution"),
    [("torch", "torch"), ("orjson", "orjson"), ("zmq", "pyzmq"), ("deep_gemm", "sgl-deep-gemm")],
)
def test_what_metadata_names_is_installed(log: str, module: str, distribution: str) -> None:
    found = diagnosed(log.format(module=module))
    assert (found.cause, found.package) == ("package_missing", distribution)
    assert (found.fix.command or "").startswith(f'pip install "{distribution}')


def test_metadata_of_every_release_counts_under_any_spelling() -> None:
    index = Index()
    for name in ("torch", "Flashinfer_Python", "sgl.kernel", "vllm", "bitsandbytes"):
        assert is_named(name, index)
    assert not is_named("mooncake", index)


_C = "/x/lib/python3.10/site-packages/vllm/_C.cpython-310-x86_64-linux-gnu.so"
UNDEFINED = f"ImportError: {_C}: undefined symbol: _ZN3c104cuda9SetDeviceEi\n"


@pytest.mark.parametrize(
    ("versions", "command"),
    [
        ("vllm==0.2.4\n", "pip install --force-reinstall --no-deps vllm==0.2.4"),
        ("vllm==0.2.4\ntorch==2.0.1\n", 'pip install "torch>=2.1.0"'),
        ("", None),
    ],
)
def test_a_release_is_reinstalled_as_itself_or_its_torch_is_replaced(
    versions: str, command: str | None
) -> None:
    (only,) = explain(versions + UNDEFINED)
    assert (only.cause, only.fix.command) == ("abi_mismatch", command)
