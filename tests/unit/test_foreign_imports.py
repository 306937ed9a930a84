"""What a module takes from other packages, and under which guard."""

import pytest

from compat.index.extract.foreign_imports import foreign_imports

Found = set[tuple[str, str, bool, int]]


def found(source: str) -> Found:
    """Return target, form, whether it stands under a guard, and line."""
    read = foreign_imports(source.encode(), "vllm.a.b", is_package=False)
    return {(each.target, each.form, each.guard is not None, each.line) for each in read}


def test_imports_of_others_are_found_with_their_lines() -> None:
    source = "import os\nimport torch.nn as nn\nfrom vllm import x\nfrom . import c\n"
    source += "from transformers import (\n  A,\n  B as C,\n)\n"
    assert found(source) == {
        ("torch.nn", "import", False, 2),
        ("transformers:A", "import", False, 6),
        ("transformers:B", "import", False, 7),
    }


def test_an_import_in_a_try_has_a_guard() -> None:
    source = "try:\n    import xgrammar\nexcept ImportError:\n    import outlines\n"
    assert found(source) == {("xgrammar", "import", True, 2), ("outlines", "import", True, 4)}


def test_type_checking_takes_nothing() -> None:
    assert found("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n") == set()


def test_imports_in_functions_are_deferred() -> None:
    source = "class A:\n    def f(self):\n        if x:\n            import openai\n"
    assert found(source) == {("openai", "deferred", False, 4)}


def test_a_function_that_handles_the_failure_asks_for_nothing() -> None:
    assert (
        found("def f():\n    try:\n        import openai\n    except ImportError:\n        pass\n") == set()
    )


@pytest.mark.parametrize(
    ("statement", "target"),
    [
        ("class A(t.nn.Module): pass", "torch:nn.Module"),
        ("X = t.float8", "torch:float8"),
        ("@t.jit\ndef f(): pass", "torch:jit"),
        ("def f(a=t.zero): pass", "torch:zero"),
        ("def f(a: t.Tensor): pass", "torch:Tensor"),
        ("class A:\n    x = t.one(2)", "torch:one"),
    ],
)
def test_attributes_that_an_import_reads_are_found(statement: str, target: str) -> None:
    assert (target, "attribute") in {each[:2] for each in found(f"import torch as t\n{statement}\n")}


@pytest.mark.parametrize(
    "statement",
    [
        "def f(): return t.later",
        "f = lambda: t.later",
        "x = t.later if y else 1",
        "x = y and t.later",
        "try:\n    x = t.later\nexcept AttributeError:\n    x = 1",
    ],
)
def test_attributes_that_may_not_be_read_are_left_out(statement: str) -> None:
    assert not any("later" in target for target, *_ in found(f"import torch as t\ny = 0\n{statement}\n"))


def test_delayed_annotations_read_nothing() -> None:
    source = "from __future__ import annotations\nimport torch\ndef f(a: torch.Tensor): pass\n"
    assert found(source) == {("torch", "import", False, 2)}


def test_a_file_that_is_no_python_takes_nothing() -> None:
    assert found("import (") == set()
