"""`compat scan`: classes below classes of the packages that do not fit them (CPT006)."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.scan.cli import main

Scan = Callable[..., list[dict[str, Any]]]
PLATFORM = "from vllm.platforms import Platform\n"


@pytest.fixture
def scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Scan:
    """Return a function that scans files and returns their findings of this rule."""

    def run(source: str, release: str, **others: str) -> list[dict[str, Any]]:
        for name, text in {"code": source, **others}.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        main([str(tmp_path), "--format", "json", "--select", "CPT006", "--vllm", release])
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
        return found

    return run


def platform(body: str, base: str = "Platform") -> str:
    """Return a class below vllm's `Platform`."""
    return f"{PLATFORM}class Mine({base}):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"


OLD = """
@classmethod
def get_attn_backend_cls(cls, selected_backend, head_size, dtype, kv_cache_dtype, block_size, v1, use_mla):
    return "mine"
"""


def test_an_override_that_takes_other_arguments_is_a_finding(scan: Scan) -> None:
    assert scan(platform(OLD), "0.10.0") == []
    (finding,) = scan(platform(OLD), "0.11.0")
    assert (finding["level"], finding["form"], finding["line"]) == ("error", "override", 5)
    assert finding["import"] == "Mine.get_attn_backend_cls"
    assert "it takes at most 7 of 9; the override fits up to 0.10.0" in finding["message"]


def test_an_override_is_compared_with_the_base_class_of_each_release(scan: Scan) -> None:
    (finding,) = scan(platform(OLD), ">=0.10.0,<=0.11.0")
    assert finding["broken_in"] == [{"first": "0.10.1", "last": "0.11.0"}]
    body = "@classmethod\ndef is_async_output_supported(cls, enforce_eager): return False"
    (finding,) = scan(platform(body), ">=0.10.0,<=0.12.0")
    assert finding["broken_in"] == [{"first": "0.11.0", "last": "0.12.0"}]


@pytest.mark.parametrize(
    "body",
    [
        "@classmethod\ndef get_attn_backend_cls(cls, *args, **kwargs): ...",
        "@classmethod\ndef get_attn_backend_cls(cls, a, b, c, d, e, f, g, h=0, i=0): ...",
        "@unknown\ndef get_attn_backend_cls(cls, a): ...",
        "def get_attn_backend_cls(self, a): ...",  # another kind of method
        "get_attn_backend_cls = None",
    ],
)
def test_an_override_that_fits_or_is_not_known_is_none(scan: Scan, body: str) -> None:
    assert scan(platform(body), "0.11.0") == []


def test_an_override_that_no_release_fits_is_none(scan: Scan) -> None:
    assert scan(platform("@classmethod\ndef get_attn_backend_cls(cls): ..."), "0.11.0") == []


LAYERS = "vllm.model_executor.layers"
QUANTIZATION = f"{LAYERS}.quantization.compressed_tensors.compressed_tensors"


@pytest.mark.parametrize(
    ("base", "method", "release"),
    [
        # Up to 0.19.1 the base takes anything.
        (f"{LAYERS}.vocab_parallel_embedding:VocabParallelEmbedding", "forward(self, a, b)", "0.33.0"),
        # From 0.12.0 on the method is static there.
        (f"{QUANTIZATION}:CompressedTensorsConfig", "_is_dynamic_token_w8a8(self, a, b, c)", "0.11.0"),
    ],
)
def test_a_base_method_that_cannot_be_compared_is_none_that_an_override_fits(
    scan: Scan, base: str, method: str, release: str
) -> None:
    module, _, name = base.partition(":")
    source = f"from {module} import {name}\nclass Mine({name}):\n    def {method}: ...\n"
    assert scan(source, release) == []


def test_a_class_of_the_tree_in_between_is_followed(scan: Scan) -> None:
    between = f"{PLATFORM}class Between(Platform):\n    ...\n"
    source = f"import vllm\nfrom between import Between\nclass Mine(Between):\n{textwrap.indent(OLD, '    ')}"
    (finding,) = scan(source, "0.11.0", between=between)
    assert finding["path"].endswith("code.py")


def test_an_override_of_a_method_that_is_gone_is_a_warning(scan: Scan) -> None:
    body = "@classmethod\ndef is_async_output_supported(cls, enforce_eager): return False"
    assert scan(platform(body), "0.10.0") == []
    (finding,) = scan(platform(body), "0.33.0")
    assert (finding["level"], finding["form"]) == ("warning", "unused_override")
    assert "the override fits up to 0.10.2" in finding["message"]
    assert scan(platform(body), "0.33.0", other="x.is_async_output_supported(1)") == []


def test_a_method_that_only_later_releases_have_is_none(scan: Scan) -> None:
    assert scan(platform("@classmethod\ndef manual_seed_all(cls, seed): ..."), "0.11.0") == []


def test_a_call_of_a_method_that_the_base_class_lacks_is_a_finding(scan: Scan) -> None:
    source = """
    from vllm.v1.engine.async_llm import AsyncLLM
    class Mine(AsyncLLM):
        async def pause(self):
            await super().pause_generation()
    """
    (finding,) = scan(source, "0.11.0")
    assert (finding["form"], finding["import"], finding["line"]) == (
        "super_call",
        "super().pause_generation",
        5,
    )
    assert scan(source, "0.12.0") == []


def test_an_abstract_method_that_is_new_is_a_finding(scan: Scan) -> None:
    source = """
    from vllm.v1.outputs import AsyncModelRunnerOutput
    class Mine(AsyncModelRunnerOutput):
        def get_output(self): ...
    """
    assert scan(source, "0.32.0") == []
    (finding,) = scan(source, "0.33.0")
    assert (finding["form"], finding["import"], finding["line"]) == ("abstract_class", "Mine", 3)
    more = "\n        def get_kv_connector_output(self): ..."
    assert scan(source.rstrip() + more, "0.33.0") == []
    subclass = (
        "import vllm\nfrom code_ import Mine\nclass Last(Mine):\n    def get_kv_connector_output(self): ..."
    )
    assert scan(source, "0.33.0", other=subclass) == []


def test_a_guard_by_release_counts(scan: Scan) -> None:
    source = f"""
    import vllm
    from vllm.platforms import Platform
    if vllm.__version__ < "0.11":
        class Mine(Platform):
{textwrap.indent(textwrap.dedent(OLD), " " * 12)}
    """
    assert scan(source, "0.11.0") == []


def test_a_comment_silences_it(scan: Scan) -> None:
    silenced = OLD.replace("use_mla):", "use_mla):  # compat: ignore[CPT006]")
    assert scan(platform(silenced), "0.11.0") == []
