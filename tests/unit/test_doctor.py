"""`compat doctor` on real virtual environments with packages that are broken in various ways."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat._cli import console
from compat.doctor.cli import main
from compat.model.diagnosis import CAUSES
from doctor_env import BASE, DOTTED, DRIVER, Env, Q, compiled
from installed import distribution

Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Env:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("COMPAT_CACHE_DIR", str(tmp_path / "cache"))
    return Env(tmp_path / "env")


@pytest.fixture
def doctor(env: Env, capsys: pytest.CaptureFixture[str]) -> Doctor:
    def run(*argv: str) -> tuple[int, dict[str, Any]]:
        code = main(["--python", str(env.python), "--format", "json", *argv])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (document["schema"], document["command"]) == (1, "doctor")
        assert code == bool(document["findings"])
        for finding in document["findings"]:
            assert finding["cause"] in CAUSES
            assert finding["evidence"]
        return code, document

    return run


def test_a_sound_environment_has_no_finding(env: Env, doctor: Doctor) -> None:
    env.add(
        "vllm", "99.0", BASE, requires=["helper>=2", "absent>1; python_version < '3'", "odd; extra == 'x'"]
    )
    env.add("helper", "2.1")
    code, document = doctor()
    assert (code, document["findings"], document["notes"]) == (0, [], [])
    assert document["releases"] == {"vllm": "99.0"}
    assert document["imports"] == {
        "failed": [],
        "late": [],
        "modules": 2,
        "stubs": [],
        "symbols": 1,
        "unsure": [],
    }


def test_no_package_can_end_the_examination(env: Env, doctor: Doctor, tmp_path: Path) -> None:
    """Crashes, exits, hangs, floods of output and processes left behind are findings, each reported once."""
    left = tmp_path / "left.pid"
    hazards = {
        "crashes": "import ctypes\nctypes.string_at(0)\n",
        "leaves": "import os\nos._exit(0)\n",
        "exits": "raise SystemExit(3)\n",
        "hangs": "import threading\nthreading.Event().wait()\n",
        "floods": "while True:\n    print('x' * 100_000)\n",
        "forks": f"""
            import subprocess, sys
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            open({str(left)!r}, "w").write(str(child.pid))
            import os
            os._exit(1)
        """,
    }
    needy = {f"needs{number}": "import vllm.model_executor.lacks\n" for number in range(3)}
    lacks = {"vllm/model_executor/lacks.py": "import kernels_of_old\n"}
    files = {f"{Q}/{name}.py": source for name, source in {**hazards, **needy}.items()}
    env.add("vllm", "99.0", {**BASE, **lacks, **files}, requires=["kernels-of-old"])
    code, document = doctor("--timeout", "8")
    assert code == 1
    by_module = {finding["module"]: finding for finding in document["findings"] if finding["module"]}
    told = {
        name: " ".join(by_module[f"{DOTTED}.{name}"]["evidence"])
        for name in ("crashes", "leaves", "hangs", "forks")
    }
    assert "signal 11 (SIGSEGV)" in told["crashes"]
    assert "exited with code 0" in told["leaves"]
    assert "hung after 8 s" in told["hangs"]
    assert "exited with code 1" in told["forks"]
    everything = [line for finding in document["findings"] for line in finding["evidence"]]
    assert any("SystemExit: 3" in line for line in everything)
    assert any("File too large" in line for line in everything)
    missing = [finding for finding in document["findings"] if finding["cause"] == "package_missing"]
    assert len(missing) == 1
    assert any(line.startswith("3 modules cannot be imported") for line in missing[0]["evidence"])
    assert document["imports"]["symbols"] == 1, "what is fine was still looked at"
    pid = int(left.read_text())
    assert not _alive(pid), "what a package starts is gone with it"


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_many_failures_take_few_processes(env: Env, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.doctor.imports.RETRIES", 3)
    same = {f"{Q}/same{number}.py": "import vllm.model_executor.broken\n" for number in range(9)}
    other = {f"{Q}/zz{number}.py": f"raise ValueError({number})\n" for number in range(4)}
    broken = {"vllm/model_executor/broken.py": "raise ValueError('broken')\n"}
    env.add("vllm", "99.0", {**BASE, **same, **other, **broken})
    _, document = doctor()
    (first, *_) = document["findings"]
    assert any(line.startswith("9 modules cannot be imported") for line in first["evidence"])
    assert len(document["findings"]) == 3
    assert len(document["imports"]["unsure"]) == 2
    assert "2 more modules failed after others in the same process" in document["notes"][0]


def test_a_package_that_fails_to_import_is_one_finding_with_all_its_modules(env: Env, doctor: Doctor) -> None:
    """After such an import, Python raises `KeyError: 'vllm'` for modules in its namespace packages."""
    files = {name: source for name, source in BASE.items() if name != "vllm/model_executor/__init__.py"}
    more = {f"{Q}/more{number}.py": "" for number in range(20)}
    start = {
        "vllm/__init__.py": "import vllm.model_executor.early\nimport kernels_of_old\n",
        "vllm/model_executor/early.py": "",
    }
    env.add("vllm", "99.0", {**files, **more, **start}, requires=["kernels-of-old", "idle>=3"])
    _, document = doctor()
    (finding,) = document["findings"]
    assert (finding["cause"], finding["package"]) == ("package_missing", "kernels-of-old")
    assert any(line.startswith("22 modules cannot be imported") for line in finding["evidence"])
    (note,) = document["notes"]
    assert "idle>=3, but it is not installed; all imports fail earlier" in note


def test_an_unmet_requirement_matters_if_an_import_fails_because_of_it(env: Env, doctor: Doctor) -> None:
    uses = "from openai.types import NamespaceTool\n"
    env.add("vllm", "99.0", {**BASE, f"{Q}/uses.py": uses}, requires=["openai>=2.25.0", "idle>=3"])
    env.add("openai", "2.6.1", {"openai/__init__.py": "", "openai/types.py": ""})
    env.add("idle", "2.0", {"idle/__init__.py": ""})
    _, document = doctor()
    (finding,) = document["findings"]
    assert (finding["cause"], finding["package"], finding["version"]) == (
        "requirement_violated",
        "openai",
        "2.6.1",
    )
    assert any("openai>=2.25.0" in line for line in finding["evidence"])
    assert any("uses" in line for line in finding["evidence"])
    assert "openai" in finding["fix"]["command"]
    assert document["notes"] == [
        "vllm 99.0 requires idle>=3, but 2.0 is installed; no import fails because of it"
    ]


def test_a_missing_package_that_nothing_requires_is_a_note(env: Env, doctor: Doctor) -> None:
    env.add("vllm", "99.0", {**BASE, f"{Q}/other.py": "import other_device\n"})
    code, document = doctor()
    assert code == 0
    assert len(document["notes"]) == 1
    assert "no package requires it" in document["notes"][0]


def test_stubs_are_reported_with_the_missing_package(env: Env, doctor: Doctor) -> None:
    guarded = """
        try:
            from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod, GPTQConfig
        except ImportError:
            from typing import Any
            class Dummy: pass
            GPTQLinearMethod, GPTQConfig = Any, Dummy
    """
    inside = "sglang/srt/layers/quantization"
    env.add("sglang", "99.0", {"sglang/__init__.py": "", "sglang/srt/__init__.py": "",
                               "sglang/srt/layers/__init__.py": "", f"{inside}/__init__.py": "",
                               f"{inside}/gptq.py": guarded})  # fmt: skip
    _, document = doctor()
    (finding,) = document["findings"]
    assert (finding["cause"], finding["package"]) == ("package_missing", "vllm")
    assert {stub.rpartition(":")[2] for stub in document["imports"]["stubs"]} >= {"GPTQLinearMethod"}


def test_what_the_source_itself_binds_to_nothing_is_no_stub(env: Env, doctor: Doctor) -> None:
    plain = "from typing import Any\ncache = None\nclass Base:\n    pass\nAnything = Any\n"
    env.add("vllm", "99.0", {**BASE, f"{Q}/plain.py": plain})
    code, document = doctor()
    assert (code, document["imports"]["stubs"]) == (0, [])
    assert document["imports"]["symbols"] >= 3


def test_kernels_of_another_build_are_a_finding(env: Env, doctor: Doctor) -> None:
    env.add("sglang", "99.0", requires=["sgl-kernel==0.2.0"], listed=False)
    env.add("sgl-kernel", "0.1.0", {"sgl_kernel/__init__.py": ""})
    _, document = doctor("--no-imports")
    (finding,) = document["findings"]
    assert (finding["cause"], finding["package"]) == ("requirement_violated", "sgl-kernel")
    assert document["imports"] is None


def test_duplicate_incomplete_and_shadowed_packages_are_findings(
    env: Env, doctor: Doctor, tmp_path: Path
) -> None:
    env.add("vllm", "99.0", BASE, requires=["helper"])
    env.add("helper", "1.0")
    env.add("helper", "2.0")
    env.add("sgl-kernel", "0.1.0", {"sgl_kernel/__init__.py": ""})
    env.add("sglang-kernel", "0.4.0", {"sgl_kernel/__init__.py": ""})
    (env.site / f"{Q}/fine.py").unlink()
    (tmp_path / "work/vllm").mkdir()
    (tmp_path / "work/vllm/__init__.py").write_text("")
    _, document = doctor("--no-imports")
    told = {finding["package"]: " ".join(finding["evidence"]) for finding in document["findings"]}
    assert "metadata of several versions in one folder: 1.0 and 2.0" in told["helper"]
    assert "both installed" in told["sglang-kernel"]
    assert "vllm 99.0 lacks 1 file of its RECORD: quantization/fine.py" in " ".join(
        line for finding in document["findings"] for line in finding["evidence"]
    )
    hidden = [finding for finding in document["findings"] if finding["module"] == "vllm"]
    assert [finding["cause"] for finding in hidden] == ["shadowed_module"]


def test_a_file_that_lies_below_is_a_finding(env: Env, doctor: Doctor) -> None:
    """openai_harmony comes with two distributions; the file on the disk is that of the lower version."""
    env.add("vllm", "99.0", BASE)
    env.add(
        "oss-harmony", "0.0.11", {"openai_harmony/__init__.py": "new = 1\n", "build_backend.py": "a = 1\n"}
    )
    env.add(
        "openai-harmony", "0.0.4", {"openai_harmony/__init__.py": "old = 1\n", "build_backend.py": "b = 1\n"}
    )
    code, document = doctor("--no-imports")
    (found,) = [each for each in document["findings"] if each["package"] == "oss-harmony"]
    assert (code, found["cause"]) == (1, "shadowed_module")
    assert (
        "openai-harmony 0.0.4 overwrote 1 file of oss-harmony 0.0.11: openai_harmony/__init__.py"
        in found["evidence"]
    )
    assert found["fix"]["command"] == "pip install --force-reinstall --no-deps oss-harmony==0.0.11"
    (env.site / "openai_harmony/__init__.py").write_text("new = 1\n")
    _, document = doctor("--no-imports")
    assert not [each for each in document["findings"] if each["package"] == "oss-harmony"]
    assert any("those of oss-harmony are installed" in note for note in document["notes"])


def test_files_of_another_folder_lie_below_nothing(
    env: Env, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older oss-harmony in a later folder has the file; the one that Python imports has not."""
    front = tmp_path / "front"
    distribution(front, "oss-harmony", "0.0.11", {"openai_harmony/__init__.py": ""})
    distribution(front, "openai-harmony", "0.0.4", {"openai_harmony/old.py": "a = 1\n"})
    env.add("vllm", "99.0", BASE)
    env.add("oss-harmony", "0.0.9", {"openai_harmony/old.py": "b = 1\n"})
    monkeypatch.setenv("PYTHONPATH", str(front))
    _, document = doctor("--no-imports")
    assert [each for each in document["findings"] if each["package"] == "oss-harmony"] == []
    assert not [note for note in document["notes"] if "in different forms" in note]


def test_a_stub_that_a_release_chooses_for_a_device_is_no_finding(env: Env, doctor: Doctor) -> None:
    chosen = """
        import os
        def on_device():
            return os.environ.get("NO_SUCH_DEVICE") == "1"
        if on_device():
            def convert(x):
                return x + 1
        else:
            convert = None
    """
    again = "from vllm.model_executor.layers.quantization.chosen import convert\n"
    env.add("vllm", "99.0", {**BASE, f"{Q}/chosen.py": chosen, f"{Q}/again.py": again})
    code, document = doctor()
    assert (code, document["imports"]["stubs"]) == (0, [])


def test_what_metadata_tells_needs_no_import(
    env: Env, doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    env.add("vllm", "0.10.0", BASE)
    env.add("openai", "1.100.0", {"openai/__init__.py": ""})
    _, document = doctor("--no-imports")
    lines = [line for each in document["findings"] for line in each["evidence"]]
    assert any(
        "openai.types.responses.ResponseTextConfig, which openai 1.100.0 does not have" in line
        for line in lines
    )
    main(["--python", str(env.python)])
    assert "cannot be imported, by metadata alone: vllm/" in capsys.readouterr().err


def test_an_unsupported_python_is_a_finding(env: Env, doctor: Doctor) -> None:
    env.add("vllm", "99.0", BASE)
    metadata = env.site / "vllm-99.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Python: <3\n")
    _, document = doctor("--no-imports")
    assert "requires Python <3" in document["findings"][0]["evidence"][0]


def test_a_python_built_after_its_release_is_that_release(env: Env, doctor: Doctor) -> None:
    env.add("vllm", "99.0", BASE)
    metadata = env.site / "vllm-99.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Python: >=3.8\n")
    (env.site / "sitecustomize.py").write_text(
        "import platform\nplatform.python_version = lambda: '3.12.1+'\n"
    )
    _, document = doctor("--no-imports")
    assert (document["python"], document["findings"]) == ("3.12.1+", [])


def test_metadata_of_old_installers_is_examined(env: Env, doctor: Doctor) -> None:
    """Metadata that is not UTF-8, invalid versions, and markers that cannot be evaluated."""
    env.add("vllm", "99.0", BASE, requires=["odd>=1", "any"])
    env.add("any", "from-source", requires=["absent; platform_release ~= 'x'", "no requirement at all"])
    env.add("odd", "from-source")
    metadata = env.site / "any-from-source.dist-info/METADATA"
    metadata.write_bytes(metadata.read_bytes() + b"Summary: caf\xe9\n")
    code, document = doctor()
    assert code == 0
    assert document["notes"] == [
        "vllm 99.0 requires odd>=1, but from-source is installed; no import fails because of it"
    ]


def test_a_missing_gpu_is_a_finding_on_request_only(
    env: Env, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    env.add("vllm", "99.0", BASE)
    code, document = doctor("--no-imports")
    if document["gpu"]["devices"]:
        pytest.skip("there is a GPU")
    assert (code, document["gpu"]["problem"] is None) == (0, False)
    _, document = doctor("--no-imports", "--gpu")
    assert [finding["cause"] for finding in document["findings"]] == ["no_gpu"]


def test_a_driver_that_is_too_old_is_a_finding(
    env: Env, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(tmp_path / "driver", "libcuda.so.1", DRIVER)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    env.add("vllm", "99.0", BASE)
    version = "cuda: Optional[str] = '13.0'\n"
    env.add("torch", "2.11.0", {"torch/__init__.py": "", "torch/version.py": version})
    _, document = doctor("--no-imports")
    assert document["gpu"]["devices"] == ["Made Up 100 (compute capability 9.1)"]
    assert document["gpu"]["driver"] == "12.4"
    (finding,) = document["findings"]
    assert (finding["cause"], finding["package"]) == ("no_gpu", "torch")
    assert "built for CUDA 13.0, the driver supports CUDA 12.4" in finding["evidence"][0]


TORCH = """
    void still(void) __asm__("_ZN2at5stillEi");
    void still(void) {}
"""
EXTENSION = """
    void still(void) __asm__("_ZN2at5stillEi");
    void gone(void) __asm__("_ZN3c104goneEi");
    void other(void) __asm__("_ZN5other4goneEi");
    void optional(void) __asm__("_ZN2at8optionalEi") __attribute__((weak));
    void use(void) { still(); gone(); other(); if (optional) optional(); }
"""


def test_an_extension_built_for_another_torch_is_a_finding(env: Env, doctor: Doctor) -> None:
    lib = compiled(env.site / "torch/lib", "libtorch_cpu.so", TORCH)
    env.add("torch", "2.7.1", {"torch/__init__.py": ""})
    env.add("vllm", "99.0", BASE, requires=["torch==2.6.0"])
    compiled(env.site / "vllm", "_C.abi3.so", EXTENSION, str(lib))
    with (env.site / "vllm-99.0.dist-info/RECORD").open("a") as record:
        record.write("vllm/_C.abi3.so,,\n")
    _, document = doctor("--no-imports")
    (finding,) = document["findings"]
    assert (finding["cause"], finding["package"]) == ("abi_mismatch", "torch")
    assert "_C.abi3.so of vllm 99.0: torch 2.7.1 does not define c10::gone" in finding["evidence"][0]
    assert finding["evidence"][1] == "vllm 99.0 requires torch==2.6.0"
    assert document["notes"] == []
    assert finding["fix"]["command"] == "pip install 'torch==2.6.0'"


def test_a_variant_for_another_torch_is_no_finding(env: Env, doctor: Doctor) -> None:
    """Its name contains a torch version, and only the variant for the installed torch is loaded."""
    lib = compiled(env.site / "torch/lib", "libtorch_cpu.so", TORCH)
    env.add("torch", "2.11.0", {"torch/__init__.py": ""})
    env.add("vllm", "99.0", BASE, requires=["addon"])
    env.add("addon", "1.0", {}, requires=["torch"])
    with (env.site / "addon-1.0.dist-info/RECORD").open("a") as record:
        for name in ("libaddon_torch24-cpu.so", "libaddon_torch2.9.so", "libaddon_torch211-cpu.so"):
            compiled(env.site / "addon", name, EXTENSION, str(lib))
            record.write(f"addon/{name},,\n")
    _, document = doctor("--no-imports")
    (finding,) = document["findings"]
    assert finding["cause"] == "abi_mismatch"
    assert finding["evidence"][0].startswith("libaddon_torch211-cpu.so of addon 1.0: torch 2.11.0 does not")


@pytest.mark.parametrize(("version", "findings"), [("98.0", 1), ("99.0", 0)])
def test_another_version_in_a_later_folder_is_a_finding_for_covered_packages_only(
    env: Env, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, version: str, findings: int
) -> None:
    """The first on the import path counts, as where a bundle extends the environment of a machine."""
    over = env.site.parents[3] / "over"
    env.add("vllm", "99.0", BASE, requires=["helper", "same"])
    for name, below, above in (("helper", "1.0", "2.0"), ("same", "1.0", "1.0")):
        env.add(name, below)
        distribution(over, name, above)
    distribution(over, "vllm", version, BASE, requires=["helper", "same"])
    monkeypatch.setenv("PYTHONPATH", str(over))
    _, document = doctor("--no-imports")
    assert document["notes"] == [f"helper 2.0 in {over} hides 1.0 in {env.site}"]
    assert [each["package"] for each in document["findings"]] == ["vllm"] * findings
    told = [" ".join(each["evidence"]) for each in document["findings"]]
    assert ["installed more than once: 98.0 in" in each for each in told] == [True] * findings
    # pip does not remove what lies outside of its interpreter's folders.
    fix = f"Take {over} off the import path (PYTHONPATH), or uninstall vllm 99.0 from {env.site}."
    fixes = [(each["fix"]["text"], each["fix"]["command"]) for each in document["findings"]]
    assert fixes == [(fix, None)] * findings


def test_the_same_torch_of_another_name_is_a_note(env: Env, doctor: Doctor) -> None:
    lib = compiled(env.site / "torch/lib", "libtorch_cpu.so", TORCH)
    env.add("torch", "2.7.1", {"torch/__init__.py": ""})
    env.add("vllm", "99.0", BASE, requires=["torch==2.7.0"])
    source = EXTENSION.replace("gone(); other();", "")
    compiled(env.site / "vllm", "_C.abi3.so", source, str(lib))
    with (env.site / "vllm-99.0.dist-info/RECORD").open("a") as record:
        record.write("vllm/_C.abi3.so,,\n")
    code, document = doctor("--no-imports")
    assert (code, document["compiled"]) == (0, 1)
    assert "the installed torch defines all symbols that compiled code needs" in document["notes"][0]


def test_a_missing_library_is_a_finding(env: Env, doctor: Doctor, tmp_path: Path) -> None:
    lib = compiled(tmp_path / "gone", "libcudart.so.11", "void f(void) {}")
    env.add("vllm", "99.0", {**BASE, "vllm/_D.so": ""})
    compiled(env.site / "vllm", "_D.so", "void f(void); void g(void) { f(); }", str(lib))
    _, document = doctor("--no-imports")
    (finding,) = document["findings"]
    assert finding["cause"] == "missing_native_library"
    assert "_D.so needs libcudart.so.11, which is not installed" in finding["evidence"][0]
    assert "CUDA 11" in finding["fix"]["text"]


def test_what_the_import_path_brings_counts(
    env: Env, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(env.site.parent / "more", "vllm", "99.0", BASE)
    monkeypatch.setenv("PYTHONPATH", str(env.site.parent / "more"))
    code, document = doctor()
    assert (code, document["imports"]["symbols"]) == (0, 1)


def test_the_text_has_the_same_findings(env: Env, capsys: pytest.CaptureFixture[str]) -> None:
    env.add("vllm", "99.0", {**BASE, f"{Q}/leaves.py": "import os\nos._exit(4)\n"})
    assert main(["--python", str(env.python.parent.parent)]) == 1
    out = capsys.readouterr().out
    assert "releases  vllm 99.0\n" in out
    assert "imports  2 of 3 quantization modules, 1 symbols\n" in out
    assert "findings  1\n" in out
    assert "exited with code 4" in out


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["--python", "/nowhere/python"], 2, "'/nowhere/python' is not a program"),
        (["--python", "/bin/true"], 4, "the survey of its interpreter exited with code 0"),
        (["--timeout", "0"], 2, "0 is not a positive number of seconds"),
        (["more"], 2, "unrecognized arguments: more"),
    ],
)
def test_a_wrong_argument_is_one_line(
    argv: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(main, argv) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert captured.err.count("\n") == 1


def test_an_interpreter_that_never_answers_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    assert console.run(main, ["--python", str(slow), "--timeout", "1"]) == 4
    assert "did not answer within 1 s" in capsys.readouterr().err


def test_an_environment_without_the_packages_is_nothing_to_examine(
    env: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(main, ["--python", str(env.python)]) == 3
    assert "neither sglang nor vllm is installed; pass another Python" in capsys.readouterr().err


def test_nothing_is_left_behind(
    env: Env, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    env.add("vllm", "99.0", BASE)
    before = sorted(path for path in env.site.rglob("*") if "__pycache__" not in str(path))
    doctor()
    assert list(scratch.iterdir()) == []
    assert sorted(path for path in env.site.rglob("*") if "__pycache__" not in str(path)) == before
    assert list(Path().iterdir()) == []


def test_an_environment_without_its_dependencies_is_one_finding(env: Env, doctor: Doctor) -> None:
    uses = "import needed0\n"
    names = [f"needed{number}" for number in range(9)]
    env.add("vllm", "99.0", {**BASE, f"{Q}/uses.py": uses}, requires=[*names, "there", "odd; extra == 'x'"])
    env.add("there", "1.0", requires=["further"])
    code, document = doctor()
    assert (code, document["notes"], document["imports"]) == (1, [], None)
    (finding,) = document["findings"]
    assert finding["cause"] == "requirement_violated"
    assert finding["evidence"] == [
        (
            "vllm 99.0 is installed without its dependencies: 9 of the 10 distributions that it requires are "
            "missing: needed0, needed1, needed2, needed3 and 5 more"
        )
    ]
    assert finding["fix"]["command"] == f"{env.python} -m pip install vllm==99.0"


def test_many_hidden_versions_are_one_note(env: Env, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    over = env.site.parent / "over"
    names = [f"nvidia-lib{number}" for number in range(45)]
    env.add("vllm", "99.0", BASE, requires=names)
    for name in names:
        env.add(name, "1.0")
        distribution(over, name, "2.0")
    monkeypatch.setenv("PYTHONPATH", str(over))
    _, document = doctor("--no-imports")
    assert document["notes"] == [
        (
            f"45 distributions hide other versions of themselves: nvidia-lib0 2.0 in {over} hides 1.0 in "
            f"{env.site}, nvidia-lib1 2.0 in {over} hides 1.0 in {env.site} and 43 more"
        )
    ]
