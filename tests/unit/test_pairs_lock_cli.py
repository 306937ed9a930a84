"""`compat pairs lock` with the real uv and real wheels from a local index."""

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat import errors
from compat._cli import console
from compat.locks.lockfile import Pinned, read_lock
from compat.pairs.cli import main
from compat.uv.client import find_uv
from compat.uv.compile import WheelReader
from compat.wheels.http_session import open_session
from compat.wheels.package_index import Registry
from compat.wheels.platform_tags import fitting_wheels
from wheelhouse import Fault, Index, build_wheel, serving, uv_sees_only

MATRIX = """
[defaults]
python = "3.11"

[[pair]]
id = "both"
sglang = "0.4.7"
sglang-extras = ["srt"]
vllm = "0.9.0.1"
overrides = { torch = "==2.7.1" }

[[pair]]
id = "alone"
vllm = "0.9.0.1"
"""


def publish(index: Index, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> bytes:
    files = {f"{name}/__init__.py": f"VERSION = {version!r}, {tag!r}\n".encode()}
    body = build_wheel(name, version, files, requires=requires)
    index.add(f"{name}-{version}-{tag}.whl", body)
    return body


@pytest.fixture
def index() -> Iterator[Index]:
    """Publish a small version of the pair `seed`: both packages pin torch, to different versions."""
    with serving() as index:
        publish(index, "sglang", "0.4.7", "torch==2.7.1; extra == 'srt'")
        publish(index, "vllm", "0.9.0.1", "torch==2.7.0")
        publish(index, "torch", "2.7.0")
        publish(index, "torch", "2.7.1")
        yield index


@pytest.fixture
def project(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up a folder with a matrix, in which uv and compat use `index` only."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "matrix.toml").write_text(MATRIX)
    monkeypatch.chdir(folder)
    uv_sees_only(index, tmp_path / "uv", monkeypatch)
    monkeypatch.setattr("compat.wheels.package_index.open_session", lambda: open_session(retries=0))
    return folder


def run(*argv: str) -> int:
    return console.run(main, argv)


def test_locks_are_written_and_up_to_date(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lock", "both", "alone") == errors.CLEAN
    both, alone = (read_lock(name, project / "locks") for name in ("both", "alone"))
    assert both.packages == {
        "sglang": Version("0.4.7"),
        "vllm": Version("0.9.0.1"),
        "torch": Version("2.7.1"),
    }
    assert alone.packages == {"vllm": Version("0.9.0.1"), "torch": Version("2.7.0")}
    assert both.imports == {"sglang": ("sglang",), "vllm": ("vllm",), "torch": ("torch",)}
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].startswith("both: 3 packages, ")
    assert "resolving both: sglang 0.4.7[srt] + vllm 0.9.0.1, Python 3.11" in captured.err
    assert run("lock", "--check", "*") == errors.CLEAN
    assert capsys.readouterr().out == "both: up to date\nalone: up to date\n"


def test_locking_again_changes_nothing(project: Path) -> None:
    run("lock", "both")
    before = {path.name: path.read_bytes() for path in (project / "locks").iterdir()}
    assert run("lock", "both") == errors.CLEAN
    assert {path.name: path.read_bytes() for path in (project / "locks").iterdir()} == before


def test_only_wheels_that_fit_are_locked(project: Path, index: Index) -> None:
    index.projects.pop("torch")
    fitting = [
        publish(index, "torch", "2.7.1", tag=tag)
        for tag in ("cp311-cp311-manylinux_2_28_x86_64", "cp38-abi3-manylinux_2_17_x86_64")
    ]
    for tag in (
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp311-cp311-win_amd64",
        "cp311-cp311-manylinux_2_28_aarch64",
    ):
        publish(index, "torch", "2.7.1", tag=tag)
    assert run("lock", "both") == errors.CLEAN
    text = (project / "locks/both.txt").read_text()
    expected = sorted(hashlib.sha256(body).hexdigest() for body in fitting)
    _, _, torch = text.partition("torch==2.7.1 \\\n")
    torch, _, _ = torch.partition("\nvllm")
    assert torch == " \\\n".join(f"    --hash=sha256:{digest}" for digest in expected)


def test_the_check_reports_what_has_changed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("lock", "both")
    (project / "matrix.toml").write_text(MATRIX.replace("==2.7.1", "==2.7.0"))
    capsys.readouterr()
    assert run("lock", "--check", "*", "--format", "json") == errors.FINDINGS
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["command"]) == (1, "pairs lock")
    both, alone = document["results"]
    assert both == {
        "pair": "both",
        "problems": ["overrides: torch==2.7.1 in the lock, torch==2.7.0 in the matrix"],
    }
    assert alone["problems"][0].endswith('alone.txt does not exist; run "python -m compat.pairs lock alone"')
    assert run("lock", "--check", "both") == errors.FINDINGS
    assert capsys.readouterr().out.startswith("both: overrides: torch==2.7.1 in the lock, torch==2.7.0")


def test_a_clash_names_both_sides_and_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "matrix.toml").write_text(MATRIX.replace("overrides", "# overrides"))
    assert run("lock", "both") == errors.USAGE
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("compat: error: pair both cannot be resolved: ")
    assert "vllm depend on torch==2.7.0" in line
    assert "sglang[srt] depend on torch==2.7.1" in line
    assert line.endswith("; add or change an override in matrix.toml")
    assert not (project / "locks").exists()


def test_a_release_that_does_not_exist_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "matrix.toml").write_text(MATRIX.replace("0.9.0.1", "0.9.0.9"))
    assert run("lock", "alone") == errors.USAGE
    message = "compat: error: the package index has no wheel of vllm 0.9.0.9 (nearest: 0.9.0.1)\n"
    assert capsys.readouterr().err == message


def test_an_unreachable_index_is_an_environment_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://user:secret@127.0.0.1:{port}/simple/")
    assert run("lock", "alone") == errors.ENVIRONMENT
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "compat: error: cannot list the wheels of vllm: 127.0.0.1 cannot be reached; check"
    )
    assert "secret" not in line
    assert not (project / "locks").exists()


def test_an_index_that_dies_half_way_leaves_no_lock(
    project: Path, index: Index, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("lock", "alone")
    monkeypatch.setenv("UV_OFFLINE", "1")  # uv has what it needs in its cache
    for path in (project / "locks").iterdir():
        path.unlink()
    index.faults.extend([Fault(status=503)] * 10)
    assert run("lock", "alone") == errors.ENVIRONMENT
    assert "127.0.0.1 answered 503" in capsys.readouterr().err
    assert list((project / "locks").iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["lock", "booth"], "'booth' matches no pair"),
        (["lock"], "the following arguments are required: ID"),
        (["lock", "both", "--matrix", "missing.toml"], "missing.toml"),
        ([], "give two releases"),
    ],
)
def test_bad_usage_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert project.is_dir()
    assert run(*argv) == errors.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compat: error: ")
    assert message in line


def test_without_uv_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uv", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(errors.MissingToolError, match='run "pip install uv"'):
        find_uv()


def test_a_package_without_a_fitting_wheel_is_guessed(index: Index) -> None:
    index.add("flashinfer_python-0.2.5.tar.gz", b"")
    index.add("flashinfer_python-0.2.5-cp311-cp311-win_amd64.whl", b"")
    pin = Pinned(version=Version("0.2.5"), hashes=(f"sha256:{'0' * 64}",))
    name = canonicalize_name("flashinfer-python")
    with Registry(open_session(retries=0), index.simple) as registry:
        package = WheelReader(registry).read({name: pin}, "3.11")[name]
    assert (package.pin, package.imports, package.guessed) == (pin, ("flashinfer",), True)


def test_another_file_than_uv_saw_is_refused(index: Index) -> None:
    pin = Pinned(version=Version("2.7.1"), hashes=(f"sha256:{'0' * 64}",))
    pinned = {canonicalize_name("torch"): pin}
    message = r"torch 2\.7\.1: the wheels on the index differ from those that uv lists"
    with Registry(open_session(retries=0), index.simple) as registry:
        reader = WheelReader(registry)
        with pytest.raises(errors.IntegrityError, match=message):
            reader.read(pinned, "3.11")


def test_pairs_share_what_was_read(index: Index) -> None:
    digest = hashlib.sha256(index.bodies["torch-2.7.1-py3-none-any.whl"]).hexdigest()
    pinned = {canonicalize_name("torch"): Pinned(version=Version("2.7.1"), hashes=(f"sha256:{digest}",))}
    with Registry(open_session(retries=0), index.simple) as registry:
        reader = WheelReader(registry)
        first = reader.read(pinned, "3.11")
        asked = len(index.log)
        assert reader.read(pinned, "3.12") == first
    assert len(index.log) == asked


@pytest.mark.parametrize(
    ("tags", "python", "expected"),
    [
        (["py3-none-any", "cp311-cp311-manylinux_2_28_x86_64"], "3.11", [1, 0]),
        (["cp38-abi3-manylinux1_x86_64", "cp311-cp311-manylinux2014_x86_64"], "3.11", [1, 0]),
        (["cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_39_x86_64"], "3.11", [1, 0]),
        (["cp311-cp311-manylinux_2_40_x86_64", "cp311-cp311-musllinux_1_2_x86_64"], "3.11", []),
        (["1-py3-none-any", "py3-none-any", "2-py3-none-any"], "3.10", [2, 0, 1]),
        (["cp311-cp311-linux_x86_64", "cp310-cp310-linux_x86_64", "cp312-abi3-linux_x86_64"], "3.11", [0]),
        (["cp38.cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64"], "3.13", [0]),
    ],
)
def test_the_wheels_that_fit_best_first(
    index: Index, tags: list[str], python: str, expected: list[int]
) -> None:
    for tag in tags:
        index.add(f"thing-1.0-{tag}.whl", b"")
    with Registry(open_session(retries=0), index.simple) as registry:
        found = [wheel.filename for wheel in fitting_wheels(registry.files("thing"), python)]
    assert found == [f"thing-1.0-{tags[place]}.whl" for place in expected]


@pytest.mark.parametrize(
    ("requires", "fits"), [(">=3.11", True), ("<3.11", False), (">=3.12", False), ("~3", True), (None, True)]
)
def test_a_wheel_for_other_pythons_does_not_fit(index: Index, requires: str | None, *, fits: bool) -> None:
    index.add("thing-1.0-py3-none-any.whl", b"", **{"requires-python": requires})
    with Registry(open_session(retries=0), index.simple) as registry:
        assert bool(fitting_wheels(registry.files("thing"), "3.11")) is fits
