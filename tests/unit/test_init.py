"""`compat init` shows what it would add to a repository, and on request adds it and changes nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from compat import __main__, errors
from compat._cli import console
from compat.init import proposals
from compat.init.repository import find_repository
from compat.matrix.config import read_matrix
from compat.scan.options import configured

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = """\
# A comment.
[project]
name    = "mine"   # odd spacing
version = "1"
dependencies = ["vllm>=0.18,<0.27"]
"""
HOOKS = """\
repos:
- repo: https://example.org/other
  rev: v1
  hooks:
  - id: other

# How it runs.
ci:
  skip: [other]
"""
WORKFLOWS = (".github/workflows/compat-scan.yml", ".github/workflows/compat-matrix.yml")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with pins, code and a pre-commit configuration; the current folder."""
    root = tmp_path / "mine"
    (root / "src").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(root)], check=True, timeout=60)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / ".pre-commit-config.yaml").write_text(HOOKS)
    (root / "src/a.py").write_text("import vllm, sglang\n")
    monkeypatch.chdir(root)
    return root


def run(*argv: str) -> int:
    return console.run(__main__.main, ["init", *argv])


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def test_without_write_nothing_is_written(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(repository)
    assert run("--pair", "0.5.14", "0.23.0") == errors.CLEAN
    assert files(repository) == before
    out = capsys.readouterr().out
    assert "vllm        >=0.18,<0.27 in pyproject.toml\n" in out
    assert "sglang      used, but not pinned\n" in out
    for name in ("matrix.toml", *WORKFLOWS):
        assert f"would create {name}\n" in out
        assert f"+++ b/{name}\n" in out
    assert "nothing was written; --write writes it" in out


def test_what_is_there_stays_byte_for_byte(repository: Path) -> None:
    assert run("--write", "--pair", "-", "0.23.0") == errors.CLEAN
    after = files(repository)
    assert after["pyproject.toml"].startswith(PYPROJECT)
    lines = iter(after[".pre-commit-config.yaml"].splitlines())
    assert all(line in lines for line in HOOKS.splitlines()), "in this order"
    assert tomllib.loads(after["pyproject.toml"])["project"] == tomllib.loads(PYPROJECT)["project"]


def test_the_hook_that_was_added_is_to_be_installed(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--write") == errors.CLEAN
    assert "next: pre-commit install\n" in capsys.readouterr().out
    assert run("--write") == errors.CLEAN
    assert "pre-commit install" not in capsys.readouterr().out, repository


def test_a_second_run_changes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--write", "--pair", "-", "0.23.0") == errors.CLEAN
    before = files(repository)
    capsys.readouterr()
    assert run("--write", "--pair", "-", "0.22.0") == errors.CLEAN
    assert files(repository) == before
    assert capsys.readouterr().out.count("kept ") == len(before) - 1


def test_the_scan_reads_the_table_that_was_added(repository: Path) -> None:
    assert run("--write") == errors.CLEAN
    assert configured(str(repository)) == {"sglang": ["latest"]}
    assert console.run(__main__.main, ["scan", "."]) == errors.CLEAN


def test_the_matrix_reads_the_pairs_that_were_added(repository: Path) -> None:
    assert (
        run("--write", "--pair", "0.5.14", "0.23.0", "--pair", "-", "latest", "--tests", "pytest -m x") == 0
    )
    both, alone = read_matrix(repository / "matrix.toml").pairs
    assert (both.describe(), both.tests) == ("sglang 0.5.14 + vllm 0.23.0", "pytest -m x")
    assert both.overrides
    assert alone.sglang is None
    assert not alone.overrides
    assert console.run(__main__.main, ["matrix", "list", "--format", "github", "--level", "tests"]) == 0


@pytest.mark.usefixtures("repository")
def test_pairs_without_a_lock_do_not_stop_a_query(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--write", "--pair", "-", "0.23.0") == errors.CLEAN
    capsys.readouterr()
    assert console.run(__main__.main, ["resolve", "Fp8Config"]) == errors.CLEAN
    assert "using the latest releases" in capsys.readouterr().err
    argv = ["resolve", "Fp8Config", "--matrix", "matrix.toml"]
    assert console.run(__main__.main, argv) == errors.USAGE, "the file was asked for"


@pytest.mark.parametrize(
    "text",
    [
        "repos: []\n",
        "ci:\n  skip: [a]\n",
        "repos:\nci: {}\n",
        "repos:\n  nested: true\n",
    ],
)
def test_an_unusual_hook_file_is_left_alone(text: str, repository: Path) -> None:
    (repository / ".pre-commit-config.yaml").write_text(text)
    assert run("--write") == errors.CLEAN
    assert (repository / ".pre-commit-config.yaml").read_text() == text


@pytest.mark.parametrize("indent", ["", "  ", "    "])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n# the end\n", "\nfail_fast: true\n"])
def test_a_hook_is_added_to_the_list(indent: str, end: str, repository: Path) -> None:
    text = f"repos:\n{indent}- repo: other\n{indent}  rev: 1\n{indent}  hooks: [{{id: other}}]{end}"
    (repository / ".pre-commit-config.yaml").write_text(text)
    assert run("--write") == errors.CLEAN
    before = yaml.safe_load(text)
    after = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())
    assert after["repos"][0] == before["repos"][0]
    assert [hook["id"] for entry in after["repos"][1:] for hook in entry["hooks"]] == ["compat-scan"]
    assert {key: value for key, value in after.items() if key != "repos"} == {
        key: value for key, value in before.items() if key != "repos"
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tool.compat]\n", "it has [tool.compat]"),
        ("[tool\n", "it is not valid TOML"),
        ("tool = { black = { line-length = 9 } }\n", "cannot be added"),
        (None, "it does not exist"),
    ],
)
def test_a_project_file_that_cannot_take_the_table_is_kept(
    text: str | None, reason: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "pyproject.toml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert run("--write") == errors.CLEAN
    assert reason in capsys.readouterr().out
    assert path.exists() == (text is not None)
    assert text is None or path.read_text() == text


def test_the_workflows_call_commands_that_exist(repository: Path) -> None:
    assert (
        run("--write", "--pair", "0.5.14", "0.23.0", "--from", "git+https://example.org/x@v1") == errors.CLEAN
    )
    whole = __main__.parser(complete=True)
    for name in WORKFLOWS:
        text = (repository / name).read_text()
        assert "@REQUIREMENT" not in text
        assert "permissions: {}" in text
        commands = re.findall(r"\bcompat ((?:scan|matrix) [^\n|)]*)", text)
        assert commands
        for command in commands:
            assert vars(
                whole.parse_args(command.replace('"$PAIR"', "x").replace('"', "").split("#")[0].split())
            )
    scan = (repository / WORKFLOWS[0]).read_text()
    assert "branches: [trunk]" in scan
    assert '"sglang-vllm-compat @ git+https://example.org/x@v1"' in scan
    matrix = (repository / WORKFLOWS[1]).read_text()
    assert '"sglang-vllm-compat[matrix] @ git+https://example.org/x@v1"' in matrix
    gate = matrix.partition("\n  compat-matrix-gate:\n")[2]
    assert "if: always()" in gate
    assert "needs: [plan, cell]" in gate


@pytest.mark.usefixtures("repository")
def test_the_document_lists_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--format", "json") == errors.CLEAN
    document = json.loads(capsys.readouterr().out)
    assert document["pins"] == {"vllm": {">=0.18,<0.27": "pyproject.toml"}}
    assert [each["change"] for each in document["files"]] == ["add", "add", "create"]
    assert document["written"] is False


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--pair", "-", "-"], 2, "a pair needs a release"),
        (["--pair", "9.9", "-"], 2, "9.9"),
        (["--tests", "pytest"], 2, "only valid with --pair"),
        (["--pair", "-", "latest", "--tests", "make"], 2, "must be a command of pytest"),
        (["gone"], 2, "no such folder"),
        (["--watch", "--from", "git+https://x\n - run: evil"], 2, "--from: an address without spaces"),
        (["--watch", "--from", "$(evil)"], 2, "--from: an address without spaces"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    argv: list[str], code: int, message: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    assert run(*argv, "--write") == code
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert files(repository) == before


def test_nothing_is_written_through_a_link_out_of_the_repository(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repository / ".github").symlink_to(outside)
    before = files(repository)
    assert run("--write") == 2
    assert files(repository) == before
    assert "leads out of the repository" in capsys.readouterr().err
    assert list(outside.iterdir()) == []


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="neither a Python project nor a git repository"):
        find_repository(tmp_path)


def test_the_templates_are_package_data() -> None:
    assert {path.name for path in proposals.TEMPLATES.iterdir()} >= {
        "compat-scan.yml", "compat-matrix.yml", "compat-watch.yml", "pre-commit-hook.yaml",
    }  # fmt: skip
