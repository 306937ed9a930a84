"""The CI files of the matrix agree with the matrix, with the gate, and with each other."""

import re
from pathlib import Path

import pytest

from compat.matrix.config import read_matrix

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/matrix.yml"
GITLAB = ROOT / "docs/ci/gitlab.yml"


@pytest.fixture(scope="module")
def workflow() -> str:
    return WORKFLOW.read_text(encoding="utf-8")


def test_nothing_is_granted_but_reading(workflow: str) -> None:
    blocks = re.findall(r"^    permissions:\n((?:      .+\n)+)", workflow, flags=re.MULTILINE)
    assert blocks == ["      contents: read\n"] * 4


def test_what_users_type_reaches_no_shell_as_code(workflow: str) -> None:
    """Scripts contain no `${{ … }}` expressions, which are in `env` and `with`; scripts read variables."""
    scripts = re.findall(r"run: (?:\|\n((?:          .*\n)+)|(.+)\n)", workflow)
    assert len(scripts) > 5
    assert not [script for block in scripts for script in block if "${{" in script]


def test_gitlab_runs_every_pair_at_both_levels() -> None:
    listed = re.findall(r"- PAIR: \[(.+)\]", GITLAB.read_text(encoding="utf-8"))
    ids = list(read_matrix(ROOT / "matrix.toml").ids)
    assert [line.split(", ") for line in listed] == [ids, ids]


def test_pull_requests_that_change_what_decides_an_outcome_run_the_matrix(workflow: str) -> None:
    filters = re.findall(r'^      - "(.+)"$', workflow.partition("    paths:\n")[2], flags=re.MULTILINE)
    deciding = {"compat/**", "tests/**", "locks/**", "matrix.toml", "noxfile.py", "pyproject.toml"}
    assert set(filters) == {*deciding, ".github/workflows/matrix.yml"}
