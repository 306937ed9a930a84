"""The GitHub Action and the pre-commit hooks call commands and options that exist."""

import re
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


def shim(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("vllm", "code"), [("0.23.0", 1), ("0.21.0", 0), ("$(touch executed)", 2), ("; touch executed", 2)]
)
@pytest.mark.parametrize("paths", ["code.py", "more code.py", "more\ncode.py\n"])
def test_the_action_passes_inputs_on_and_runs_no_foreign_code(
    tmp_path: Path, paths: str, vllm: str, code: int
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "fine.py").write_text("import os\n")
    (tmp_path / "code.py").write_text(
        "from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod\n"
    )
    tools = tmp_path / "compat" / "bin"
    tools.mkdir(parents=True)
    # These run the real interpreter with the real options, but neither make an environment nor install.
    shim(tmp_path / "python", 'exec "$PYTHON_HERE" "$@" --help')
    shim(
        tools / "python",
        'case "$*" in *" pip "*) exec "$PYTHON_HERE" "$1" -c "import logging, venv";; esac\n'
        'exec "$PYTHON_HERE" "$@"',
    )
    for name in ("venv.py", "logging.py", "pip.py", "argparse.py", "compat.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script()],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHON": str(tmp_path / "python"),
            "PYTHON_HERE": sys.executable,
            "PYTHONPATH": ".",
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
    assert ("\n::error file=code.py,line=1," in done.stdout) == (code == 1)
    assert not (tmp_path / "executed").exists()


def test_the_inputs_stay_out_of_the_script() -> None:
    assert "${{" not in script()
    assert re.findall(r"uses: ([\w/-]+)@[0-9a-f]{40} # v", ACTION) == ["actions/setup-python"]


def test_the_hooks_call_commands_that_exist() -> None:
    """They are isolated, since a hook starts in the scanned repository."""
    entries = re.findall(r"^  entry: python -I -m compat\.scan ?(.*)$", HOOKS, flags=re.MULTILINE)
    assert entries == ["", "--fix"]
    for entry in entries:
        options = parse([*entry.split(), "code.py"])
        assert options.paths == ("code.py",)
        assert options.fix == bool(entry)
