"""Pins: which releases a scan without options checks, and in which file it found them."""

from pathlib import Path

import pytest

from compat import errors
from compat.scan.cli import main
from compat.scan.releases import project_pins
from compat.scan.releases.dockerfile_pins import image_pins
from compat.scan.releases.poetry_specifiers import poetry_specifiers


@pytest.mark.parametrize(
    ("constraint", "specifiers"),
    [
        ("^0.9.1", [">=0.9.1,<0.10"]),
        ("^1.2.3", [">=1.2.3,<2"]),
        ("^0.0.3", [">=0.0.3,<0.0.4"]),
        ("^0.9", [">=0.9,<0.10"]),
        ("^0.0", [">=0.0,<0.1"]),
        ("^0", [">=0,<1"]),
        ("~1.2.3", [">=1.2.3,<1.3"]),
        ("~0.9", [">=0.9,<0.10"]),
        ("~1", [">=1,<2"]),
        ("^0.8.5.post1", [">=0.8.5.post1,<0.9"]),
        ("^ 0.9.1, !=0.9.2", [">=0.9.1,<0.10,!=0.9.2"]),
        ("^0.8 || ^0.10", [">=0.8,<0.9", ">=0.10,<0.11"]),
        (">= 0.9 <0.11", [">=0.9,<0.11"]),
        ("~=0.9.1", ["~=0.9.1"]),
        ("0.9.*", ["==0.9.*"]),
        ("0.9.1", ["==0.9.1"]),
        ("*", []),
        ("^x", []),
    ],
)
def test_constraints_of_poetry_are_specifiers(constraint: str, specifiers: list[str]) -> None:
    assert list(poetry_specifiers(constraint)) == specifiers


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("FROM vllm/vllm-openai:v0.11.0\n", ["vllm==0.11.0"]),
        ("from --platform=linux/amd64 docker.io/vllm/vllm-openai:v0.11.0 AS base\n", ["vllm==0.11.0"]),
        ("FROM vllm/vllm-openai:v0.11.0@sha256:abc\n", ["vllm==0.11.0"]),
        ("FROM lmsysorg/sglang:v0.4.7.post1-cu124\n", ["sglang==0.4.7.post1"]),
        ("FROM mirror.local:5000/vllm/vllm-openai:v0.9.1\n", ["vllm==0.9.1"]),
        ("ARG V=0.9.1\nFROM vllm/vllm-openai:v${V}\n", ["vllm==0.9.1"]),
        ("ARG TAG=v0.9.1\nARG I=vllm/vllm-openai:$TAG\nFROM ${I}\n", ["vllm==0.9.1"]),
        ("FROM vllm/vllm-openai:${V:-v0.9.2}\n", ["vllm==0.9.2"]),
        ("FROM vllm/vllm-openai:latest\n", []),
        ("FROM mine/sglang-app:v1.0.0\n", []),
        ("FROM python:3.11\n", []),
        ("FROM\n", []),
        ("# FROM vllm/vllm-openai:v0.11.0\n", []),
    ],
)
def test_a_base_image_pins_its_release(text: str, pins: list[str]) -> None:
    assert list(image_pins(text)) == pins


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\nvllm='^0.9.1'\n",
            "vllm>=0.9.1,<0.10 in pyproject.toml",
        ),
        (
            "pyproject.toml",
            "[tool.poetry.group.gpu.dependencies]\nvllm={version='~0.9.1', optional=true}\n",
            "vllm>=0.9.1,<0.10 in pyproject.toml",
        ),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\nvllm=[{version='^0.9.1', python='>3.9'}]\n",
            "vllm>=0.9.1,<0.10 in pyproject.toml",
        ),
        ("Dockerfile", "FROM vllm/vllm-openai:v0.10.2\n", "vllm==0.10.2 in Dockerfile"),
        ("Dockerfile.gpu", "FROM vllm/vllm-openai:v0.10.2\n", "vllm==0.10.2 in Dockerfile.gpu"),
        (
            "docker/serve.Dockerfile",
            "FROM vllm/vllm-openai:v0.10.2\n",
            "vllm==0.10.2 in docker/serve.Dockerfile",
        ),
        ("Dockerfile", "FROM x\nRUN pip install \\\n  vllm==0.10.2\n", "vllm==0.10.2 in Dockerfile"),
        ("Containerfile", "ARG V=0.10.2\nRUN pip install vllm==$V\n", "vllm==0.10.2 in Containerfile"),
    ],
)
def test_pins_select_the_releases_and_are_told_with_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, told: str
) -> None:
    """A module that exists up to 0.10.2 is no finding."""
    (tmp_path / "a.py").write_text("import vllm.worker.worker\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert main([str(tmp_path)]) == errors.CLEAN
    assert told in capsys.readouterr().err


def test_a_file_that_cannot_be_read_for_pins_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("import vllm.envs.x\n")
    (tmp_path / "requirements.txt").symlink_to("/dev/zero")
    nested = "[" * 5_000 + "'vllm'" + "]" * 5_000
    (tmp_path / "pyproject.toml").write_text(f"x = {nested}\n")
    main([str(tmp_path)])
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("compat: vllm ")]
    assert "; pyproject.toml: nested too deeply to be read; requirements.txt: not a regular file" in line


def test_a_nested_configuration_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import vllm.envs\n")
    (tmp_path / "pyproject.toml").write_text("[tool.compat]\nx = " + "[" * 5_000 + "]" * 5_000 + "\n")
    with pytest.raises(errors.UsageError, match=r"pyproject\.toml: nested too deeply"):
        main([str(tmp_path)])


def test_spaces_and_urls_of_a_requirement_are_cut_before_patterns_are_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pattern for a requirement sees each run of spaces as one space."""
    seen = []
    pattern = project_pins._REQUIREMENT

    class Seen:
        def finditer(self, text: str) -> object:
            seen.append(text)
            return pattern.finditer(text)

    monkeypatch.setattr(project_pins, "_REQUIREMENT", Seen())
    requirement = "vllm" + " " * 16_000 + "==" + "\\t" * 16_000 + "0.9.1"
    (tmp_path / "pyproject.toml").write_text(f'[project]\ndependencies = ["{requirement}"]\n')
    assert project_pins.pinned_specifiers(str(tmp_path)) == {"vllm": {"==0.9.1": "pyproject.toml"}}
    assert seen == ["vllm == 0.9.1"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"requirements.txt": "-r deps/gpu.txt\n", "deps/gpu.txt": "vllm==0.10.2\n"},
            "vllm==0.10.2 in deps/gpu.txt",
        ),
        (
            {"requirements.txt": "vllm\n-c pins/constraints.txt\n", "pins/constraints.txt": "vllm==0.10.2\n"},
            "vllm==0.10.2 in pins/constraints.txt",
        ),
        ({"constraints.txt": "vllm==0.10.2\n"}, "vllm==0.10.2 in constraints.txt"),
        (
            {"pyproject.toml": "[tool.uv]\nconstraint-dependencies = ['vllm==0.10.2']\n"},
            "vllm==0.10.2 in pyproject.toml",
        ),
        (
            {"pyproject.toml": "[tool.pdm.dev-dependencies]\ngpu = ['vllm==0.10.2']\n"},
            "vllm==0.10.2 in pyproject.toml",
        ),
        ({"environment.yml": "dependencies:\n  - vllm=0.10.2\n"}, "vllm==0.10.2 in environment.yml"),
        (
            {"environment.yml": "dependencies:\n  - pip:\n    - vllm==0.10.2\n"},
            "vllm==0.10.2 in environment.yml",
        ),
        (
            {"uv.lock": '[[package]]\nname = "vllm"\nversion = "0.10.2"\n', "pyproject.toml": ""},
            "vllm==0.10.2 in uv.lock",
        ),
        (
            {".github/workflows/ci.yml": "steps:\n- run: |\n    pip install \\\n      vllm==0.10.2 pytest\n"},
            "vllm==0.10.2 in .github/workflows/ci.yml:3",
        ),
        (
            {"setup.sh": "VLLM_VERSION=0.10.2\nuv pip install vllm==${VLLM_VERSION}\n"},
            "vllm==0.10.2 in setup.sh:2",
        ),
        (
            {"docker-compose.yml": "x:\n  image: vllm/vllm-openai:v0.10.2\n"},
            "vllm==0.10.2 in docker-compose.yml:2",
        ),
        ({"serve/Dockerfile": "FROM vllm/vllm-openai:v0.10.2\n"}, "vllm==0.10.2 in serve/Dockerfile"),
    ],
)
def test_pins_are_found_where_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], told: str
) -> None:
    (tmp_path / "a.py").write_text("import vllm.worker.worker\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    assert main([str(tmp_path)]) == errors.CLEAN
    assert told in capsys.readouterr().err


def test_a_pin_of_the_project_counts_before_what_scripts_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("import vllm.worker.worker\n")
    (tmp_path / "requirements.txt").write_text("vllm==0.10.2\n")
    (tmp_path / "ci.sh").write_text("pip install vllm==0.33.0\n")
    assert main([str(tmp_path)]) == errors.CLEAN
    assert "vllm==0.10.2 in requirements.txt; but vllm==0.33.0 in ci.sh:1" in capsys.readouterr().err


def test_contradicting_pins_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("import vllm\n")
    (tmp_path / "requirements.txt").write_text("vllm>=0.10,<0.11\n")
    (tmp_path / "requirements-old.txt").write_text("vllm==0.9.1\n")
    main([str(tmp_path)])
    assert "these pins contradict each other" in capsys.readouterr().err


def test_scripts_that_install_different_releases_select_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("import vllm\n")
    (tmp_path / "a.sh").write_text("pip install vllm==0.9.1\n")
    (tmp_path / "b.sh").write_text("pip install vllm==0.10.2\n")
    main([str(tmp_path)])
    text = capsys.readouterr().err
    assert (
        "the newest 10; scripts install different releases: vllm==0.9.1 in a.sh:1, vllm==0.10.2 in b.sh:1"
        in text
    )


def test_what_is_deep_in_the_tree_or_in_prose_is_an_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("import vllm\n")
    (tmp_path / "README.md").write_text("```sh\npip install vllm==0.9.1\n```\n")
    (tmp_path / "examples/a/b").mkdir(parents=True)
    (tmp_path / "examples/a/b/x.sh").write_text("pip install vllm==0.9.1\n")
    main([str(tmp_path)])
    assert "0.9.1" not in capsys.readouterr().err
