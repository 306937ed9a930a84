"""Name resolution follows aliases, decides guards from the environment, and finds import problems."""

from itertools import permutations
from pathlib import Path

import pytest

from compat.index.query.answers import Answer
from sources import Files, resolver

TRY_VLLM = """
    from typing import Any
    try:
        from vllm.a import Real, Other
        from vllm.b import Late
        AVAILABLE = True
    except ImportError:
        AVAILABLE = False
        Real = Late = Any
"""
SGLANG: Files = {
    "sglang/__init__.py": "",
    "sglang/gptq.py": TRY_VLLM,
    "sglang/user.py": """
        from .gptq import Real
        from sglang.gptq import AVAILABLE
        if AVAILABLE:
            class Extra: pass
    """,
}
VLLM: Files = {
    "vllm/__init__.py": "",
    "vllm/a.py": "from .home import Real\nclass Other: pass",
    "vllm/home.py": "class Real: pass",
    "vllm/b.py": "def Late(): pass",
}


def answer(tmp_path: Path, files: Files, where: str, vllm: Files | None = None, **facts: object) -> Answer:
    module, _, name = where.partition(":")
    return resolver(tmp_path / "index", files, vllm, **facts).answer(module, name)


def test_a_re_export_is_followed_into_the_other_package(tmp_path: Path) -> None:
    found = answer(tmp_path, SGLANG, "sglang.user:Real", VLLM)
    assert (found.status, found.kind, found.origin) == ("reexported", "class", "vllm.home:Real")


def test_without_the_other_package_the_handler_has_run(tmp_path: Path) -> None:
    for where in ("sglang.gptq:Real", "sglang.user:Real", "sglang.gptq:Late"):
        assert answer(tmp_path, SGLANG, where).status == "placeholder"
    assert answer(tmp_path, SGLANG, "sglang.gptq:Other").status == "missing"
    assert answer(tmp_path, SGLANG, "sglang.user:Extra").status == "missing"
    assert answer(tmp_path, SGLANG, "sglang.user:Extra", VLLM).status == "defined"


def test_one_name_that_has_gone_fails_the_whole_try(tmp_path: Path) -> None:
    """Names bound before the failing import stay bound, and names that the handler rebinds are stubs."""
    moved = {**VLLM, "vllm/b.py": "def Renamed(): pass"}
    assert answer(tmp_path, SGLANG, "sglang.gptq:Real", moved).status == "placeholder"
    other = answer(tmp_path, SGLANG, "sglang.gptq:Other", moved)
    assert (other.status, other.origin) == ("reexported", "vllm.a:Other")


def test_a_module_of_the_other_package_that_cannot_be_imported_fails_the_try_too(tmp_path: Path) -> None:
    broken = {**VLLM, "vllm/b.py": "from vllm.nowhere import x\ndef Late(): pass"}
    assert answer(tmp_path, SGLANG, "sglang.gptq:Real", broken).status == "placeholder"


def test_an_undecided_guard_is_told(tmp_path: Path) -> None:
    files = {
        "sglang/__init__.py": "import flash\ntry:\n    import extra as X\nexcept ImportError:\n    X = None"
    }
    found = answer(tmp_path, files, "sglang:X", VLLM)
    assert (found.status, found.origin, found.guard) == ("conditional", "extra", "try: import of extra")
    assert found.always_bound
    installed = answer(tmp_path, files, "sglang:X", VLLM, provided=frozenset({"extra", "flash"}))
    assert (installed.status, installed.origin) == ("reexported", "extra")
    assert answer(tmp_path, files, "sglang:X", VLLM, provided=frozenset({"flash"})).status == "placeholder"


def test_an_installed_package_that_is_not_indexed_may_or_may_not_have_a_name(tmp_path: Path) -> None:
    files = {"sglang/__init__.py": "try:\n    from extra import X\nexcept ImportError:\n    X = None"}
    found = answer(tmp_path, files, "sglang:X", VLLM, provided=frozenset({"extra"}))
    assert found.status == "conditional"


@pytest.mark.parametrize(("cuda", "status"), [(True, "defined"), (False, "missing"), (None, "conditional")])
def test_device_tests_follow_the_predicates_of_the_package(tmp_path: Path, cuda: object, status: str) -> None:
    files = {
        "sglang/__init__.py": "",
        "sglang/utils.py": """
            import torch
            def on_gpu():
                return torch.cuda.is_available() and torch.version.cuda
        """,
        "sglang/a.py": """
            from .utils import on_gpu
            _gpu = on_gpu()
            if _gpu:
                def kernel(x): return go(x)
        """,
    }
    assert answer(tmp_path, files, "sglang.a:kernel", VLLM, cuda=cuda).status == status


def test_circles_of_aliases_bind_nothing(tmp_path: Path) -> None:
    files = {"sglang/__init__.py": "", "sglang/a.py": "from .b import X", "sglang/b.py": "from .a import X"}
    assert answer(tmp_path, files, "sglang.a:X", VLLM).status == "missing"


def test_a_circle_that_ends_at_a_submodule(tmp_path: Path) -> None:
    files = {
        "sglang/__init__.py": "",
        "sglang/p/__init__.py": "from .entry import *",
        "sglang/p/entry.py": "from sglang.p import tools",
        "sglang/p/tools.py": "",
    }
    for where in ("sglang.p:tools", "sglang.p.entry:tools"):
        found = answer(tmp_path, files, where, VLLM)
        assert found.status in ("submodule", "reexported")
        assert found.kind == "module"


def test_stars(tmp_path: Path) -> None:
    files = {
        "sglang/__init__.py": "from .a import *\nfrom .b import *",
        "sglang/a.py": "class A: pass\n_hidden = 1\nimport os",
        "sglang/b.py": "__all__ = ['B']\nclass B: pass\nclass C: pass",
    }
    there = resolver(tmp_path / "index", files, VLLM)
    assert there.answer("sglang", "A").origin == "sglang.a:A"
    assert there.answer("sglang", "B").origin == "sglang.b:B"
    assert there.answer("sglang", "os").origin == "os"
    assert {there.answer("sglang", name).status for name in ("_hidden", "C")} == {"missing"}


def test_a_star_brings_no_name_that_is_left_out_on_purpose(tmp_path: Path) -> None:
    made = "[x for x in list(globals()) if not x.startswith('_') and x not in OLD]"
    files = {
        "sglang/__init__.py": "from .a import *",
        "sglang/a.py": f"class A: pass\nclass B: pass\nOLD = {{'B': 'b'}}\n__all__ = {made}",
    }
    there = resolver(tmp_path / "index", files, VLLM)
    assert there.answer("sglang", "A").origin == "sglang.a:A"
    assert there.answer("sglang", "B").status == "missing"
    assert there.answer("sglang.a", "B").status == "defined"


def test_a_star_from_outside_leaves_a_module_open(tmp_path: Path) -> None:
    files = {"sglang/__init__.py": "from torch import *"}
    assert answer(tmp_path, files, "sglang:anything", VLLM).status == "dynamic"


def test_lazy_names_have_an_origin(tmp_path: Path) -> None:
    table = """
        T = {"A": ".a:A"}
        def __getattr__(name):
            if name in T:
                return load(T[name])
            raise AttributeError(name)
    """
    files = {"sglang/__init__.py": table, "sglang/a.py": "class A: pass"}
    found = answer(tmp_path, files, "sglang:A", VLLM)
    assert (found.status, found.kind, found.origin) == ("lazy", "class", "sglang.a:A")
    assert answer(tmp_path, files, "sglang:B", VLLM).status == "missing"


def test_submodules_and_namespace_packages(tmp_path: Path) -> None:
    files = {"sglang/__init__.py": "", "sglang/deep/er/leaf.py": "X = 1", "sglang/_C.abi3.so": ""}
    there = resolver(tmp_path / "index", files, VLLM)
    assert there.answer("sglang", "deep").status == "submodule"
    assert there.answer("sglang.deep.er.leaf", "X").status == "defined"
    assert there.answer("sglang._C", "anything").status == "dynamic"


def test_another_name_for_a_class_of_the_same_module_is_at_home(tmp_path: Path) -> None:
    found = answer(tmp_path, {"sglang/__init__.py": "class A: pass\nB = A"}, "sglang:B", VLLM)
    assert (found.status, found.kind, found.origin) == ("defined", "class", None)


def test_an_import_that_must_fail_is_told_for_all_that_need_it(tmp_path: Path) -> None:
    files = {
        "sglang/__init__.py": "",
        "sglang/q/__init__.py": "from sglang.q.utils import helper",
        "sglang/q/utils.py": "from vllm.ops import scaled\ndef helper(): return scaled()",
        "sglang/q/fp8.py": "class Fp8: pass",
        "sglang/other.py": "",
    }
    there = resolver(tmp_path / "index", files)
    reason = "sglang.q.utils imports vllm.ops:scaled, which is missing"
    assert {there.problem(module) for module in ("sglang.q", "sglang.q.utils", "sglang.q.fp8")} == {reason}
    assert there.problem("sglang.other") is None


def test_circular_imports_are_no_problem_by_themselves(tmp_path: Path) -> None:
    files = {
        "sglang/__init__.py": "",
        "sglang/a.py": "import sglang.b\nclass A: pass",
        "sglang/b.py": "import sglang.a\ntry:\n    from sglang.a import A\nexcept ImportError:\n    A = None",
    }
    there = resolver(tmp_path / "index", files, VLLM)
    assert there.problem("sglang.a") is None
    assert there.answer("sglang.b", "A").status == "reexported"


def test_long_chains_of_imports_are_followed(tmp_path: Path) -> None:
    files = {"sglang/__init__.py": ""}
    files |= {f"sglang/m{n}.py": f"from . import m{n + 1}" for n in range(600)}
    files |= {"sglang/m600.py": "import vllm"}
    there = resolver(tmp_path / "index", files)
    assert there.problem("sglang.m0") == "sglang.m600 imports vllm, which is missing"


ONE_AND_TWO = {
    "sglang/__init__.py": "",
    "sglang/one.py": "from sglang.two import X",
    "sglang/two.py": "try:\n    from sglang.one import X\nexcept ImportError:\n    X = 1",
    "sglang/three.py": "try:\n    from sglang.one import X\nexcept ImportError:\n    X = None",
}


@pytest.mark.parametrize("order", list(permutations(("one", "two", "three"))), ids=" ".join)
def test_a_circle_gives_the_same_answers_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    there = resolver(tmp_path / "index", ONE_AND_TWO)
    found = {name: there.answer(f"sglang.{name}", "X") for name in order}
    guard = "except after import of sglang.one:X"
    assert found == {
        "two": Answer(status="defined", kind="value", guard=guard),
        "one": Answer(status="reexported", kind="value", origin="sglang.two:X"),
        "three": Answer(
            status="reexported", kind="value", origin="sglang.two:X", guard="try: import of sglang.one:X"
        ),
    }


def test_what_followed_from_a_wrong_assumption_is_forgotten(tmp_path: Path) -> None:
    files = {
        "sglang/__init__.py": "",
        "sglang/a.py": "from sglang.b import Y as Z\nimport absent\nY = 1",
        "sglang/b.py": "try:\n    from sglang.a import Y\nexcept ImportError:\n    Y = None",
    }
    there = resolver(tmp_path / "index", files, provided=frozenset[str]())
    assert there.present("sglang.a:Y") is False
    assert there.answer("sglang.b", "Y").status == "placeholder"
