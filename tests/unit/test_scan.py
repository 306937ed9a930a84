"""`compat scan` as a command, on small trees, against the shipped index."""

import gc
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat import errors
from compat.errors import NothingSelectedError, UsageError
from compat.scan.cli import main

MOVED = "from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod\n"
"""A class up to 0.21.0; `auto_gptq.AutoGPTQLinearMethod` replaces it from 0.22.0."""

Scan = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Scan:
    """Return a function that scans source as one file and returns its findings without notes."""

    def run(source: str, *options: str, name: str = "code.py", notes: bool = False) -> list[dict[str, Any]]:
        (tmp_path / name).write_text(textwrap.dedent(source))
        main([str(tmp_path), "--format", "json", *options])
        findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
        return [each for each in findings if notes or each["level"] != "note"]

    return run


def told(findings: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(each["line"], each["import"]) for each in findings]


def test_a_finding_has_what_the_contract_says(scan: Scan, tmp_path: Path) -> None:
    (finding,) = scan(MOVED, "--vllm", ">=0.21.0,<=0.23.0")
    assert finding["path"] == str(tmp_path / "code.py")
    assert (finding["line"], finding["column"], finding["end_line"], finding["end_column"]) == (1, 58, 1, 74)
    assert finding["rule"] == "CPT001"
    assert finding["package"] == "vllm"
    assert finding["import"] == MOVED.strip()
    assert finding["broken_in"] == [{"first": "0.22.0", "last": "0.23.0"}]
    assert finding["status"] == "missing"
    assert finding["replacement"]["name"] == "AutoGPTQLinearMethod"
    assert finding["replacement"]["import"].startswith(
        "from vllm.model_executor.layers.quantization.auto_gptq "
    )
    (run,) = finding["runs"]
    assert run["cause"] == "symbol_renamed"
    assert finding["function"] is None


@pytest.mark.parametrize(
    ("source", "successor"),
    [
        (
            "from vllm.model_executor.models.utils import merge_multimodal_embeddings",
            "from vllm.model_executor.models.utils import _merge_multimodal_embeddings",
        ),
        (
            "from vllm.model_executor.layers.quantization.fp8 import ops",
            "from vllm import _custom_ops",
        ),
    ],
)
def test_a_name_that_other_modules_only_re_export_is_reported_at_its_origin(
    scan: Scan, source: str, successor: str
) -> None:
    (finding,) = scan(source, "--vllm", "0.33.0")
    assert finding["replacement"]["import"] == successor


def test_a_message_of_one_line_has_the_doubts(scan: Scan) -> None:
    (finding,) = scan("from vllm.core.block.interfaces import Block", "--vllm", "0.33.0")
    assert finding["message"].endswith("deepencoder import Block; it may be a different object")
    (finding,) = scan("from vllm.core.scheduler import Scheduler", "--vllm", "0.33.0")
    assert finding["message"].endswith("scheduler import Scheduler; its signature differs")


def test_what_works_is_no_finding(scan: Scan) -> None:
    assert scan(MOVED, "--vllm", "0.21.0") == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import vllm.worker.worker", "import vllm.worker.worker"),
        ("import vllm.worker.worker as w\nw.Worker", "import vllm.worker.worker"),
        ("from vllm import (\n    LLM,\n    NoSuchThing,\n)", "from vllm import NoSuchThing"),
        ("from vllm.worker.worker import *", "from vllm.worker.worker import *"),
        ("import vllm\nx = vllm.no_such_thing.more", "vllm.no_such_thing.more"),
        ("import vllm as v\nv.no_such_thing", "vllm.no_such_thing"),
        ("import vllm as v\nmatch 1:\n    case v.no_such_thing: ...", "vllm.no_such_thing"),
        ("import vllm as v\nmatch 1:\n    case v.NoSuch(x=1): ...", "vllm.NoSuch"),
        ("import vllm as v\ndel v.no_such_thing", "vllm.no_such_thing"),
        ("import vllm as v\nv.no_such_thing += 1", "vllm.no_such_thing"),
        ("from vllm import envs\nenvs.VLLM_USE_V1", "vllm.envs.VLLM_USE_V1"),
        ("importlib.import_module('vllm.worker.worker')", "vllm.worker.worker"),
        ("import_module('.worker.worker', 'vllm')", "vllm.worker.worker"),
        ("importlib.import_module('.worker', package='vllm')", "vllm.worker"),
        ("__import__('vllm.worker.worker')", "vllm.worker.worker"),
        ("@mock.patch('vllm.worker.worker.Worker')\ndef test_it(m): ...", "vllm.worker.worker.Worker"),
        ("monkeypatch.setattr('vllm.envs.VLLM_USE_V1', 1)", "vllm.envs.VLLM_USE_V1"),
        ("from vllm import envs\npatch.object(envs, 'VLLM_USE_V1')", "vllm.envs.VLLM_USE_V1"),
        ("import vllm.envs\ngetattr(vllm.envs, 'VLLM_USE_V1')", "vllm.envs.VLLM_USE_V1"),
        ("T = {'Worker': 'vllm.worker.worker'}\ndef __getattr__(name): ...", "vllm.worker.worker.Worker"),
        ("class A:\n    def f(self):\n        import vllm.worker.worker", "import vllm.worker.worker"),
        ("from vllm.worker \\\n    import worker", "from vllm.worker import worker"),
        ("import os, vllm.worker.worker; x = 1", "import vllm.worker.worker"),
        ("import vllm.envs as e\nx = [e.VLLM_USE_V1 for _ in range(3)]", "vllm.envs.VLLM_USE_V1"),
        ("import vllm\nvllm.worker.worker.Worker.execute = 1", "vllm.worker.worker.Worker"),
    ],
)  # fmt: skip
def test_every_way_of_referring_is_seen(scan: Scan, source: str, expected: str) -> None:
    (finding,) = scan(source, "--vllm", "0.23.0")
    assert finding["import"] == expected
    assert finding["rule"] == "CPT001"


@pytest.mark.parametrize(
    "source",
    [
        "import vllm\nvllm.envs.anything_new = 1",
        "import vllm\nprint(vllm.__file__, vllm.envs.__name__)\nfrom vllm import __path__",
        "from vllm import envs\ndef f(envs):\n    return envs.VLLM_USE_V1",
        "from vllm import envs\ngetattr(envs, 'VLLM_USE_V1', None)",
        "from unittest import mock\nfrom vllm import envs\nmock.patch('vllm.envs.new', create=True)",
        "def test(monkeypatch):\n    monkeypatch.setattr('vllm.envs.VLLM_USE_V1', 1, raising=False)",
        "# from vllm.worker.worker import Worker",
        "'from vllm.worker.worker import Worker'",
        "from torch.ops import vllm\nself.vllm.worker.worker",
        "from .vllm.worker import Worker",
        "from vllm import LLM\nLLM.no_such_attribute",
        "import sys\nsys.modules['vllm.worker'] = object()\nimport vllm.worker.worker",
        "from __future__ import annotations\nimport vllm\ndef f(x: vllm.Nothing) -> vllm.Nothing: ...",
    ],
)
def test_what_only_looks_like_it_is_not(scan: Scan, source: str) -> None:
    assert scan(source, "--vllm", "0.23.0") == []


def test_the_enclosing_function_is_reported(scan: Scan) -> None:
    (finding,) = scan("def load():\n    import vllm.worker.worker\n", "--vllm", "0.23.0")
    assert finding["function"] == "load"


def test_a_placeholder_is_another_rule(scan: Scan) -> None:
    source = "from sglang.srt.layers.quantization.gptq import GPTQLinearMethod\n"
    found = scan(source, "--sglang", "0.4.7")
    assert [each["rule"] for each in found] == ["CPT003"]
    assert found[0]["status"] == "conditional"
    assert found[0]["runs"][0]["cause"] == "package_missing"


def test_a_function_that_only_raises_is_reported_with_its_message(scan: Scan) -> None:
    source = "from sglang.srt.server_args import get_global_server_args\n"
    (found,) = scan(source, "--sglang", "0.5.23")
    assert (found["rule"], found["status"], found["replacement"]) == ("CPT002", "placeholder", None)
    assert "it only raises RuntimeError: get_global_server_args() is retired" in found["message"]
    assert scan(source, "--sglang", "0.5.19") == []


def test_private_names_are_information(scan: Scan) -> None:
    source = "from vllm.distributed.parallel_state import _TP\n"
    assert scan(source, "--vllm", "0.23.0") == []
    assert [each["rule"] for each in scan(source, "--vllm", "0.23.0", notes=True)] == ["CPT004"]


@pytest.mark.parametrize("rest", ["", "# é\n", "x = 1 # vllm.gone\n"])
def test_what_is_in_a_private_module_is_private(scan: Scan, rest: str) -> None:
    """The first reference is reported however the rest of the file is checked."""
    source = f"from vllm._custom_ops import awq_gemm\n{rest}"
    assert [each["rule"] for each in scan(source, "--vllm", "0.23.0", notes=True)] == ["CPT004"]


def test_a_file_that_is_not_utf_8_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latin.py").write_bytes("x = 'é'\nfrom vllm import LLM\n".encode("latin-1"))
    assert main([str(tmp_path), "--vllm", "0.23.0"]) == errors.FINDINGS
    column = 5 if sys.version_info >= (3, 12) else 8  # as the parser of this Python counts
    assert f"latin.py:1:{column}: CPT000 the file was not checked: " in capsys.readouterr().out


def test_exit_codes(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text(MOVED)
    assert main([str(code), "--vllm", "0.23.0"]) == errors.FINDINGS
    assert main([str(code), "--vllm", "0.21.0"]) == errors.CLEAN
    code.write_text("from vllm.distributed.parallel_state import _TP\n")
    assert main([str(code), "--vllm", "0.23.0"]) == errors.CLEAN
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingSelectedError):
        main([str(tmp_path / "empty")])
    (tmp_path / "dangling.py").symlink_to("nowhere")
    with pytest.raises(NothingSelectedError, match=r"dangling.py: No such file"):
        main([str(tmp_path / "dangling.py")])
    with pytest.raises(NothingSelectedError, match="no indexed release"):
        main([str(code), "--vllm", ">=99"])
    for wrong in (["nowhere"], [str(code), "--vllm", "0.99"], [str(code), "--vllm", "~?"]):
        with pytest.raises(UsageError):
            main(wrong)


def test_an_unknown_release_is_refused_although_nothing_needs_it(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("x = 1\n")
    with pytest.raises(UsageError, match="nearest: "):
        main([str(tmp_path), "--vllm", "0.99.1"])


@pytest.mark.parametrize(
    ("comment", "silent"),
    [
        ("# compat: ignore", True),
        ("# compat: ignore[CPT001]", True),
        ("# noqa  # compat: ignore[CPT002, CPT001] reason", True),
        ("# compat: ignore[CPT002]", False),
        ("# ignore", False),
    ],
)
def test_a_comment_silences(scan: Scan, comment: str, silent: bool) -> None:  # noqa: FBT001
    assert (scan(MOVED.strip() + f"  {comment}\n", "--vllm", "0.23.0") == []) is silent


def test_the_project_is_asked_for_its_releases(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "setup(extras_require={'v': ['vllm[audio]>=0.21,<0.24 ; python_version>\"3\"']})"
    )
    (finding,) = scan(MOVED)
    assert finding["broken_in"] == [{"first": "0.22.0", "last": "0.23.0"}]


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("# vllm==0.21.0\n[project]\ndependencies = ['vllm==0.22.0']\n", True),
        ('[project]\ndependencies = ["""\n# vllm==0.22.0"""]\n', True),
        ("  # vllm==0.22.0\n", False),
    ],
)
def test_a_comment_of_the_project_pins_nothing(
    scan: Scan,
    tmp_path: Path,
    text: str,
    pinned: bool,  # noqa: FBT001
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    (finding,) = scan(MOVED)
    assert (finding["broken_in"] == [{"first": "0.22.0", "last": "0.22.0"}]) is pinned


def test_a_build_of_a_release_is_that_release(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['vllm==0.22.0+cpu']\n")
    (finding,) = scan(MOVED)
    assert finding["broken_in"] == [{"first": "0.22.0", "last": "0.22.0"}]


@pytest.mark.parametrize(
    ("name", "text", "pinned"),
    [
        ("requirements.txt", "vllm @ git+https://example.org/vllm-project/vllm.git@v0.22.0 ; x\n", True),
        ("requirements.txt", "git+https://example.org/vllm-project/vllm@v0.22.0#egg=vllm\n", True),
        ("requirements.txt", "vllm @ git+https://example.org/vllm-project/vllm@0123abc\n", False),
        ("requirements.txt", "x @ git+https://example.org/x/vllm-tools@v0.22.0\n", False),
        ("pyproject.toml", "[tool.uv.sources]\nvllm = { git = 'x', rev = 'v0.22.0' }\n", True),
        ("pyproject.toml", "[tool.uv.sources]\nvllm = [{ git = 'x', tag = '0.22.0', marker = 'y' }]\n", True),
        ("pyproject.toml", "[tool.uv.sources]\nvllm = { git = 'x', branch = 'main' }\n", False),
        ("pyproject.toml", "[tool.uv]\nsources = 'vllm'\n", False),
        ("pyproject.toml", "[tool.poetry.dependencies]\nvllm = { git = 'x', tag = 'v0.22.0' }\n", True),
    ],
)
def test_a_tag_of_the_repository_is_that_release(
    scan: Scan,
    tmp_path: Path,
    name: str,
    text: str,
    pinned: bool,  # noqa: FBT001
) -> None:
    (tmp_path / name).write_text(text)
    (finding,) = scan(MOVED)
    assert (finding["broken_in"] == [{"first": "0.22.0", "last": "0.22.0"}]) is pinned


def test_the_projects_in_a_project_are_asked_where_it_says_nothing(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name, pin in (("used", "vllm==0.22.0"), ("other", "vllm==0.33.0")):
        (tmp_path / "python" / name / name).mkdir(parents=True)
        (tmp_path / "python" / name / "pyproject.toml").write_text(f"[project]\ndependencies = ['{pin}']\n")
    (tmp_path / "python" / "used" / "used" / "code.py").write_text("import vllm\n")
    (tmp_path / "python" / "other" / "other" / "code.py").write_text("import torch\n")
    (finding,) = scan(MOVED)
    assert finding["broken_in"] == [{"first": "0.22.0", "last": "0.22.0"}]
    (tmp_path / "requirements.txt").write_text("vllm==0.23.0\n")
    (finding,) = scan(MOVED)
    assert finding["broken_in"] == [{"first": "0.23.0", "last": "0.23.0"}]


def test_a_pin_without_a_matching_release_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("vllm==99.0\n")
    (tmp_path / "code.py").write_text(MOVED)
    main([str(tmp_path)])
    assert (
        "the newest 10; no indexed release matches vllm==99.0 in requirements.txt" in capsys.readouterr().err
    )


def test_the_collector_of_cycles_is_left_as_it_was(scan: Scan) -> None:
    assert scan(MOVED, "--vllm", "0.21.0") == []
    assert gc.isenabled()
    with pytest.raises(UsageError):
        scan(MOVED, "--vllm", "nonsense")
    assert gc.isenabled()


def test_the_project_configures(scan: Scan, tmp_path: Path) -> None:
    config = tmp_path / "pyproject.toml"
    config.write_text("[tool.compat]\nvllm = '>=0.22,<0.24'\nexclude = ['third_party']\n")
    (tmp_path / "third_party").mkdir()
    (tmp_path / "third_party" / "code.py").write_text(MOVED)
    assert told(scan(MOVED)) == [(1, MOVED.strip())]
    config.write_text("[tool.compat]\nvllm = '>=0.22,<0.24'\nignore = ['CPT001']\n")
    assert scan(MOVED) == []
    config.write_text("[tool.compat]\nvlm = '1'\n")
    with pytest.raises(UsageError, match=r"tool\.compat\.vlm: unknown key; did you mean 'vllm'"):
        scan(MOVED)


def test_a_baseline_leaves_what_is_new(scan: Scan, tmp_path: Path) -> None:
    baseline = tmp_path / "known.json"
    code = tmp_path / "code.py"
    code.write_text(MOVED)
    assert main([str(tmp_path), "--vllm", "0.23.0", "--write-baseline", str(baseline)]) == errors.CLEAN
    assert scan(f"\n\n{MOVED}", "--vllm", "0.23.0", "--baseline", str(baseline)) == []
    found = scan(f"{MOVED}import vllm.worker.worker\n", "--vllm", "0.23.0", "--baseline", str(baseline))
    assert told(found) == [(2, "import vllm.worker.worker")]
    with pytest.raises(UsageError, match="--write-baseline"):
        scan(MOVED, "--baseline", str(code))


def test_a_notebook_tells_cell_and_line(scan: Scan) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["import vllm.worker.worker"]},
        {"cell_type": "code", "source": "%%bash\nimport vllm.worker.worker"},
        {
            "cell_type": "code",
            "source": ["!pip install vllm\n", "%matplotlib inline\n", "x = !ls\n", "def f(:\n"],
        },
        {
            "cell_type": "code",
            "source": "import json\nif json:\n    %time x = 1\n    import vllm.worker.worker",
        },
    ]
    unread, finding = scan(json.dumps({"cells": cells, "nbformat": 4}), "--vllm", "0.23.0", name="n.ipynb")
    assert (unread["rule"], unread["cell"]) == ("CPT000", {"number": 3, "line": 4})
    assert (finding["rule"], finding["cell"]) == ("CPT001", {"number": 4, "line": 4})


def test_nothing_of_the_scanned_tree_runs_and_little_is_loaded(tmp_path: Path) -> None:
    """A scan of a tree without the packages loads no index, no parser and no library."""
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('executed')\n")
    (tmp_path / "a.py").write_text("import os\nraise SystemExit('executed')\n")
    code = (
        "import sys; from compat.scan.cli import main\n"
        f"code = main([{str(tmp_path)!r}]); print(code, *sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    assert "executed" not in done.stdout + done.stderr
    loaded = set(done.stdout.split())
    assert "0" in loaded
    assert not loaded & {"sqlite3", "ast", "packaging", "compat.index.reader", "libcst", "tomllib"}


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("from vllm.sampling_params import NeverThere\n", "unknown"),
        ("from vllm.never.there import Nothing\n", "unknown"),
        ("from vllm.config.quantization import OnlineQuantScheme\n", "not_yet_added"),
    ],
)
def test_a_name_that_no_release_has_is_not_reported_as_not_yet_added(
    scan: Scan, source: str, cause: str
) -> None:
    (finding,) = scan(source, "--vllm", "0.9.0")
    assert [run["cause"] for run in finding["runs"]] == [cause]


def test_a_baseline_lists_no_notes(scan: Scan, tmp_path: Path) -> None:
    """A note changes no exit code, so that a baseline has nothing to hide."""
    note = "from vllm._custom_ops import scaled_fp8_quant\n"
    assert [each["rule"] for each in scan(note, "--vllm", "0.23.0", notes=True)] == ["CPT004"]
    baseline = tmp_path / "known.json"
    (tmp_path / "code.py").write_text(note + MOVED, encoding="utf-8")
    main([str(tmp_path), "--vllm", "0.23.0", "--write-baseline", str(baseline)])
    known = json.loads(baseline.read_text(encoding="utf-8"))["findings"]
    assert [each["rule"] for each in known] == ["CPT001"]
