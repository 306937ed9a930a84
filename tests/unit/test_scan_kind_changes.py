"""`compat scan`: names that code uses as classes, in releases in which they are functions (CPT009)."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.scan.cli import main

MOE = "vllm.model_executor.layers.fused_moe"
"""Its `FusedMoE` is a class up to 0.23.0, a function up to 0.26.0, and then called `FusedMoEFactory`."""
IMPORT = f"from {MOE} import FusedMoE"

Scan = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Scan:
    """Return a function that scans source as one file and returns its findings without notes."""

    def run(source: str, release: str) -> list[dict[str, Any]]:
        (tmp_path / "code.py").write_text(textwrap.dedent(source))
        main([str(tmp_path), "--format", "json", "--vllm", release])
        findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
        return [each for each in findings if each["level"] != "note"]

    return run


@pytest.mark.parametrize(
    ("use", "form"),
    [
        ("class Mine(FusedMoE): ...", "base_class"),
        ("class Mine(Other, FusedMoE): ...", "base_class"),
        ("isinstance(x, FusedMoE)", "instance_check"),
        ("issubclass(x, (int, FusedMoE))", "instance_check"),
        ("isinstance(x, int | FusedMoE)", "instance_check"),
        ("try: ...\nexcept FusedMoE: ...", "handler"),
        ("try: ...\nexcept (ValueError, FusedMoE): ...", "handler"),
        ("def f(x: type[FusedMoE]): ...", "type"),
        ("def f(x: FusedMoE | None = None): ...", "type"),
        ("match x:\n    case FusedMoE(): ...", "pattern"),
        ("FusedMoE.weight_loader", "class_attribute"),
        ("def f():\n    return FusedMoE.weight_loader(1)", "class_attribute"),
    ],
)
def test_each_use_as_a_class_is_a_finding_where_the_name_is_a_function(
    scan: Scan, use: str, form: str
) -> None:
    (finding,) = scan(f"{IMPORT}\n{use}\n", "0.25.1")
    assert (finding["rule"], finding["level"], finding["form"]) == ("CPT009", "error", form)
    assert finding["import"] == f"{MOE}.FusedMoE"
    assert finding["line"] >= 2
    assert finding["safety"] is None
    assert finding["runs"][0]["reason"].startswith("FusedMoE is a class up to 0.23.0")
    assert scan(f"{IMPORT}\n{use}\n", "0.23.0") == []


@pytest.mark.parametrize(
    "use",
    [
        "FusedMoE(1)",
        "x = FusedMoE",
        "FusedMoE.__name__",
        "FusedMoE.mine = 1",
        "def f(x: FusedMoE) -> FusedMoE: ...",
        "class Mine(int):\n    base = FusedMoE",
        "FusedMoE = object\nclass Mine(FusedMoE): ...",
        "def f(FusedMoE):\n    return FusedMoE.weight_loader",
        "from __future__ import annotations\ndef f(x: type[FusedMoE]): ...",
    ],
)
def test_what_a_function_can_do_is_no_finding(scan: Scan, use: str) -> None:
    future, _, rest = use.partition("\n") if use.startswith("from __future__") else ("", "", use)
    assert scan(f"{future}\n{IMPORT}\n{rest}\n", "0.25.1") == []


@pytest.mark.parametrize(
    "source",
    [
        f"from {MOE} import FusedMoE as F\nclass Mine(F): ...",
        f"from {MOE} import layer\nclass Mine(layer.FusedMoE): ...",
        f"import {MOE}.layer\nclass Mine({MOE}.layer.FusedMoE): ...",
        f"import {MOE}.layer as moe\nisinstance(x, moe.FusedMoE)",
        f"from {MOE}.layer import FusedMoE\nFusedMoE.weight_loader",
    ],
)
def test_every_form_of_import_leads_to_the_class(scan: Scan, source: str) -> None:
    (finding,) = scan(f"{source}\n", "0.25.1")
    assert (finding["rule"], finding["line"]) == ("CPT009", 2)


def test_a_function_that_took_the_place_of_a_class_under_another_name(scan: Scan) -> None:
    found = scan(f"{IMPORT}\nclass Mine(FusedMoE): ...\n", "0.33.0")
    assert [(each["rule"], each["line"]) for each in found] == [("CPT001", 1), ("CPT009", 2)]
    assert found[0]["replacement"]["kinds"] == {"old": "class", "new": "function"}
    assert found[0]["replacement"]["safety"] == "unsafe"


def test_only_releases_that_reach_the_use_count(scan: Scan) -> None:
    source = f"""
        import vllm
        from packaging.version import Version
        from {MOE} import FusedMoE
        if Version(vllm.__version__) < Version("0.24"):
            class Mine(FusedMoE): ...
        """
    assert scan(source, ">=0.20,<0.27") == []
    (finding,) = scan(source.replace("0.24", "0.25"), ">=0.20,<0.27")
    assert finding["broken_in"] == [{"first": "0.24.0", "last": "0.24.0"}]


def test_a_fallback_of_the_import_is_no_finding(scan: Scan) -> None:
    source = f"""
        try:
            {IMPORT}
        except ImportError:
            FusedMoE = object
        class Mine(FusedMoE): ...
        """
    assert scan(source, "0.33.0") == []


def test_a_comment_silences_it(scan: Scan) -> None:
    assert scan(f"{IMPORT}\nclass Mine(FusedMoE): ...  # compat: ignore[CPT009]\n", "0.25.1") == []
