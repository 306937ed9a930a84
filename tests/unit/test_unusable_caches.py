"""A cache folder that is a file, below a file or full: one line that names it and what to do, exit code 4.

The caches are those of this project (`COMPAT_CACHE_DIR`) and of uv (`UV_CACHE_DIR`).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compat import __main__
from compat._cli import console
from compat._util.cache_database import cache_errors
from compat.errors import ENVIRONMENT, USAGE, DiskError
from compat.index.query.installed_releases import installed_index
from compat.model.releases import VLLM
from compat.uv.messages import failure_reason, is_disk_failure
from compat.wheels.index_url import VARIABLES, index_url
from compat.wheels.source_cache import default_folder
from compat.wheels.wheel_files import WheelFileCache
from installed import distribution
from wheelhouse import build_wheel, serving, uv_sees_only

ROOT = Path(__file__).parents[2]
MATRIX = '[[pair]]\nid = "one"\npython = "3.11"\nvllm = "0.29.0"\n'
ADVICE = "set COMPAT_CACHE_DIR to a folder that can be written"


@pytest.fixture(params=["", "/below"])
def occupied(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The path of a cache folder that cannot be made: a file is there, or is its parent."""
    (tmp_path / "file").touch()
    return Path(f"{tmp_path}/file{request.param}")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of vllm with code that uses it; the current folder."""
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm/__init__.py").write_text('__version__ = "0.33.1"\n')
    (tmp_path / "code.py").write_text("from vllm import LLM\n")
    (tmp_path / "matrix.toml").write_text(MATRIX)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run a command that cannot use a cache, and return its error line."""
    assert console.run(__main__.main, [*argv, "--quiet"]) == ENVIRONMENT
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "argv",
    [
        ("resolve", "LLM", "--vllm", "."),
        ("scan", "code.py", "--vllm", "."),
        ("check", "--vllm", "."),
        ("diff", "vllm==0.33.0", "."),
    ],
    ids=lambda argv: argv[0],
)
def test_a_source_that_cannot_be_kept(
    argv: tuple[str, ...],
    occupied: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMPAT_CACHE_DIR", str(occupied))
    line = error_of(capsys, *argv)
    assert line.startswith("compat: error: cannot use the cache ")
    assert str(occupied).startswith(line.removeprefix("compat: error: cannot use the cache ").split(": ")[0])
    assert line.endswith(f"; {ADVICE}")


def test_a_full_disk_under_a_source(project: Path) -> None:
    """A limit on the file size stands in for a full disk."""
    done = subprocess.run(
        ["prlimit", "--fsize=20000", sys.executable, "-m", "compat", "resolve", "LLM", "--vllm", "."],
        env={**os.environ, "COMPAT_CACHE_DIR": str(project / "cache"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (ENVIRONMENT, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith("; free disk space and run it again")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder: no variable, and no entry in the list of users."""
    for name in ("HOME", "XDG_CACHE_HOME", "COMPAT_CACHE_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 3_000_000_000)


@pytest.mark.usefixtures("project", "homeless")
def test_a_user_without_a_home_has_no_cache(capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of(capsys, "resolve", "LLM", "--vllm", ".")
    assert line == f"compat: error: this user has no home folder for the cache; {ADVICE}"
    with pytest.raises(DiskError, match=ADVICE):
        default_folder()


def test_a_user_without_a_home_has_no_settings_there(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*VARIABLES, "UV_CONFIG_FILE", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    of_the_machine = index_url()
    request.getfixturevalue("homeless")
    assert index_url() == of_the_machine


@pytest.mark.usefixtures("project")
def test_the_home_of_an_unknown_user_is_a_path_that_does_not_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert console.run(__main__.main, ["resolve", "LLM", "--vllm", "~nobody-here/vllm"]) == USAGE
    assert "~nobody-here/vllm does not exist" in capsys.readouterr().err


def test_an_installed_release_that_cannot_be_kept(
    occupied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path / "site", "vllm", "0.99.0", {"vllm/__init__.py": "class LLM: ...\n"})
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(DiskError, match=rf"^cannot use the cache .*; {ADVICE}$"):
        installed_index([VLLM], occupied)


def test_files_of_wheels_that_cannot_be_kept(occupied: Path) -> None:
    with pytest.raises(DiskError, match=rf"^cannot use the cache .*; {ADVICE}$"):
        WheelFileCache(occupied)


def test_errors_of_other_files_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), cache_errors(tmp_path / "cache"):
        (tmp_path / "code.py").read_text()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("argv", [("0.5.21", "0.29.0"), ("lock", "one")], ids=["pair", "lock"])
def test_a_cache_of_uv_that_cannot_be_used_says_nothing_about_the_pair(
    argv: tuple[str, ...],
    occupied: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as index:
        index.add("vllm-0.29.0-py3-none-any.whl", build_wheel("vllm", "0.29.0", {"vllm/__init__.py": b""}))
        uv_sees_only(index, occupied, monkeypatch)
        line = error_of(capsys, "pairs", *argv)
    assert line.startswith("compat: error: cannot resolve ")
    assert "vllm==0.29.0: uv: Failed to initialize cache at" in line
    assert f"`{occupied}`" in line
    assert line.endswith("; set UV_CACHE_DIR to a folder that can be written")


FULL = """error: Failed to initialize cache at `/full`
  cause: failed to write to file `/full/CACHEDIR.TAG`: No space left on device (os error 28)
"""
READ_ONLY = """error: Could not acquire lock
  cause: Could not create temporary file
  cause: Read-only file system (os error 30) at path "/ro/.tmpQ4hLAG"
"""
FORBIDDEN = """error: Failed to initialize cache at `/root/.cache/uv`
  cause: failed to create directory `/root/.cache/uv`: Permission denied (os error 13)
"""
LATER = """error: Failed to fetch wheel: a
  cause: failed to open file `/c/a`: Permission denied (os error 13)
"""


@pytest.mark.parametrize("output", [FULL, READ_ONLY, FORBIDDEN])
def test_uv_without_a_cache_says_which_variable_to_set(output: str) -> None:
    assert is_disk_failure(output)
    assert failure_reason(output, 2).endswith("; set UV_CACHE_DIR to a folder that can be written")


def test_what_uv_cannot_read_later_is_the_disk_as_well() -> None:
    assert is_disk_failure(LATER)
    assert not is_disk_failure("error: No solution found when resolving dependencies\n")
    assert not is_disk_failure("error: Failed to build a\n  cause: sh: 1: x: Permission denied\n")
