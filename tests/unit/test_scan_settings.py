"""Environment variables and options in `compat scan`, against the shipped list of every release."""

import json
from pathlib import Path
from typing import Any

import pytest

from compat import errors
from compat._cli import console
from compat.scan.cli import main

NEWEST = ("--vllm", "0.33.0", "--sglang", "0.5.23")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scan(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    console.run(main, [".", *(arguments or NEWEST), "--format", "json"])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return found


def places(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[str, int, str, str]]:
    return [
        (each["path"].removeprefix("./"), each["line"], each["rule"], each["import"].split()[-1])
        for each in scan(capsys, *arguments)
    ]


GONE = "--disable-log-requests"
"""An option of vllm's server up to 0.16.0."""

FOUND = {
    "environ": ("a.py", 'import os\nos.environ["VLLM_USE_V1"] = "0"\n', 2, "VLLM_USE_V1"),
    "getenv": ("a.py", 'import os\nx = os.getenv("VLLM_USE_V1")\n', 2, "VLLM_USE_V1"),
    "get": ("a.py", 'from os import environ\nx = environ.get("VLLM_USE_V1", "1")\n', 2, "VLLM_USE_V1"),
    "setdefault": ("a.py", 'import os\nos.environ.setdefault("VLLM_USE_V1", "1")\n', 2, "VLLM_USE_V1"),
    "monkeypatch": ("a.py", 'def test_x(m):\n    m.setenv("VLLM_USE_V1", "1")\n', 2, "VLLM_USE_V1"),
    "env of a process": (
        "a.py",
        'import os, subprocess\nsubprocess.run(["x"], env={**os.environ, "VLLM_USE_V1": "0"})\n',
        2,
        "VLLM_USE_V1",
    ),
    "update": ("a.py", 'import os\nos.environ.update(VLLM_USE_V1="0")\n', 2, "VLLM_USE_V1"),
    "sglang": ("a.py", 'import os\nos.environ["SGLANG_ENABLE_SPEC_V2"] = "1"\n', 2, "SGLANG_ENABLE_SPEC_V2"),
    "export": ("run.sh", "set -e\nexport VLLM_USE_V1=0\n", 2, "VLLM_USE_V1"),
    "prefix": ("run.sh", "VLLM_USE_V1=0 vllm serve m\n", 1, "VLLM_USE_V1"),
    "container": ("run.sh", "docker run -e VLLM_USE_V1=0 x\n", 1, "VLLM_USE_V1"),
    "image": ("Dockerfile", "FROM x\nENV A=1 \\\n    VLLM_USE_V1=0\n", 3, "VLLM_USE_V1"),
    "old image": ("docker/Dockerfile.gpu", "FROM x\nENV VLLM_USE_V1 0\n", 2, "VLLM_USE_V1"),
    "compose": ("c.yml", "services:\n  x:\n    environment:\n      VLLM_USE_V1: 0\n", 4, "VLLM_USE_V1"),
    "compose list": ("c.yml", "environment:\n  - VLLM_USE_V1=0\n", 2, "VLLM_USE_V1"),
    "manifest": ("k.yaml", "env:\n- name: VLLM_USE_V1\n  value: '0'\n", 2, "VLLM_USE_V1"),
    "hidden folder": (".github/workflows/x.yml", "env:\n  VLLM_USE_V1: 0\n", 2, "VLLM_USE_V1"),
    "settings file": (".env", "VLLM_USE_V1=0\n", 1, "VLLM_USE_V1"),
    "markdown": ("README.md", "VLLM_USE_V1=1\n```bash\nexport VLLM_USE_V1=0\n```\n", 3, "VLLM_USE_V1"),
    "markdown python": (
        "README.md",
        'A\n```python\nimport os\nos.environ["VLLM_USE_V1"] = "0"\n```\n',
        4,
        "VLLM_USE_V1",
    ),
    "makefile": ("Makefile", "run:\n\t@VLLM_USE_V1=0 x\n", 2, "VLLM_USE_V1"),
    "list": ("a.py", f'x = ["vllm", "serve", "m",\n     "{GONE}"]\n', 2, GONE),
    "list with a module": (
        "a.py",
        f'import sys\nx = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "{GONE}"]\n',
        2,
        GONE,
    ),
    "list that grows": ("a.py", f'x = ["vllm", "serve", "m"]\nif y:\n    x += ["{GONE}"]\n', 3, GONE),
    "list with another": ("a.py", f'more = ["{GONE}"]\nx = ["vllm", "serve", "m", *more]\n', 1, GONE),
    "text in a test": (
        "test_a.py",
        f'import os\ndef test_x():\n    x = "vllm serve m {GONE}"\n    os.system(x)\n',
        3,
        GONE,
    ),
    "text": ("a.py", f'import os\nos.system(f"vllm serve {{m}} {GONE}")\n', 2, GONE),
    "continued": ("run.sh", f"vllm serve m \\\n  --port 1 \\\n  {GONE} > log 2>&1 &\n", 3, GONE),
    "array": ("run.sh", f'A=(--port 1\n  {GONE})  # (x)\nvllm serve m "${{A[@]}}"\n', 2, GONE),
    "variable": ("run.sh", f'A="--port 1 {GONE}"\nvllm serve m $A\n', 1, GONE),
    "quotes": ("run.sh", f"ssh h \"cd x && bash -c 'vllm serve m {GONE}'\"\n", 1, GONE),
    "here-document": ("run.sh", f"cat > x <<EOF\nIt's\nvllm serve m {GONE}\nEOF\nx\n", 3, GONE),
    "placeholder": ("run.sh", f"vllm serve <model> {GONE}\n", 1, GONE),
    "underscores": ("run.sh", "vllm serve m --disable_log_requests\n", 1, GONE),
    "value": ("run.sh", "vllm serve m --swap-space=4\n", 1, "--swap-space"),
    "container of the server": (
        "run.sh",
        f"docker run --gpus all vllm/vllm-openai --model m {GONE}\n",
        1,
        GONE,
    ),
    "json": ("Dockerfile", f'FROM x\nCMD ["vllm", "serve", "m", "{GONE}"]\n', 2, GONE),
    "entry point": ("Dockerfile", f'FROM x\nENTRYPOINT ["vllm", "serve"]\nCMD ["m", "{GONE}"]\n', 3, GONE),
    "base image": ("Dockerfile", f'FROM vllm/vllm-openai\nCMD ["--model", "m", "{GONE}"]\n', 2, GONE),
    "run": ("Dockerfile", f"FROM x\nRUN a && \\\n    vllm serve m {GONE}\n", 3, GONE),
    "folded": (
        "c.yml",
        f"x:\n  image: vllm/vllm-openai:latest\n  command: >\n    --model m\n    {GONE}\n",
        5,
        GONE,
    ),
    "flow": ("c.yml", f'x:\n  command: ["vllm", "serve", "m", "{GONE}"]\n', 2, GONE),
    "arguments": (
        "k.yaml",
        f"c:\n- name: a\n  command:\n  - vllm\n  - serve\n  args:\n  - m\n  - '{GONE}'\n- name: b\n",
        8,
        GONE,
    ),
    "shell in a manifest": (
        "k.yaml",
        f'c:\n- command: ["sh", "-c"]\n  args:\n  - vllm serve m {GONE}\n',
        4,
        GONE,
    ),
    "step": (
        ".github/workflows/x.yml",
        f"steps:\n- run: |\n    a\n    vllm serve m \\\n      {GONE}\n",
        5,
        GONE,
    ),
    "block of markdown": ("README.md", f"```console\n$ vllm serve m {GONE}\n```\n", 2, GONE),
}

KEPT = {
    "a name of a plug-in": ("a.py", 'import os\nos.environ["VLLM_MINE_FAST"] = "1"\n'),
    "a variable that is read": ("a.py", 'import os\nos.environ["VLLM_LOGGING_LEVEL"] = "DEBUG"\n'),
    "a table of its own": (
        "envs.py",
        'import os\nT = {"VLLM_USE_V1": lambda: os.getenv("VLLM_USE_V1")}\n',
    ),
    "a table with functions": (
        "envs.py",
        'T = {"VLLM_A": lambda: 1, "VLLM_USE_V1": choices("VLLM_USE_V1")}\n',
    ),
    "a name that a release puts together": ("run.sh", "export VLLM_MINE_DECODE_BUCKET_X=1\n"),
    "a sentence in YAML": ("x.yaml", "guide: |\n  Then `VLLM_USE_V1=1` or `export VLLM_USE_V1=0` helps.\n"),
    "a comparison": ("run.sh", 'if [[ "$x" == VLLM_USE_V1=* ]]; then y; fi\n'),
    "an assertion": ("a.py", 'def test_x():\n    assert f() == {"VLLM_USE_V1": "1"}\n'),
    "an assertion of unittest": (
        "a.py",
        'class T(U):\n    def test_x(self):\n        self.assertEqual(env["VLLM_USE_V1"], "1")\n',
    ),
    "an example in a test": (
        "test_a.py",
        f'def test_x():\n    words = parse("vllm serve m {GONE}")\n    assert words\n',
    ),
    "only words": ("a.py", '"""VLLM_USE_V1 is gone, and vllm serve --disable-log-requests too."""\n'),
    "removed": ("a.py", 'import os\nos.environ.pop("VLLM_USE_V1", None)\ndel os.environ["VLLM_USE_V1"]\n'),
    "guarded": (
        "a.py",
        'import os\nimport vllm\nif vllm.__version__ < "0.11":\n    os.environ["VLLM_USE_V1"] = "0"\n',
    ),
    "comment": ("run.sh", f"# export VLLM_USE_V1=0\n# vllm serve m {GONE}\n"),
    "own use": (
        "run.sh",
        "VLLM_ATTENTION_BACKEND=X\nvllm serve m --attention-backend $VLLM_ATTENTION_BACKEND\n",
    ),
    "prose": ("README.md", f"Do not set VLLM_USE_V1=1, nor pass `vllm serve m {GONE}`.\n"),
    "other program": ("run.sh", f"vllm serve m --port 1 | tee {GONE}; x {GONE}\n"),
    "shown": ("run.sh", f"echo vllm serve m {GONE}\npip install vllm {GONE}\n"),
    "shown in quotes": ("run.sh", f"echo 'run: vllm serve m {GONE}'\nprintf \"vllm serve %s {GONE}\" m\n"),
    "searched for": ("run.sh", f"git log --grep 'vllm serve m {GONE}'\npkill -f \"vllm serve m {GONE}\"\n"),
    "a synopsis": ("README.md", f"vllm\n\n```\nusage: vllm serve m {GONE}\n```\n"),
    "abbreviation": ("run.sh", "vllm serve m --tensor-parallel 2\n"),
    "negation": ("run.sh", "vllm serve m --no-enable-prefix-caching\n"),
    "dotted": ("run.sh", "vllm serve m --compilation-config.mode=3 -O3 -tp 2\n"),
    "never known": ("run.sh", "vllm serve m --my-plugin-option\n"),
    "other module": ("run.sh", f"python -m vllm.mine {GONE}\n"),
    "two programs": ("run.sh", f'A="{GONE} 1"\nvllm serve m $A\nother $A\n'),
    "release of the image": ("run.sh", f"docker run vllm/vllm-openai:v0.9.1 --model m {GONE}\n"),
    "release of the base": ("Dockerfile", f'FROM vllm/vllm-openai:v0.9.1\nCMD ["--model", "m", "{GONE}"]\n'),
    "own entry point": ("run.sh", f"docker run --entrypoint x vllm/vllm-openai --model m {GONE}\n"),
    "silenced": ("run.sh", f"vllm serve m {GONE}  # compat: ignore[CPT008]\n"),
    "silenced above": ("run.sh", f"# compat: ignore\nvllm serve m \\\n  {GONE}\n"),
    "silenced in Python": ("a.py", 'import os\nos.environ["VLLM_USE_V1"] = "0"  # compat: ignore[CPT007]\n'),
    "binary": ("run.sh", f"\0vllm serve m {GONE}\n"),
    "another kind of file": ("run.txt", f"vllm serve m {GONE}\n"),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_setting_is_found(case: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, text, line, setting = FOUND[case]
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)
    rule = "CPT008" if setting.startswith("--") else "CPT007"
    assert places(capsys) == [(name, line, rule, setting)]


@pytest.mark.parametrize("case", KEPT)
def test_what_is_right_or_unknown_is_not_reported(
    case: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, text = KEPT[case]
    (tree / name).write_text(text)
    (tree / "main.py").write_text("import vllm\n")
    assert places(capsys) == []


def test_a_range_says_why(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "run.sh").write_text(f"export VLLM_ATTENTION_BACKEND=X\nvllm serve m {GONE}\n")
    variable, option = scan(capsys, "--vllm", "0.14.1..0.17.1")
    assert "0.14.1 is the last release that read it" in variable["message"]
    assert "the server has the option --attention-backend" in variable["message"]
    assert variable["broken_in"][0]["first"] == "0.15.0"
    assert variable["runs"][0]["cause"] == "symbol_removed"
    assert "0.16.0 is the last release that had it" in option["message"]
    assert [each["first"] for each in option["broken_in"]] == ["0.17.0"]


def test_a_setting_that_comes_later_is_not_yet_added(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "run.sh").write_text("export VLLM_USE_V1=1\nvllm serve m --enable-log-requests\n")
    found = scan(capsys, "--vllm", "0.5.0")
    assert [each["runs"][0]["cause"] for each in found] == ["not_yet_added"] * 2
    assert "is the first release that" in found[0]["message"]


def test_what_a_release_says_takes_the_place(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "run.sh").write_text("export SGLANG_CUTLASS_MOE=1\n")
    (found,) = scan(capsys, *NEWEST)
    assert "--moe-runner-backend=cutlass" in found["message"]


def test_a_variable_under_its_older_prefix_is_read(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The package itself takes every SGL_X for SGLANG_X."""
    (tree / "run.sh").write_text("export SGL_TORCH_PROFILER_DIR=x\n")
    assert scan(capsys, *NEWEST) == []


def test_a_fork_has_settings_of_its_own(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "vllm/engine").mkdir(parents=True)
    (tree / "vllm/engine/arg_utils.py").write_text("x = 1\n")
    (tree / "run.sh").write_text(f"VLLM_USE_V1=0 vllm serve m {GONE}\n")
    assert scan(capsys, *NEWEST) == []


def test_a_cell_of_a_notebook(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["x"]},
        {"cell_type": "code", "source": ["import os\n", 'os.environ["VLLM_USE_V1"] = "0"']},
    ]
    (tree / "a.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    (found,) = scan(capsys, *NEWEST)
    assert (found["rule"], found["cell"]) == ("CPT007", {"number": 2, "line": 2})


def test_a_folder_without_python_is_scanned_if_a_script_names_a_package(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "README.md").write_text("Nothing.\n")
    assert console.run(main, ["."]) == errors.NOTHING_SELECTED
    assert "no script or configuration file that names the packages" in capsys.readouterr().err
    (tree / "Dockerfile").write_text("FROM vllm/vllm-openai:v0.11.0\n")
    assert console.run(main, ["."]) == errors.CLEAN
    assert "0 findings in 0 of 1 file" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["text", "sarif", "github", "junit", "html"])
def test_every_format_shows_both_rules(form: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "run.sh").write_text(f"export VLLM_USE_V1=0\nvllm serve m {GONE}\n")
    assert console.run(main, [".", *NEWEST, "--format", form]) == errors.FINDINGS
    text = capsys.readouterr().out.replace("<wbr>", "")
    assert "VLLM_USE_V1" in text
    assert GONE in text


def test_a_fix_leaves_settings_alone(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("libcst")
    text = f"export VLLM_USE_V1=0\nvllm serve m {GONE}\n"
    (tree / "run.sh").write_text(text)
    assert console.run(main, [".", *NEWEST, "--fix"]) == errors.FINDINGS
    assert (tree / "run.sh").read_text() == text
    assert "2 findings not fixed" in capsys.readouterr().err


def test_a_baseline_lists_settings(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "run.sh").write_text(f"export VLLM_USE_V1=0\nvllm serve m {GONE}\n")
    assert console.run(main, [".", *NEWEST, "--write-baseline", "known.json"]) == errors.CLEAN
    capsys.readouterr()
    assert scan(capsys, *NEWEST, "--baseline", "known.json") == []
