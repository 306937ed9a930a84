"""What a base installation can do: the commands that need no extra run without any library of one."""

import subprocess
import sys
from pathlib import Path

import pytest

from test_layers import OWNERS

ROOT = Path(__file__).parents[2]
EXTRAS = tuple(sorted(set(OWNERS) - {"sglang", "vllm", "sgl_kernel", "pytest", "elftools"}))
"""The libraries that only extras bring, and torch."""

RUN = """
import runpy, sys
sys.modules.update(dict.fromkeys({extras!r}))  # None makes the import fail
sys.argv = list({arguments!r})
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""

COMMANDS = {
    "resolve": ["compat.resolve", "Fp8LinearMethod", "--all"],
    "explain": ["compat.explain", "{tree}/fails.log"],
    "scan": ["compat.scan", "{tree}", "--vllm", ">=0.10"],
    "scan against a checkout": ["compat.scan", "{tree}/user.py", "--vllm", "{tree}/vllm"],
    "resolve in a checkout": ["compat.resolve", "LLM", "--vllm", "{tree}/vllm"],
    "check": ["compat", "check", "vllm==0.33.0", "openai==2.25.0"],
    "upgrade": ["compat", "upgrade", "{tree}", "--from", "vllm==0.10.0"],
    "diff": ["compat", "diff", "0.15.0", "vllm==0.15.1"],
    "pairs": ["compat.pairs", "--for", "sglang==0.5.17"],
    "export": ["compat", "export", "ruff", "--vllm", "0.22.0"],
    "index info": ["compat", "index", "info"],
    "matrix list": ["compat", "matrix", "list"],
    "help of the servers": ["compat", "mcp", "--help"],
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, a module, and a checkout of a small vllm."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "fails.log").write_text(
        "ImportError: cannot import name 'LLM2' from 'vllm' (vllm/__init__.py)\n"
    )
    (folder / "user.py").write_text("from vllm import LLM\n")
    package = folder / "vllm" / "vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('from vllm.llm import LLM\n\n__version__ = "0.33.0"\n')
    (package / "llm.py").write_text("class LLM: ...\n")
    (package.parent / "pyproject.toml").write_text('[project]\nname = "vllm"\nversion = "0.33.0"\n')
    return folder


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", RUN.format(extras=EXTRAS, arguments=arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_needs_no_extra(command: list[str], tree: Path) -> None:
    done = run(*(part.format(tree=tree) for part in command))
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout


def test_doctor_gets_as_far_as_the_environment() -> None:
    done = run("compat", "doctor")
    assert done.returncode == 3, done.stderr
    assert "neither sglang nor vllm is installed" in done.stderr


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("fix", ["compat", "scan", "{tree}/user.py", "--diff"]),
        ("fix", ["compat", "upgrade", "{tree}", "--fix"]),
        ("matrix", ["compat", "pairs", "0.5.21", "0.29.0"]),
        ("matrix", ["compat", "pairs", "lock", "seed"]),
        ("matrix", ["compat", "bundle", "seed", "--output", "{tree}/bundle"]),
        ("index", ["compat", "index", "check"]),
        ("mcp", ["compat", "mcp"]),
        ("lsp", ["compat", "lsp"]),
        ("completion", ["compat", "completion", "bash"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[1:3]),
)
def test_a_command_that_needs_an_extra_names_it(extra: str, command: list[str], tree: Path) -> None:
    done = run(*(part.format(tree=tree) for part in command))
    assert done.returncode == 4, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("compat: error: ")
    assert f"compat[{extra}]'" in line or f"the extra {extra} is enough" in line
