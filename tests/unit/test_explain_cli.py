"""The command line of `compat explain`, reading environments, and parts that the corpus does not reach."""

import io
import json
import sys
from pathlib import Path

import pytest

from compat._cli import console
from compat.explain.cli import main
from compat.explain.context import RuleContext
from compat.explain.engine import _history, explain
from compat.explain.log import log_reader
from compat.explain.log.log_reader import read
from compat.explain.lookup import demangle
from compat.requirements.installed import InstalledEnvironment, read_environment

LINE = "ModuleNotFoundError: No module named 'vllm.model_executor.layers.quantization.gptq'\n"


@pytest.mark.parametrize(("text", "code"), [(LINE, 0), ("all is well\n", 1), ("", 1)])
def test_the_exit_code_says_whether_the_cause_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int
) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    assert console.run(main, [str(path), "--vllm", "0.23.0", "--format", "json"]) == code
    out = capsys.readouterr().out
    document = json.loads(out)
    assert (document["schema"], document["command"]) == (1, "explain")
    assert set(document["diagnoses"][0]["fix"]) == {"kind", "text", "import", "command", "safety"}
    assert json.dumps(document, indent=2, sort_keys=True) + "\n" == out


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "No error was found: pass the whole log"),
        ("all is well\n", "No error was found: pass the whole log"),
        ("ValueError: of another kind\n", "No rule covers this failure"),
    ],
)
def test_a_log_without_an_error_is_not_a_failure_that_no_rule_covers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, advice: str
) -> None:
    (tmp_path / "log").write_text(text)
    assert console.run(main, [str(tmp_path / "log")]) == 1
    assert f"  fix: {advice}" in capsys.readouterr().out


LISTED = """Traceback (most recent call last):
  File "/x/site-packages/sgl_kernel/load_utils.py", line 180, in load
    raise ImportError(error_msg)
ImportError:
[sgl_kernel] CRITICAL: Could not load any common_ops library!
Error details:
- ImportError: libcuda.so.1: cannot open shared object file: No such file or directory
- ModuleNotFoundError: No module named 'common_ops'
"""


def test_an_error_in_a_list_is_evidence_without_its_hyphen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text(LISTED)
    assert console.run(main, [str(tmp_path / "log"), "--format", "json"]) == 0
    (diagnosis,) = json.loads(capsys.readouterr().out)["diagnoses"]
    assert (
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"
        in diagnosis["evidence"]
    )


def test_standard_input_is_read_without_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE.encode())))
    assert console.run(main, ["--vllm", "0.23.0"]) == 0
    assert capsys.readouterr().out.startswith("module_moved:  vllm 0.23.0")


def test_a_closed_standard_input_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # Python's value for a stream closed with `<&-`
    assert console.run(main, []) == 2
    assert capsys.readouterr().err == "compat: error: standard input is closed; pass a log file\n"


@pytest.mark.parametrize("argv", [["no such file"], ["."], ["-", "--format", "xml"], ["-", "--vllm", "new"]])
def test_what_cannot_be_done_is_one_line_and_code_2(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert console.run(main, argv) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "ImportError: /lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /a/_C.so)",
            4,
        ),
        ("ImportError: /lib/libc.so.6: version `GLIBC_2.34' not found (required by /a/vllm/_C.abi3.so)", 4),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", 3),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040).", 3),
        ("RuntimeError: No CUDA GPUs are available", 7),
        ("AssertionError: Torch not compiled with CUDA enabled", 7),
        ("ImportError: libcudart.so.13: cannot open shared object file: No such file or directory", 4),
        ("RuntimeError: operator torchvision::nms does not exist", 3),
        ("sglang 0.4.7 requires torch==2.7.1, but you have torch 2.6.0 which is incompatible.", 2),
        ("AttributeError: _ARRAY_API not found", 3),
    ],
)
def test_a_pasted_line_of_compiled_code_or_surroundings(text: str, cause: int) -> None:
    names = ("", "", "requirement_violated", "abi_mismatch", "missing_native_library", "", "", "no_gpu")
    assert explain(text)[0].cause == names[cause]


@pytest.mark.parametrize("tool", ["c++filt", "none"])
def test_symbols_are_demangled_with_or_without_the_tool(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if tool == "none":
        monkeypatch.setenv("PATH", "")
    assert "c10::detail::maybe_wrap_dim_slow" in demangle.demangled("_ZN3c106detail19maybe_wrap_dim_slowEllb")
    assert demangle.demangled("cuInit") == "cuInit"
    assert demangle.demangled("_ZN99x") == "_ZN99x"


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("INFO 05-26 10:00:00 [api_server.py:1289] vLLM API server version 0.9.0.1", "vllm", "0.9.0.1"),
        ("INFO [core.py:61] Initializing a V1 LLM engine (v0.23.0) with config: model='x'", "vllm", "0.23.0"),
        ("Name: vllm\nVersion: 0.10.0\nSummary: x", "vllm", "0.10.0"),
        ("[pip3] torch==2.7.0+cu126\n[pip3] vllm==0.9.0.1\n", "torch", "2.7.0+cu126"),
        ("Package   Version\n--------- -------\nsglang    0.4.7\nopenai    2.6.1\n", "openai", "2.6.1"),
        ("Successfully installed torch-2.7.0 vllm-0.9.0.1\n", "vllm", "0.9.0.1"),
        ("image: lmsysorg/sglang:v0.4.5-cu124\n", "sglang", "0.4.5"),
    ],
)
def test_releases_are_found_in_a_log(text: str, name: str, version: str) -> None:
    assert read(text).facts.versions().get(name) == version


def test_an_environment_is_read_from_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "Made_Up-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: made-up\nVersion: 1.2\nRequires-Dist: torch==2.7.0\n"
    )
    environment = read_environment([tmp_path, tmp_path / "absent"])
    assert environment.version("made.up") == "1.2"
    assert environment.requires("made-up") == ("torch==2.7.0",)
    assert environment.version("torch") is None


def test_metadata_of_another_age_is_read_and_of_no_known_version_nothing_is_concluded(tmp_path: Path) -> None:
    """Old installers accepted metadata that is not UTF-8, invalid versions and invalid markers."""
    for name, version, line in (
        ("vllm", "unknown", b"torch==2.7.0"),
        ("sglang", "0.4.7", b"odd>=1; platform_release ~= 'x'"),
        ("odd", "from-source", b"old"),
    ):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        folder.joinpath("METADATA").write_bytes(head + b"Summary: caf\xe9\nRequires-Dist: " + line + b"\n")
    environment = read_environment([tmp_path])
    assert environment.requires("vllm") == ("torch==2.7.0",)
    missing = explain("ModuleNotFoundError: No module named 'vllm.absent'", environment=environment)
    assert [(each.cause, each.version) for each in missing] == [("unknown", None)]
    inside = f'  File "{tmp_path}/site-packages/odd/a.py", line 1, in <module>\n    import odd.b\n'
    text = f"Traceback (most recent call last):\n{inside}ModuleNotFoundError: No module named 'odd.b'\n"
    assert explain(text, environment=environment)


def test_an_environment_with_neither_package_is_not_that_of_the_log() -> None:
    report = read("ModuleNotFoundError: No module named 'vllm'")
    for versions, fits in (({"torch": "2.7.0"}, False), ({"torch": "2.7.0", "vllm": "0.9.0"}, True)):
        case = RuleContext(report, _history(), {}, InstalledEnvironment(versions=versions))
        assert case.environment_matches is fits
        assert (case.known("torch") is not None) is fits


def test_the_head_of_a_traceback_in_the_block_before_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a log that consists of errors, only blocks with the signs of failed imports are parsed."""
    monkeypatch.setattr(log_reader, "BLOCK", 200)
    monkeypatch.setattr(log_reader, "LINES", 10)
    idle = "ValueError: one of very many\n"
    head = 'Traceback (most recent call last):\n  File "/srv/app.py", line 1, in run\n    run()\n'
    for shift in range(0, 200, 20):  # block boundaries at various positions
        log = f"{200 * idle}{'x' * shift}\n{head}{LINE}{300 * idle}"
        (failure,) = [each for each in log_reader.read(log).failures if "gptq" in each.chain[0].message]
        assert [frame.path for frame in failure.chain[0].frames] == ["/srv/app.py"]
