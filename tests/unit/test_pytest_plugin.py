"""The pytest plug-in in real runs of pytest."""

import re
from pathlib import Path

import pytest

from installed import ROOT, distribution

pytest_plugins = ["pytester"]

TITLE = "compat diagnosis"


@pytest.fixture
def site(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a vllm that lacks older names."""
    folder = pytester.path / "site"
    quantization = "vllm/model_executor/layers/quantization"
    files = {
        "vllm/__init__.py": "",
        "vllm/model_executor/__init__.py": "",
        "vllm/model_executor/layers/__init__.py": "",
        f"{quantization}/__init__.py": "",
        f"{quantization}/auto_gptq.py": "class AutoGPTQLinearMethod:\n    def apply(self, x): return x\n",
    }
    distribution(folder, "vllm", "0.23.0", files)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return folder


GONE = "from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod\n"
INSIDE = f"def test_inside():\n    {GONE}"


def run(pytester: pytest.Pytester, *options: str) -> str:
    """Run pytest in a child process and return its output; it must not crash."""
    done = pytester.runpytest_subprocess("-W", "error", *options)
    assert done.ret in (0, 1, 2), str(done.stderr)
    assert "INTERNALERROR" not in str(done.stdout)
    return str(done.stdout)


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--tb=short", "--show-capture=no")])
def test_a_failed_test_gets_a_diagnosis(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(test_one=INSIDE, test_two="def test_fine(): pass\n")
    out = run(pytester, *options)
    assert TITLE in out
    assert re.search(r"^(?:symbol|module)_\w+:  vllm 0\.23\.0", out, flags=re.MULTILINE)
    assert "AutoGPTQLinearMethod" in out
    assert "1 failed, 1 passed" in out


def test_a_later_test_that_fails_because_of_a_failed_import_gets_a_diagnosis(
    pytester: pytest.Pytester, site: Path
) -> None:
    """Python raises `KeyError: 'vllm'` for namespace packages of a package whose import failed."""
    (site / "vllm/__init__.py").write_text("import vllm.parts.early\nimport absent_thing\n")
    (site / "vllm/parts").mkdir()
    for name in ("early", "later"):
        (site / f"vllm/parts/{name}.py").touch()
    test = "def test_{}():\n    import vllm.parts.later\n"
    pytester.makepyfile(test_one=test.format("one"), test_two=test.format("two"))
    out = run(pytester)
    assert out.count(TITLE) == 2
    assert "No module named 'absent_thing'" in out
    assert "an earlier import of vllm failed in this process" in out


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_a_file_that_cannot_be_collected_gets_a_diagnosis(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_one=GONE)
    out = run(pytester, *options)
    assert TITLE in out
    assert "AutoGPTQLinearMethod" in out
    assert "1 error" in out


@pytest.mark.usefixtures("site")
def test_a_failing_fixture_gets_a_diagnosis(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.fixture\ndef method():\n    " + GONE + "def test_it(method): pass\n"
    )
    assert TITLE in run(pytester)


def test_the_use_of_a_stub_gets_a_diagnosis(pytester: pytest.Pytester, site: Path) -> None:
    source = """
        try:
            from vllm.gone import GPTQLinearMethod
        except ImportError:
            from typing import Any
            GPTQLinearMethod = Any
    """
    home = "sglang/srt/layers/quantization/gptq.py"
    distribution(site, "sglang", "0.4.7", {"sglang/__init__.py": "", home: source})
    pytester.makepyfile(
        "from sglang.srt.layers.quantization.gptq import GPTQLinearMethod\n"
        "def test_it():\n    GPTQLinearMethod(None)\n"
    )
    out = run(pytester)
    assert TITLE in out
    assert "sglang.srt.layers.quantization.gptq:GPTQLinearMethod depends on a guarded import" in out


def test_a_call_with_wrong_arguments_gets_a_diagnosis(pytester: pytest.Pytester, site: Path) -> None:
    home = site / "vllm" / "engine"
    home.mkdir()
    (home / "arg_utils.py").write_text(
        "class EngineArgs:\n    def __init__(self, model): pass\n", encoding="utf-8"
    )
    pytester.makepyfile(
        "from vllm.engine.arg_utils import EngineArgs\n"
        "class Mine:\n    def __init__(self): pass\n"
        "def test_it():\n    EngineArgs('m', num_scheduler_steps=8)\n"
        "def test_mine():\n    Mine(num_scheduler_steps=8)\n"
    )
    out = run(pytester)
    assert out.count(TITLE) == 1
    assert "symbol_removed:  vllm 0.23.0  vllm.engine.arg_utils:EngineArgs(num_scheduler_steps=)" in out


@pytest.mark.usefixtures("site")
def test_the_diagnosis_of_load_is_shown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import compat\ndef test_it():\n    compat.load('NoSuchThing', package='sglang')\n")
    out = run(pytester)
    assert "package_missing:  sglang" in out
    assert 'pip install "sglang"' in out


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("off", ["--no-compat", "ini", "-pno:compat"])
def test_it_can_be_turned_off(pytester: pytest.Pytester, off: str) -> None:
    pytester.makepyfile(INSIDE)
    if off == "ini":
        pytester.makeini("[pytest]\ncompat = false\n")
    out = run(pytester, *([off] if off.startswith("-") else []))
    assert "1 failed" in out
    assert TITLE not in out


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    "source",
    [
        "def test_it(): import no_such_module_at_all\n",
        "def test_it(): assert 'vllm' == 'sglang'\n",
        "def test_it(): raise TypeError('Any')\n",
        "def test_it(): raise ImportError('vllm is not what it was')\n",
    ],
)
def test_other_failures_are_left_alone(pytester: pytest.Pytester, source: str) -> None:
    pytester.makepyfile(source)
    out = run(pytester)
    assert "1 failed" in out
    assert TITLE not in out


@pytest.mark.usefixtures("site")
def test_a_defect_of_its_own_is_one_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "class Odd(ImportError):\n    def __str__(self): raise ValueError('odd\\nthing')\n"
        "def test_it(): raise Odd\n"
        "def test_next(): pass\n"
    )
    out = run(pytester)
    assert "1 failed, 1 passed" in out
    assert "no diagnosis: ValueError: odd thing" in out


@pytest.mark.usefixtures("site")
def test_nothing_is_loaded_as_long_as_nothing_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\n"
        "def test_it():\n"
        "    ours = sorted(name for name in sys.modules if name.partition('.')[0] == 'compat')\n"
        "    assert ours == ['compat', 'compat.pytest_plugin']\n"
    )
    assert "1 passed" in run(pytester)


def test_it_is_an_entry_point() -> None:
    assert 'compat = "compat.pytest_plugin"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
