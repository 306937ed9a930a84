"""The GitHub Action and the pre-commit hooks call commands and options that exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compat.scan.options import parse

ROOT = Path(__file__).parents[2]
ACTION = (ROOT / "action.yml").read_text(encoding="utf-8")
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")


def script() -> str:
    """Return the shell script of the action's last step."""
    return re.sub(r"^ {8}", "", ACTION.partition("      run: |\n")[2], flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("vllm", "code"), [("0.23.0", 1), ("0.21.0", 0), ("$(touch executed)", 2), ("; touch executed", 2)]
)
@pytest.mark.parametrize("paths", ["code.py", "more code.py", "more\ncode.py\n"])
def test_the_action_passes_inputs_on_and_runs_none(tmp_path: Path, paths: str, vllm: str, code: int) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "fine.py").write_text("import os\n")
    (tmp_path / "code.py").write_text(
        "from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod\n"
    )
    tools = tmp_path / "compat" / "bin"
    tools.mkdir(parents=True)
    (tools / "pip").symlink_to(shutil.which("true") or "/bin/true")
    (tools / "compat").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m compat "$@"\n')
    (tools / "compat").chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script()],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHON": shutil.which("true") or "/bin/true",
            "RUNNER_TEMP": str(tmp_path),
            "ACTION": str(ROOT),
            "PATHS": paths,
            "SGLANG": "",
            "VLLM": vllm,
            "FORMAT": "github",
            "OUTPUT": "",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith("::error file=code.py,line=1,") == (code == 1)
    assert not (tmp_path / "executed").exists()


def test_the_inputs_stay_out_of_the_script() -> None:
    assert "${{" not in script()
    assert re.findall(r"uses: ([\w/-]+)@[0-9a-f]{40} # v", ACTION) == ["actions/setup-python"]


def test_the_hooks_call_commands_that_exist() -> None:
    entries = re.findall(r"^  entry: compat scan ?(.*)$", HOOKS, flags=re.MULTILINE)
    assert entries == ["", "--fix"]
    for entry in entries:
        options = parse([*entry.split(), "code.py"])
        assert options.paths == ("code.py",)
        assert options.fix == bool(entry)
