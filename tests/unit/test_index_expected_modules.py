"""The expected modules of a pair in the environment of its lock."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat.errors import UsageError
from compat.index.query.expected_modules import expectations
from compat.index.reader import Index
from compat.locks.lockfile import Inputs, Lock
from compat.model.releases import KnownFailure, Pair
from compat.probe.expectation import ModuleExpectation
from sources import content, index, release

QUANT = "sglang.srt.layers.quantization"
FOLDER = QUANT.replace(".", "/")
OLD = {
    "sglang/__init__.py": "",
    "sglang/srt/layers/linear.py": "from sglang.srt.layers.quantization.fp8 import Fp8",
    f"{FOLDER}/__init__.py": "",
    f"{FOLDER}/fp8.py": "import sgl_kernel\nclass Fp8: pass\nclass Gone: pass",
    f"{FOLDER}/base.py": "class Base: pass",
    f"{FOLDER}/gone.py": "X = 1",
    "sglang/other.py": "import vllm",
}
NEW = {**OLD, f"{FOLDER}/fp8.py": "import sgl_kernel\nclass Fp8: pass\nclass New: pass"}
PAIR = Pair(id="one", python="3.11", sglang=Version("2.0"))


@pytest.fixture
def made(tmp_path: Path) -> Index:
    newer = {path: text for path, text in NEW.items() if path != f"{FOLDER}/gone.py"}
    return index(
        tmp_path / "i",
        content("sglang", "sglang", release("1.0", OLD), release("2.0", newer)),
        content("vllm", "vllm", release("1.0", {"vllm/__init__.py": ""})),
        content(
            "sgl-kernel",
            "sgl_kernel",
            release("0.1", {"sgl_kernel/__init__.py": "", "sgl_kernel/moe.py": ""}),
        ),
    )


def lock(sglang: str = "2.0") -> Lock:
    versions = {"sglang": sglang, "sgl-kernel": "0.1", "flash-attn": "2.0"}
    imports = {
        "sglang": ("sglang",),
        "sgl-kernel": ("sgl_kernel", "deep_gemm"),
        "flash-attn": ("flash_attn",),
    }
    return Lock(
        pair="one",
        inputs=Inputs.of(PAIR),
        packages=MappingProxyType({canonicalize_name(name): Version(v) for name, v in versions.items()}),
        imports=MappingProxyType({canonicalize_name(name): names for name, names in imports.items()}),
        download_bytes=0,
        installed_bytes=0,
        digest="",
        requirements=Path("one.txt"),
    )


def of(made: Index, pair: Pair = PAIR, *, cuda: bool = False) -> dict[str, ModuleExpectation]:
    return {each.module: each for each in expectations(pair, lock(), cuda=cuda, index=made)}


def test_the_subjects_are_quantization_linear_layers_and_kernels(made: Index) -> None:
    assert list(of(made)) == [
        "sgl_kernel",
        "sglang.srt.layers.linear",
        QUANT,
        f"{QUANT}.base",
        f"{QUANT}.fp8",
        f"{QUANT}.gone",
    ]


def test_what_other_releases_have_must_be_missing(made: Index) -> None:
    found = of(made)
    assert {name.name: name.status for name in found[f"{QUANT}.fp8"].names} == {
        "Fp8": "defined",
        "Gone": "missing",
        "New": "defined",
        "sgl_kernel": "reexported",
    }
    assert not found[f"{QUANT}.gone"].exists
    assert found[f"{QUANT}.gone"].must_fail


def test_a_known_failure_spreads_to_what_needs_it_and_no_further(made: Index) -> None:
    entry = KnownFailure(location="sgl_kernel", reason="no driver", when="no-cuda", spreads=True)
    found = of(made, replace(PAIR, expect=(entry,)))
    reason = "sgl_kernel cannot be imported here: no driver"
    assert {module: each.problem for module, each in found.items() if each.problem} == {
        "sglang.srt.layers.linear": reason,
        f"{QUANT}.fp8": reason,
    }
    assert not any(each.problem for each in of(made, replace(PAIR, expect=(entry,)), cuda=True).values())
    alone = replace(entry, spreads=False)
    assert not any(each.problem for each in of(made, replace(PAIR, expect=(alone,))).values())


def test_a_lock_with_a_release_that_is_not_indexed_is_told(made: Index) -> None:
    with pytest.raises(UsageError, match=r"lock of one: sglang 3\.0 is not in the index"):
        expectations(PAIR, lock("3.0"), cuda=False, index=made)
