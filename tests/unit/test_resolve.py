"""`compat resolve` on a small index and on the shipped one."""

import json
from pathlib import Path
from typing import Any

import pytest

from compat._cli import console
from compat.errors import NothingSelectedError, UsageError
from compat.index.reader import Index
from compat.resolve.cli import main
from compat.resolve.query import parse_query
from compat.resolve.release_selection import Request, subjects
from compat.resolve.search import find_location, find_name, find_path
from sources import Files, content, index, release, resolver

QUANT = "sglang.srt.layers.quantization"
VLLM = "vllm.model_executor.layers.quantization"


def files(**extra: str) -> Files:
    base = "sglang/srt/layers"
    return {
        "sglang/__init__.py": "",
        f"{base}/quantization/__init__.py": "from .fp8 import Fp8Config",
        f"{base}/quantization/fp8.py": "class Fp8Config: pass\nclass Method: pass",
        f"{base}/linear.py": "from .quantization.fp8 import Method\nclass Linear: pass",
        "sglang/zoo.py": "class Method: pass",
        **extra,
    }


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("Fp8", [("Fp8", None, False)]),
        ("vllm.a.b", [("vllm.a.b", None, True)]),
        ("vllm", [("", "vllm", False)]),
        ("vllm.a:B", [("B", "vllm.a", False)]),
        ("from vllm.a import B, C as D", [("B", "vllm.a", False), ("C", "vllm.a", False)]),
        (" from vllm.a import (B)", [("B", "vllm.a", False)]),
        ("import vllm.a as x, sglang", [("", "vllm.a", False), ("", "sglang", False)]),
    ],
)
def test_queries(text: str, queries: list[tuple[str, str | None, bool]]) -> None:
    assert [(q.name, q.module, q.dotted) for q in parse_query(text)] == queries


@pytest.mark.parametrize(
    "text", ["", "a b", "1x", "vllm..a", "a:b:c", "from . import x", "from a import *", "from a"]
)
def test_what_is_no_query_says_what_is(text: str) -> None:
    with pytest.raises(UsageError):
        parse_query(text)


def test_the_definition_under_quantization_comes_first(tmp_path: Path) -> None:
    found = find_name(resolver(tmp_path / "i", files()), "sglang", "Method")
    assert found.binding
    assert found.binding.module == f"{QUANT}.fp8"
    assert [(place.module, place.answer.status) for place in found.others] == [
        ("sglang.zoo", "defined"),
        ("sglang.srt.layers.linear", "reexported"),
    ]


def test_a_wrong_path_is_answered_with_the_right_one(tmp_path: Path) -> None:
    there = resolver(tmp_path / "i", files())
    found = find_location(there, "sglang", QUANT, "Method")
    assert found.status == "missing"
    assert found.successor
    assert (found.successor.module, found.successor.name) == (f"{QUANT}.fp8", "Method")
    assert found.statement == f"from {QUANT}.fp8 import Method"
    assert find_path(there, "sglang", f"{QUANT}.old.Method").statement == f"from {QUANT}.fp8 import Method"


def test_paths_may_be_modules(tmp_path: Path) -> None:
    there = resolver(tmp_path / "i", files())
    assert find_path(there, "sglang", f"{QUANT}.fp8").statement == f"import {QUANT}.fp8"
    moved = find_location(there, "sglang", "sglang.layers.fp8", "")
    assert (moved.status, moved.statement) == ("missing", f"import {QUANT}.fp8")


def test_a_name_of_a_module_that_cannot_be_imported_is_missing(tmp_path: Path) -> None:
    broken = files(**{"sglang/srt/layers/quantization/w8.py": "import vllm\nclass Only: pass"})
    found = find_name(resolver(tmp_path / "i", broken), "sglang", "Only")
    assert found.status == "missing"
    assert found.binding
    assert found.binding.answer.reason == f"{QUANT}.w8 imports vllm, which is missing"


def test_nothing_at_all(tmp_path: Path) -> None:
    found = find_name(resolver(tmp_path / "i", files()), "sglang", "Nowhere")
    assert (found.binding, found.status, found.statement) == (None, "missing", None)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = console.run(main, argv)
    out, err = capsys.readouterr()
    return code, out, err


def results(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[dict[str, Any]]]:
    code, out, _ = run(capsys, *argv, "--format", "json")
    document = json.loads(out)
    assert (document["schema"], document["command"]) == (1, "resolve")
    assert out == json.dumps(document, indent=2, sort_keys=True) + "\n"
    return code, document["results"]


def test_the_seed_pair_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "Fp8LinearMethod", "--sglang", "0.4.7", "--vllm", "0.9.0.1")
    assert code == 0
    first, second = out.splitlines()
    assert first.split()[:3] == ["sglang", "0.4.7", "defined"]
    assert first.endswith("from sglang.srt.layers.quantization.fp8 import Fp8LinearMethod")
    assert second.split()[:3] == ["vllm", "0.9.0.1", "defined"]
    assert second.endswith("from vllm.model_executor.layers.quantization.fp8 import Fp8LinearMethod")


def test_the_import_that_started_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = f"from {QUANT} import Fp8LinearMethod"
    right = f"from {QUANT}.fp8 import Fp8LinearMethod"
    code, (result,) = results(capsys, wrong, "--sglang", "0.4.7")
    assert code == 1
    assert (result["status"], result["import"]) == ("missing", right)
    assert result["replacement"]["module"] == f"{QUANT}.fp8"
    code, out, _ = run(capsys, wrong, "--sglang", "0.4.7", "--format", "import")
    assert (code, out) == (1, right + "\n")


def test_a_module_that_moved_is_followed_and_not_taken_for_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    statement = "from vllm.v1.worker.gpu.spec_decode.autoregressive import speculator"
    code, out, _ = run(capsys, statement, "--vllm", "0.33.0", "--format", "import")
    assert code == 1
    assert out == "import vllm.v1.worker.gpu.spec_decode.target_dependent_ar.speculator\n"


def test_a_pair_decides_guards(capsys: pytest.CaptureFixture[str]) -> None:
    code, (sglang, vllm) = results(capsys, "GPTQLinearMethod", "--pair", "seed")
    assert code == 0
    assert (sglang["status"], sglang["module"]) == ("reexported", f"{QUANT}.gptq")
    assert sglang["origin"] == "vllm.model_executor.layers.quantization.gptq:GPTQLinearMethod"
    assert vllm["status"] == "defined"
    code, (alone,) = results(capsys, "GPTQLinearMethod", "--pair", "seed-alone")
    assert code == 1
    assert (alone["status"], alone["module"], alone["import"]) == ("placeholder", f"{QUANT}.gptq", None)


def test_without_a_package_and_without_knowing(capsys: pytest.CaptureFixture[str]) -> None:
    code, (known,) = results(capsys, "AQLMConfig", "--sglang", "0.4.7", "--without", "vllm")
    assert (code, known["status"]) == (1, "placeholder")
    code, (unknown,) = results(capsys, "AQLMConfig", "--sglang", "0.4.7")
    assert (code, unknown["status"]) == (0, "conditional")
    assert "vllm" in unknown["guard"]


def test_specifiers_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "GPTQLinearMethod", "--vllm", ">=0.20,<0.23")
    assert code == 1
    assert [line.split()[1:3] for line in out.splitlines()] == [
        ["0.20.0..0.21.0", "defined"],
        ["0.22.0..0.22.1", "missing"],
    ]


HISTORY = [
    # package, name, module, status, first, last (None: it is still there): as found by hand in the wheels
    ("sglang", "Fp8LinearMethod", f"{QUANT}.fp8", "defined", "0.4.0.post1", None),
    ("vllm", "Fp8LinearMethod", f"{VLLM}.fp8", "defined", "0.4.1", None),
    ("sglang", "GPTQLinearMethod", f"{QUANT}.gptq", "conditional", "0.4.4.post3", "0.4.9.post2"),
    ("sglang", "GPTQLinearMethod", f"{QUANT}.gptq", "defined", "0.4.9.post3", "0.5.12.post1"),
    ("sglang", "GPTQLinearMethod", f"{QUANT}.gptq.gptq", "defined", "0.5.13", None),
    ("vllm", "GPTQLinearMethod", f"{VLLM}.gptq", "defined", "0.2.6", "0.21.0"),
    ("vllm", "AWQMarlinLinearMethod", f"{VLLM}.awq_marlin", "defined", "0.5.3", "0.23.0"),
    ("vllm", "Fp8LinearOp", f"{VLLM}.utils.w8a8_utils", "defined", "0.8.0", "0.14.1"),
    ("sglang", "W8A8Int8Config", f"{QUANT}.w8a8_int8", "defined", "0.4.1.post6", None),
]


def test_the_history_is_that_of_the_published_releases(capsys: pytest.CaptureFixture[str]) -> None:
    _, found = results(capsys, *sorted({name for _, name, *_ in HISTORY}), "--all")
    told = {
        (result["package"], *(entry[key] for key in ("name", "module", "status", "first", "last")))
        for result in found
        for entry in result["history"]
    }
    latest = {package: Index().versions(package)[-1] for package in ("sglang", "vllm")}
    assert {(*entry[:5], entry[5] or latest[entry[0]]) for entry in HISTORY} <= told


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["X", "--vllm", "9.9"], 2, "--vllm: vllm 9.9 is not in the index (nearest: "),
        (["X", "--vllm", "new"], 2, "--vllm: 'new' is not a version"),
        (["X", "--vllm", ">>1"], 2, "--vllm: '>>1' is not a valid specifier"),
        (["X", "--vllm", ">99"], 3, "--vllm: no indexed release of vllm matches '>99'"),
        (["X", "--pair", "sed"], 2, "seed"),
        (["a b", "--vllm", "0.9.0.1"], 2, "is not a valid query"),
        (["torch.nn", "--vllm", "0.9.0.1"], 2, "torch is not indexed"),
        (["sglang.srt", "--vllm", "0.9.0.1"], 3, "no release of sglang is selected"),
        (["--format", "xml", "X"], 2, "invalid choice: 'xml'"),
        ([], 2, "required: QUERY"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], argv: list[str], code: int, message: str
) -> None:
    got, out, err = run(capsys, *argv)
    assert (got, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_one_query_may_ask_for_several_names() -> None:
    asked = parse_query("from vllm.x import A, B as C")
    assert [(query.module, query.name) for query in asked] == [("vllm.x", "A"), ("vllm.x", "B")]


def test_kernels_follow_the_release_of_sglang_that_pins_them(tmp_path: Path) -> None:
    sglang = release("1.0", {"sglang/__init__.py": ""}, ['sgl-kernel==0.2; extra == "srt"'])
    kernels = [release(v, {"sgl_kernel/__init__.py": f"V = {v!r}"}) for v in ("0.1", "0.2")]
    made = index(
        tmp_path / "i",
        content("sglang", "sglang", sglang),
        content("sgl-kernel", "sgl_kernel", *kernels),
        content("vllm", "vllm", release("1", {"vllm/__init__.py": ""})),
    )
    found, _ = subjects(Request(sglang=("1.0",)), made)
    assert [(subject.package, subject.version) for subject in found] == [
        ("sglang", "1.0"),
        ("sgl-kernel", "0.2"),
    ]


@pytest.mark.parametrize("argv", [("--all",), ()], ids=["all", "default"])
def test_a_package_that_is_not_installed_is_not_asked_about(
    argv: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no matrix.toml there
    assert main(["GPTQLinearMethod", "--without", "vllm", "--without", "sgl-kernel", *argv]) in (0, 1)
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"sglang"}


def test_kernels_that_are_not_installed_are_not_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sgl_kernel:int8_scaled_mm", "--sglang", "0.4.7"]) == 0
    with pytest.raises(NothingSelectedError):
        main(["sgl_kernel:int8_scaled_mm", "--sglang", "0.4.7", "--without", "sgl-kernel"])
    assert "sgl-kernel  0.1.7" in capsys.readouterr().out


def test_a_release_of_what_is_not_installed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["GPTQLinearMethod", "--sglang", "0.4.7", "--vllm", "0.9.0.1", "--without", "vllm"]
    assert console.run(main, line) == 2
    assert capsys.readouterr() == (
        "",
        "compat: error: --without vllm contradicts --vllm 0.9.0.1; remove one of them\n",
    )


def test_nothing_is_left_when_nothing_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    gone = [f"--without={name}" for name in ("sglang", "vllm", "sgl_kernel")]
    assert console.run(main, ["x", "--all", *gone]) == 3
    assert "excludes all releases" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "note"),
    [
        (("--all", "--vllm", "0.9.0"), "compat: --all selects the releases; --vllm ignored\n"),
        (
            ("--pair", "seed", "--sglang", "latest", "--all"),
            "compat: --pair selects the releases; --sglang and --all ignored\n",
        ),
    ],
    ids=["all", "pair"],
)
def test_releases_that_are_left_aside_are_told(
    argv: tuple[str, ...], note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    main(["Fp8LinearMethod", *argv])
    assert capsys.readouterr().err == note


def test_pairs_that_are_named_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(main, ["Fp8LinearMethod", "--matrix", str(tmp_path / "no.toml")]) == 2
    assert "no.toml: no such file" in capsys.readouterr().err


def test_a_package_is_the_package_and_no_name_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vllm", "--all"]) == 0
    assert capsys.readouterr().out.endswith("submodule  module  import vllm\n")


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("vllm.model_executor.layers.quantization.fp8.Fp8LinearMethod.apply", "Fp8LinearMethod"),
        ("vllm.utils.FlexibleArgumentParser.parse_args", "FlexibleArgumentParser"),
        ("vllm.LLM.generate", "LLM"),
        ("vllm.nothing.at.all", ""),
    ],
)
def test_the_object_is_told_whose_attribute_is_asked_for(
    path: str, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([path, "--vllm", "0.33.0", "--format", "import"])
    assert capsys.readouterr().out.strip().rpartition(" ")[2] == statement


def test_a_path_of_the_wrong_top_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(main, ["Fp8LinearMethod.apply", "--vllm", "latest"]) == 2
    assert "Fp8LinearMethod is not indexed; a path starts with one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "note"),
    [
        (
            "Fp8LinearMethd",
            "compat: no release has the name Fp8LinearMethd; a similar name is Fp8LinearMethod\n",
        ),
        ("vllm.llmengine", "compat: no release has the name llmengine; a similar name is LLMEngine\n"),
        (
            "SamplingParms",
            "compat: no release has the name SamplingParms; similar names are SamplingParams, SamplingMask\n",
        ),
        ("nothing_of_the_kind_at_all", ""),
        ("GPTQMarlinConfig", ""),
        (
            "vllm.v1.executor.ray_executor",
            (
                "compat: vllm.v1.executor.ray_executor: vllm 0.6.6..0.6.6.post1, 0.11.1..0.32.0 have it; "
                "--all shows where\n"
            ),
        ),
        ("x" * 10_000, ""),
    ],
)
def test_a_name_that_nothing_has_is_told_where_it_is_or_what_it_may_be(
    query: str, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([query, "--vllm", "0.33.0"]) == 1
    assert capsys.readouterr().err == note


@pytest.mark.parametrize(
    "name", ["flashinfer", "flashinfer-python", "flashinfer_python", "FlashInfer-Python"]
)
def test_what_is_not_installed_has_either_of_its_names(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["flashinfer_cutlass_fused_moe", "--sglang", "0.5.14", "--without", name])
    assert "placeholder" in capsys.readouterr().out
