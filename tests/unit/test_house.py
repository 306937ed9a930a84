"""Files that repeat each other agree: what CI runs, what `.ci/run` runs, and what the documents say."""

import os
import re
import sys
from pathlib import Path

import pytest

from compat import errors

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
TEMPLATES = sorted((ROOT / "compat/init/templates").glob("*.yml"))
WORKFLOWS = sorted(WORKFLOW.parent.glob("*.yml"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("session", ["matrix", "tests"])
def test_the_readme_has_both_commands_whole(session: str) -> None:
    command = f'python3 -m venv .venv && .venv/bin/pip install "nox[uv]" && .venv/bin/nox -s {session}'
    assert f"```sh\n{command}\n```" in read("README.md")


def test_ci_runs_the_command_of_the_readme() -> None:
    script = read(".ci/run")
    assert '.venv/bin/pip install "nox[uv]" && .venv/bin/nox -s tests\n' in script
    assert '.venv/bin/nox -s "matrix(seed)"\n' in script
    assert "set -euo pipefail" in script
    assert os.access(ROOT / ".ci/run", os.X_OK)


def job_names(path: Path) -> list[str]:
    _, _, jobs = path.read_text(encoding="utf-8").partition("\njobs:\n")
    return re.findall(r"^  ([\w-]+):$", jobs, flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["ci", "matrix"])
def test_the_gate_needs_every_other_job(name: str) -> None:
    path = ROOT / f".github/workflows/{name}.yml"
    names = job_names(path)
    gate = re.search(
        rf"^  {name}-gate:\n    if: always\(\)\n    needs: \[(.+)\]$", path.read_text(), flags=re.MULTILINE
    )
    assert gate
    assert sorted([*gate[1].split(", "), f"{name}-gate"]) == sorted(names)
    assert len(names) > 2


def test_no_two_workflows_have_a_job_of_one_name() -> None:
    """A branch rule names a check by its job alone."""
    names = [name for path in WORKFLOWS for name in job_names(path)]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("path", [*WORKFLOWS, *TEMPLATES, ROOT / "action.yml"], ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+(/[\w-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_links_of_the_readme_are_absolute_on_the_package_index() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    shown = read("README.md")
    for rule in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(rule["pattern"], rule["replacement"], shown)
    images = re.findall(r'src(?:set)?="([^"]+)"', shown)
    assert len(images) > 1
    assert all(image.startswith("https://") for image in images)
    links = re.findall(r"\]\(([^)\s]+)\)", shown)
    assert len(links) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    repository = project["project"]["urls"]["Repository"]
    assert sum(link.startswith(f"{repository}/blob/v$HFPR_VERSION/docs/") for link in links) > 10
    assert all(url.startswith(repository) for url in project["project"]["urls"].values())


def test_the_release_checks_what_it_publishes() -> None:
    text = read(".github/workflows/release.yml")
    assert "nox -s package" in text
    publish = text.partition("\n  publish:\n")[2]
    assert "needs: build" in publish
    assert "id-token: write" in publish
    assert "password" not in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_is_granted_by_default_and_no_job_runs_for_ever(path: Path) -> None:
    head, _, jobs = path.read_text(encoding="utf-8").partition("\njobs:\n")
    assert "\npermissions: {}\n" in head
    assert len(re.findall(r"^    runs-on: ", jobs, flags=re.MULTILINE)) == len(
        re.findall(r"^    timeout-minutes: \d+$", jobs, flags=re.MULTILINE)
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_failure_before_a_pipe_fails_the_step(path: Path) -> None:
    """GitHub's default shell has no `pipefail`; `bash` by name has."""
    steps = re.split(r"^      - ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    piped = [step for step in steps if re.search(r"\S \| tee ", step)]
    assert [step for step in piped if "\n        shell: bash" not in step] == []


def test_ci_covers_every_python_that_the_package_declares() -> None:
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', read("pyproject.toml"))
    found = re.search(r"python: \[(.+)\]", WORKFLOW.read_text(encoding="utf-8"))
    assert found
    assert re.findall(r'"(3\.\d+)"', found[1]) == declared == ["3.10", "3.11", "3.12", "3.13", "3.14"]


def test_the_readme_tells_the_exit_codes() -> None:
    told = re.findall(r"^\| (\d+) \| (.+) \|$", read("README.md"), flags=re.MULTILINE)
    assert "exit codes: " + ", ".join(" ".join(row) for row in told) == errors.EXIT_CODES
