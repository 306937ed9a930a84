"""Diagnoses of names that a release lacks, for pasted lines and tracebacks, with the shipped index."""

import io
import sys

import pytest
from rich.console import Console

from compat.explain.engine import explain
from compat.explain.log.log_reader import read
from compat.explain.log.model import TracebackFrame

GPTQ = "vllm.model_executor.layers.quantization.gptq"
SITE = "/home/user/venv/lib/python3.11/site-packages"


def message(name: str, module: str) -> str:
    return f"ImportError: cannot import name '{name}' from '{module}' ({SITE}/{module.replace('.', '/')}.py)"


@pytest.mark.parametrize(
    ("text", "releases", "cause", "statement"),
    [
        (
            message("Fp8LinearMethod", "sglang.srt.layers.quantization"),
            {"sglang": "0.4.7"},
            "symbol_moved",
            "from sglang.srt.layers.quantization.fp8 import Fp8LinearMethod",
        ),
        (
            f"ModuleNotFoundError: No module named '{GPTQ.replace('gptq', 'auto_gptq')}'",
            {"vllm": "0.9.0.1"},
            "not_yet_added",
            None,
        ),
    ],
)
def test_a_line_is_enough(text: str, releases: dict[str, str], cause: str, statement: str | None) -> None:
    first = explain(text, sglang=releases.get("sglang"), vllm=releases.get("vllm"))[0]
    assert first.cause == cause
    if statement:
        assert first.fix.statement == statement


def test_the_true_boundary_is_reported_whatever_release_the_text_names() -> None:
    text = f"""After upgrading vllm to 0.25 my script fails:
Traceback (most recent call last):
  File "/home/user/serve.py", line 3, in <module>
    from {GPTQ} import GPTQLinearMethod
ModuleNotFoundError: No module named '{GPTQ}'
"""
    first = explain(text)[0]
    assert (first.cause, first.package, first.version) == ("symbol_renamed", "vllm", "0.25.0")
    assert (first.module, first.symbol) == (GPTQ, "GPTQLinearMethod")
    assert first.fix.statement == f"from {GPTQ.replace('gptq', 'auto_gptq')} import AutoGPTQLinearMethod"
    assert any(
        "the last release that has it is 0.21.0, and 0.22.0 lacks it" in line for line in first.evidence
    )


@pytest.mark.parametrize(
    "text", ["", "\n", "all went well\n", "Traceback (most recent call last):\n", "\x00\xff"]
)
def test_what_is_not_known_is_said_to_be_unknown(text: str) -> None:
    (only,) = explain(text)
    assert (only.cause, only.fix.kind) == ("unknown", "none")
    assert only.evidence


@pytest.mark.parametrize(
    ("attribute", "statement"), [("layers", "import sglang.srt.layers"), ("no_such_thing", None)]
)
def test_the_fix_for_an_unimported_submodule_is_its_import(attribute: str, statement: str | None) -> None:
    text = f"AttributeError: module 'sglang.srt' has no attribute '{attribute}'"
    first = explain(text, sglang="0.5.14")[0]
    assert (first.cause, first.fix.statement) == ("unknown", statement)
    assert first.version == ("0.5.14" if statement else None)


BROKEN_OFF = """
vllm==0.25.0
Traceback (most recent call last):
  File "/app/serve.py", line 3, in <module>
    from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod
"""


def test_a_truncated_traceback_is_diagnosed_by_the_import_at_its_end() -> None:
    (found,) = explain(BROKEN_OFF)
    assert (found.cause, found.symbol) == ("symbol_renamed", "GPTQLinearMethod")
    assert "the traceback is truncated after" in found.evidence[0]


def test_an_error_line_outweighs_a_truncated_traceback() -> None:
    told = "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory"
    (found,) = explain(f"{told}\n{BROKEN_OFF}")
    assert found.cause == "missing_native_library"


IPYTHON = """\
ModuleNotFoundError                       Traceback (most recent call last)
Cell In[1], line 1
----> 1 import serve

File ~/work/serve.py:9
      7 import os
      8 os.environ["X"] = "1"
----> 9 from vllm.worker.worker import Worker
     10 Worker()

ModuleNotFoundError: No module named 'vllm.worker'
"""


def test_the_line_that_failed_counts_and_not_those_around_it() -> None:
    (found,) = explain(IPYTHON)
    assert (found.module, found.symbol) == ("vllm.worker.worker", "Worker")


@pytest.mark.parametrize("coloured", [False, True])
def test_a_box_of_rich_is_read(coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    monkeypatch.setitem(sys.modules, "vllm", type(sys)("vllm"))
    sys.modules["vllm"].__path__ = []
    file = io.StringIO()
    try:
        from vllm.worker.worker import Worker  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError:
        Console(file=file, force_terminal=coloured, width=110).print_exception()
    assert "\u2502" in file.getvalue()
    (found,) = explain(file.getvalue())
    assert (found.module, found.symbol) == ("vllm.worker.worker", "Worker")


BOX = """
╭──────────────── Traceback (most recent call last) ───────────────╮
│ {first:64} │
│ {second:64} │
│                                                                  │
│ ❱ 12 │   from vllm.worker.worker import Worker                   │
╰──────────────────────────────────────────────────────────────────╯
ModuleNotFoundError: No module named 'vllm.worker'
"""


@pytest.mark.parametrize("width", [5, 20, 31, 34, 35, 36, 37, 40])
def test_a_path_that_rich_wraps_is_whole(width: int) -> None:
    line = "/opt/app/site-packages/mine/job.py:12 in start"
    text = BOX.format(first=line[:width], second=line[width:])
    (failure,) = read(text).failures
    assert failure.chain[-1].frames == (
        TracebackFrame(
            path="/opt/app/site-packages/mine/job.py",
            line=12,
            function="start",
            source="from vllm.worker.worker import Worker",
        ),
    )


LEFT_BEHIND = """\
Traceback (most recent call last):
  File "/home/user/run.py", line 9, in <module>
    from sglang.srt.layers.quantization.fp8 import Fp8LinearMethod
  File "<frozen importlib._bootstrap>", line 1078, in _find_spec
  File "<frozen importlib._bootstrap_external>", line 1295, in _get_parent_path
KeyError: 'sglang'
"""


def test_an_error_that_follows_from_an_earlier_failed_import_is_recognized() -> None:
    (found,) = explain(LEFT_BEHIND)
    assert (found.cause, found.package) == ("unknown", "sglang")
    assert "an earlier import of sglang failed in this process" in found.evidence[1]
    before = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    import numpy\n'
    (found,) = explain(f"{before}ModuleNotFoundError: No module named 'numpy'\n{LEFT_BEHIND}")
    assert found.cause == "package_missing"


KERNEL = (
    f"ImportError: cannot import name 'fused_marlin_moe' from 'sgl_kernel' ({SITE}/sgl_kernel/__init__.py)"
)


@pytest.mark.parametrize(
    ("head", "installed"),
    [
        ("sglang[all]==0.4.9\n", None),
        ("sglang 0.4.9\nsgl-kernel 0.1.7\n", "0.1.7"),
        ("sglang 0.4.9\nsgl-kernel 0.3.21\n", "0.3.21"),
    ],
)
def test_kernels_that_the_release_does_not_require_are_reported(head: str, installed: str | None) -> None:
    (found,) = explain(head + KERNEL)
    assert (found.cause, found.package, found.version) == ("requirement_violated", "sgl-kernel", installed)
    assert (found.module, found.symbol) == ("sgl_kernel", "fused_marlin_moe")
    assert found.fix.command == 'pip install "sgl-kernel==0.2.4"'


def test_unknown_kernels_are_those_that_the_release_requires() -> None:
    (found,) = explain(KERNEL, sglang="0.4.7")
    assert (found.cause, found.package, found.version) == ("not_yet_added", "sgl-kernel", "0.1.7")
    assert "sglang 0.4.7 requires sgl-kernel 0.1.7" in found.evidence


BOXED = """\
[03/07/25 12:11:01] ERROR    it failed                                     app.py:12
                             \u256d\u2500 Traceback (most recent call last) \u2500\u256e
                             \u2502 /home/user/app/worker.py:12 in start              \u2502
                             \u2502                                                   \u2502
                             \u2502   11                                              \u2502
                             \u2502 \u2771 12 \u2502   from vllm.worker.worker import Worker     \u2502
                             \u2570\u2500\u2500\u256f
                             ModuleNotFoundError: No module named 'vllm.worker'
"""


def test_a_box_of_a_logger_is_read() -> None:
    (found,) = explain(BOXED)
    assert (found.module, found.symbol) == ("vllm.worker.worker", "Worker")


def test_a_misspelt_name_gets_suggestions() -> None:
    head = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    from vllm import LLMEngin\n'
    (found,) = explain(
        f"{head}ImportError: cannot import name 'LLMEngin' from 'vllm' ({SITE}/vllm/__init__.py)"
    )
    assert (found.cause, found.symbol) == ("unknown", None)
    assert found.evidence[1] == "no release has the name LLMEngin; a similar name is LLMEngine"


@pytest.mark.parametrize(
    "text",
    [
        "it failed:\ncannot import name 'nothing_of_this' from 'sgl_kernel' (/a/sgl_kernel/__init__.py)",
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
        f"ImportError: /libc.so.6: version `GLIBC_2.32' not found (required by {SITE}/sgl_kernel/o.abi3.so)",
    ],
)
def test_evidence_has_no_duplicates_and_begins_with_the_error(text: str) -> None:
    (found,) = explain(text)
    assert len(set(found.evidence)) == len(found.evidence)
    assert not found.evidence[0].startswith(":")


def test_a_name_without_its_module_is_looked_up_in_all_packages() -> None:
    found = explain("ImportError: cannot import name 'sgl_per_token_group_quant_fp8'\n")[0]
    assert found.cause == "unknown"
    assert any(line.startswith("sgl_kernel:sgl_per_token_group_quant_fp8 exists") for line in found.evidence)


def test_a_name_that_no_release_has_is_told_so() -> None:
    found = explain("ImportError: cannot import name 'ServerArgs' from 'vllm'\n")[0]
    assert found.cause == "unknown"
    assert any("has the name ServerArgs" in line for line in found.evidence)
    assert found.fix.statement is None


def test_a_name_that_the_release_has_is_missing_in_an_incomplete_installation() -> None:
    text = (
        "vllm==0.9.2\n"
        'File "/x/lib/python3.12/site-packages/vllm/benchmarks/latency.py", line 16, in <module>\n'
        "    from vllm import LLM, SamplingParams\n"
        "ImportError: cannot import name 'LLM' from 'vllm' (/x/site-packages/vllm/__init__.py)\n"
    )
    (only,) = explain(text)
    assert (only.cause, only.package, only.module, only.symbol) == ("unknown", "vllm", "vllm", "LLM")
    assert "incomplete" in only.fix.text


def test_of_several_objects_of_a_name_that_with_the_longest_history_is_meant() -> None:
    (only,) = explain("sglang==0.5.9\nAttributeError: module 'sglang' has no attribute 'SamplingParams'\n")
    assert (only.cause, only.fix.statement) == (
        "symbol_moved",
        "from sglang.srt.sampling.sampling_params import SamplingParams",
    )


def test_a_file_of_another_project_with_the_name_of_a_package_is_not_that_package() -> None:
    text = (
        '  File "/home/u/evals/quux_eval/models/vllm.py", line 63, in __init__\n'
        "    self.client = LLM(\n"
        "NameError: name 'LLM' is not defined\n"
    )
    (only,) = explain(text)
    assert (only.cause, only.package, only.module, only.symbol) == ("unknown", "vllm", "vllm", "LLM")
    assert only.fix.command == "python -c 'from vllm import LLM'"
