"""What `compat check` reads: requirements, locks of several forms, and an interpreter."""

import json
import sys
from pathlib import Path

import pytest

from compat.check.inputs import read_lock_file, read_python, read_requirements
from compat.errors import UsageError

OWN = {
    "inputs": {"python": "3.11", "requirements": [], "overrides": []},
    "packages": {"Lib_A": {"version": "1.0", "imports": ["lib_a", "more"]}},
}
PYLOCK = 'lock-version = "1.0"\n[[packages]]\nname = "lib-a"\nversion = "1.0"\n[[packages]]\nname = "local"\n'
UV_LOCK = 'version = 1\n[[package]]\nname = "lib-a"\nversion = "1.0"\n'
FREEZE = "# frozen\nLib.A==1.0\n-e git+file:///x#egg=local\nextra[a,b]==2.0 ; python_version > '3'\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [("own.json", json.dumps(OWN)), ("pylock.toml", PYLOCK), ("uv.lock", UV_LOCK), ("freeze.txt", FREEZE)],
)
def test_locks_give_versions(tmp_path: Path, name: str, text: str) -> None:
    given = read_lock_file(write(tmp_path, name, text))
    assert given.versions["lib-a"] == "1.0"
    assert given.complete


def test_a_lock_of_this_project_tells_modules_and_python(tmp_path: Path) -> None:
    write(tmp_path, "own.json", json.dumps(OWN))
    given = read_lock_file(write(tmp_path, "own.txt", "lib-a==1.0 \\\n    --hash=sha256:00\n"))
    assert given.provided == frozenset({"lib_a", "more"})
    assert given.python == "3.11"


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "{}"), ("a.toml", "["), ("a.toml", "x = 1"), ("a.txt", "nothing here"), ("a.json", "[1]")],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UsageError, match=name):
        read_lock_file(write(tmp_path, name, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.txt"):
        read_lock_file(tmp_path / "none.txt")


def test_requirements_files_are_read_without_options(tmp_path: Path) -> None:
    text = (
        "--index-url x\n-e .\n# note\nvllm==0.11.0  # why\ntorch==2.8.0 \\\n  --hash=sha256:00\n"
        "old; python_version < '3'\nurl @ https://example.org/a.whl\n"
    )
    assert list(map(str, read_requirements(write(tmp_path, "r.txt", text)))) == [
        "vllm==0.11.0",
        "torch==2.8.0",
    ]


def test_a_file_written_on_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_bytes(b"\xef\xbb\xbfvllm==0.11.0\r\ntorch==2.8.0\r\n")
    assert list(map(str, read_requirements(path))) == ["vllm==0.11.0", "torch==2.8.0"]


def test_a_line_that_is_no_requirement_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"r\.txt, line 2"):
        read_requirements(write(tmp_path, "r.txt", "a\n=b\n"))


def test_an_interpreter_tells_what_is_installed() -> None:
    given = read_python(Path(sys.executable))
    assert given.versions["pytest"] == pytest.__version__
    assert given.python == f"{sys.version_info[0]}.{sys.version_info[1]}"
