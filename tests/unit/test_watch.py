"""The workflow and the action that judge a repository against upstream's newest commit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from checkouts import commit, git
from compat import __main__, errors
from compat._cli import console

ROOT = Path(__file__).parents[2]
TEMPLATE = "compat-watch.yml"

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or os.name == "nt", reason="needs git and a shell, as the runner has"
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repository"
    commit(
        root, {"use.py": "from vllm.logger import init_logger\n", "pyproject.toml": "[project]\nname = 'x'\n"}
    )
    monkeypatch.chdir(root)
    monkeypatch.setenv("COMPAT_CACHE_DIR", str(tmp_path / "cache"))
    return root


def workflow(repository: Path) -> dict[str, Any]:
    """Return the workflow that `compat init --watch` writes."""
    assert console.run(__main__.main, ["init", "--watch", "--write"]) == errors.CLEAN
    found: dict[str, Any] = yaml.safe_load((repository / ".github/workflows" / TEMPLATE).read_text())
    return found


def test_only_the_job_without_the_repository_may_write(repository: Path) -> None:
    found = workflow(repository)
    assert found["permissions"] == {}
    judge, tell = found["jobs"]["judge"], found["jobs"]["tell"]
    assert (judge["permissions"], tell["permissions"]) == ({"contents": "read"}, {"issues": "write"})
    assert not any("checkout" in step.get("uses", "") for step in tell["steps"])
    assert "GH_TOKEN" not in str(judge)
    assert judge["strategy"]["matrix"]["include"] == [
        {"package": "vllm", "upstream": "https://github.com/vllm-project/vllm"}
    ]


def test_without_the_option_there_is_no_watch(repository: Path) -> None:
    assert console.run(__main__.main, ["init", "--write"]) == errors.CLEAN
    assert not (repository / ".github/workflows" / TEMPLATE).exists()


@pytest.mark.parametrize("name", ["init_logger", "other_logger"])
def test_the_step_reports_what_the_newest_commit_breaks(repository: Path, tmp_path: Path, name: str) -> None:
    upstream = tmp_path / "work"
    commit(upstream, {"vllm/__init__.py": "", "vllm/logger.py": f"def {name}(name):\n    return name\n"})
    git(tmp_path, "clone", "-q", "--bare", str(upstream), str(tmp_path / "upstream"))
    (tool := tmp_path / "bin/compat").parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m compat "$@"\n')
    tool.chmod(0o755)
    steps = workflow(repository)["jobs"]["judge"]["steps"]
    (script,) = [step["run"] for step in steps if "compat diff" in step.get("run", "")]
    subprocess.run(
        ["bash", "-e", "-c", script],
        env={
            **os.environ,
            "PATH": f"{tool.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PACKAGE": "vllm",
            "RUNNER_TEMP": str(tmp_path),
        },
        check=True,
        timeout=300,
    )
    report = (tmp_path / "report/vllm.md").read_text()
    breaks = name == "other_logger"
    assert (tmp_path / "report/vllm.breaks").exists() == breaks
    assert ("`vllm.logger:init_logger`" in report) == breaks
    assert ("`use.py:1`" in report or "`./use.py:1`" in report) == breaks


def test_the_action_passes_inputs_in_variables() -> None:
    action = yaml.safe_load((ROOT / "watch/action.yml").read_text())
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert scripts
    assert not any("${{" in script for script in scripts)
