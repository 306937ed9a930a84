"""`compat bundle` with the real uv and real wheels from a local index: packing, unpacking, errors."""

import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from compat import errors
from compat._cli import console
from compat.bundle import cli as bundle
from compat.bundle.archive import parts
from compat.pairs import cli as pairs
from compat.wheels.http_session import open_session
from wheelhouse import Index, build_wheel, noise, serving, uv_sees_only

MATRIX = """
[defaults]
python = "3.11"

[[pair]]
id = "both"
sglang = "0.4.7"
vllm = "0.9.0.1"
"""

LIBRARY = noise(160_000)[60_000:]
KERNELS = {
    "sgl_kernel/__init__.py": b"",
    "sgl_kernel/sm90/common_ops.abi3.so": b"hopper",
    "sgl_kernel/sm100/common_ops.abi3.so": b"blackwell",
    "sgl_kernel/flash_ops.abi3.so": noise(60_000),
    "sgl_kernel/each.cpython-311-x86_64-linux-gnu.so": b"for 3.11",
    "sgl_kernel/each.cpython-312-x86_64-linux-gnu.so": b"for 3.12",
    "sgl_kernel/sole.cpython-310-x86_64-linux-gnu.so": b"loaded by a glob",
}


def publish(
    index: Index, name: str, version: str, files: dict[str, bytes], *requires: str, tag: str = ""
) -> None:
    tag = tag or "py3-none-any"
    index.add(f"{name}-{version}-{tag}.whl", build_wheel(name, version, files, requires=requires))


@cache
def wheels() -> Index:
    """Return the wheels on every index of these tests, built once so that one lock matches all indexes."""
    index = Index()
    needs = ("torch>=2.7", "numpy<3", "nvidia-ml-py", "sgl-kernel")
    publish(index, "sglang", "0.4.7", {"sglang/__init__.py": b"NAME = 'sglang'\n"}, *needs)
    vllm = {
        "vllm/__init__.py": b"def main() -> None: ...\n",
        "vllm-0.9.0.1.dist-info/entry_points.txt": b"[console_scripts]\nvllm = vllm:main\n",
    }
    publish(index, "vllm", "0.9.0.1", vllm, "torch==2.7.1", "idna; extra == 'net'")
    publish(index, "sgl_kernel", "0.1.0", KERNELS)
    publish(index, "torch", "2.7.1", {"torch/__init__.py": b"", "torch/lib.so": LIBRARY})
    publish(index, "numpy", "2.3.5", {"numpy/__init__.py": b""})
    publish(index, "nvidia_ml_py", "13.0", {"pynvml.py": b""})
    return index


def see_only(index: Index, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Set up `folder` as a project in which uv and compat use `index` only."""
    folder.mkdir()
    (folder / "matrix.toml").write_text(MATRIX)
    patch.chdir(folder)
    uv_sees_only(index, folder.parent / "uv", patch)
    patch.setattr("compat.wheels.package_index.open_session", lambda: open_session(retries=0))


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as index:
        for body in wheels().bodies.items():
            index.add(*body)
        yield index


@pytest.fixture(scope="module")
def locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the lock of the pair."""
    project = tmp_path_factory.mktemp("locked") / "project"
    with serving() as index, pytest.MonkeyPatch.context() as patch:
        for body in wheels().bodies.items():
            index.add(*body)
        see_only(index, project, patch)
        relock()
    return project / "locks"


@pytest.fixture
def project(tmp_path: Path, index: Index, locks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    see_only(index, folder, monkeypatch)
    shutil.copytree(locks, folder / "locks")
    return folder


def relock() -> None:
    assert console.run(pairs.main, ["lock", "both"]) == errors.CLEAN


def run(*argv: str) -> int:
    return console.run(bundle.main, ["both", "--output", "out", "--level", "0", *argv])


def manifest(folder: Path = Path("out")) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return document


def unpack(*argv: str, folder: Path = Path("out")) -> "subprocess.CompletedProcess[str]":
    """Run the script as on a runner, where this project is not installed or on the import path."""
    return subprocess.run(
        ["sh", str(folder.resolve() / "unpack.sh"), *argv],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def tree(folder: Path) -> dict[str, str]:
    """Return the digest of every file by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def child(environment: dict[str, str], limit: int = resource.RLIM_INFINITY) -> "subprocess.Popen[str]":
    """Start the command in a process that cannot write files of more than `limit` bytes."""
    root = Path(bundle.__file__).parents[2]
    signals = ["env", "--default-signal=HUP"]  # a test run under nohup ignores it, and so would its children
    command = [sys.executable, "-m", "compat.bundle", "both", "--output", "out"]
    return subprocess.Popen(
        [*signals, "prlimit", f"--fsize={limit}", *command],
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one-line error that the command printed."""
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("compat: error: ")
    return line


def test_a_bundle_unpacks_to_an_environment_that_imports(project: Path) -> None:
    assert run() == errors.CLEAN
    assert manifest()["packages"] == {
        "sglang": "0.4.7", "vllm": "0.9.0.1", "torch": "2.7.1", "numpy": "2.3.5",
        "nvidia-ml-py": "13.0", "sgl-kernel": "0.1.0",
    }  # fmt: skip
    done = unpack("here/it is")
    assert (done.returncode, done.stderr) == (0, "")
    command = f'{done.stdout}{sys.executable} -c "import sglang, torch; print(sglang.NAME, torch.__file__)"'
    imported = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert imported.stdout.split() == ["sglang", f"{project}/here/it", "is/site/torch/__init__.py"]
    assert (project / "here/it is/site/torch/lib.so").read_bytes() == LIBRARY


def test_parts_have_the_requested_size_and_the_digests_of_the_manifest(project: Path) -> None:
    assert run("--part-size", "50K") == errors.CLEAN
    parts = manifest()["parts"]
    files = {path.name: path.read_bytes() for path in project.glob("out/part-*")}
    assert len(parts) == len(files) > 3
    assert [part["bytes"] for part in parts[:-1]] == [50_000] * (len(parts) - 1)
    assert 0 < parts[-1]["bytes"] <= 50_000
    for part in parts:
        assert len(files[part["name"]]) == part["bytes"]
        assert hashlib.sha256(files[part["name"]]).hexdigest() == part["sha256"]
    assert sorted(path.name for path in (project / "out").iterdir()) == sorted(
        [*files, "manifest.json", "unpack.py", "unpack.sh"]
    )


def test_the_same_lock_and_options_give_the_same_bytes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes do not depend on the cache, the number of threads, the umask or the folder."""
    monkeypatch.setattr(parts, "BLOCK", 20_000)
    assert run("--threads", "1") == errors.CLEAN
    first = tree(project / "out")
    assert len(manifest()["blocks"]) > 3
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another cache"))
    old = os.umask(0o077)
    try:
        assert (
            console.run(bundle.main, ["both", "--output", "else/where", "--level", "0", "--threads", "4"])
            == 0
        )
    finally:
        os.umask(old)
    assert tree(project / "else/where") == first


def test_nothing_in_a_bundle_depends_on_this_machine(project: Path, index: Index) -> None:
    assert run() == errors.CLEAN
    unpack("there")
    files = [path for root in ("out", "there") for path in (project / root).rglob("*") if path.is_file()]
    for word in (index.url, str(project), sys.prefix):
        assert not [path for path in files if word.encode() in path.read_bytes()]


def test_scripts_of_this_machine_stay_behind_and_records_say_what_is_there(project: Path) -> None:
    assert run("--drop", "sgl_kernel/flash_ops.*") == errors.CLEAN
    scripts, dropped = manifest()["dropped"][0], manifest()["dropped"][-1]
    assert scripts["files"] == ["bin/vllm"]
    assert dropped == {
        "reason": "--drop sgl_kernel/flash_ops.*", "files": ["sgl_kernel/flash_ops.abi3.so"], "bytes": 60_000,
    }  # fmt: skip
    unpack("there")
    site = project / "there/site"
    listed = {
        line.split(",")[0]
        for record in site.glob("*.dist-info/RECORD")
        for line in record.read_text().split()
    }
    assert listed == set(tree(site))


def test_a_file_of_two_packages_is_always_the_same(
    project: Path, index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    """With this many contested files, no package wins all by chance, as uv unpacks wheels concurrently."""
    names = [f"both{number}.py" for number in range(20)]
    for package, version in (("numpy", "2.3.5"), ("torch", "2.7.1")):
        index.projects.pop(package)
        files = {**dict.fromkeys(names, package.encode() + noise(100_000)), "same.py": b"1"}
        publish(index, package, version, files)
    relock()
    assert run() == errors.CLEAN
    assert manifest()["contested"] == {name: ["torch", "numpy"] for name in names}, "the higher version"
    note = (
        "both0.py and 19 more: torch, numpy provide different contents; the bundle has the files of torch\n"
    )
    assert note in capsys.readouterr().err
    unpack("there")
    assert {(project / "there/site" / name).read_bytes()[:5] for name in names} == {b"torch"}


def test_a_file_of_a_package_that_lies_on_top_of_another_is_taken(
    project: Path, index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of the dependent package wins, as with pip, which installs requirements first."""
    for package, version, requires in (
        ("numpy", "2.3.5", ()),
        ("torch", "2.7.1", ("Numpy>=1; extra == 'x'",)),
    ):
        index.projects.pop(package)
        publish(index, package, version, {"both.py": package.encode()}, *requires)
    relock()
    assert run() == errors.CLEAN
    note = "both.py: torch, numpy provide different contents; the bundle has the file of torch\n"
    assert note in capsys.readouterr().err
    unpack("there")
    assert (project / "there/site/both.py").read_bytes() == b"torch"


def test_what_the_runner_has_stays_behind(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "has.txt").write_text("torch==2.7.1+cu126\nnumpy==2.5.2\nnvidia-*\n")
    assert run("--provided", "has.txt") == errors.CLEAN
    told = manifest()
    assert sorted(told["packages"]) == ["numpy", "sgl-kernel", "sglang", "vllm"]
    assert told["provided"] == [
        {"name": "nvidia-ml-py", "locked": "13.0", "provided": None},
        {"name": "torch", "locked": "2.7.1", "provided": "2.7.1+cu126"},
    ]
    assert told["differing"] == [{"name": "numpy", "locked": "2.3.5", "provided": "2.5.2"}]
    lines = capsys.readouterr().err
    assert "compat: numpy: the runner has 2.5.2, the lock pins 2.3.5, which the bundle carries\n" in lines
    assert "compat: left to the runner in whatever version it has: nvidia-ml-py\n" in lines
    unpack("there")
    assert not (project / "there/site/torch").exists()


@pytest.mark.parametrize("arch", [[], ["--arch", "sm_90"], ["--arch", "sm_80"]])
def test_only_alternatives_to_the_asked_architecture_go(project: Path, arch: list[str]) -> None:
    assert run(*arch) == errors.CLEAN
    unpack("there")
    kept = sorted(path.parent.name for path in project.glob("there/site/sgl_kernel/*/common_ops.abi3.so"))
    assert kept == (["sm90"] if arch[1:] == ["sm_90"] else ["sm100", "sm90"])


def test_extensions_for_other_pythons_go_when_there_is_one_that_fits(project: Path) -> None:
    assert run("--python", "3.12") == errors.CLEAN
    unpack("there")
    assert sorted(path.name for path in project.glob("there/site/sgl_kernel/*.cpython-*")) == [
        "each.cpython-312-x86_64-linux-gnu.so",
        "sole.cpython-310-x86_64-linux-gnu.so",
    ]
    assert manifest()["python"] == "3.12"


def test_the_wheels_are_those_of_the_runners_python(project: Path, index: Index) -> None:
    """With a lock for 3.11, a package for 3.12 has the same version and comes from another wheel."""
    index.projects.pop("numpy")
    for tag in ("cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64"):
        publish(index, "numpy", "2.3.5", {"numpy/__init__.py": tag.encode()}, tag=tag)
    relock()
    for python in ("3.11", "3.12"):
        assert run("--python", python) == errors.CLEAN
        unpack("there")
        tag = f"cp{python.replace('.', '')}"
        assert (project / "there/site/numpy/__init__.py").read_text().startswith(tag)


def test_a_python_without_a_wheel_is_one_line(
    project: Path, index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    index.projects.pop("numpy")
    publish(index, "numpy", "2.3.5", {"numpy/__init__.py": b""}, tag="cp311-cp311-manylinux_2_28_x86_64")
    relock()
    assert run("--python", "3.12") == errors.USAGE
    assert "no wheel for Python 3.12 on Linux x86-64: numpy 2.3.5; choose another --python" in said(capsys)
    assert run("--platform", "x86_64-manylinux_2_17") == errors.USAGE
    assert "numpy 2.3.5 has no wheel for Python 3.11 on x86_64-manylinux_2_17" in said(capsys)
    assert not list(project.glob("*out*"))


def test_a_requirement_that_nobody_meets_is_a_finding(
    project: Path, index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lock for 3.11 lacks a requirement that applies to 3.12 only."""
    index.projects.pop("vllm")
    publish(
        index, "vllm", "0.9.0.1", {"vllm/__init__.py": b""}, "torch", 'later>=1; python_version >= "3.12"'
    )
    relock()
    assert run() == errors.CLEAN
    assert run("--python", "3.12") == errors.FINDINGS
    assert manifest()["unmet"] == [{"package": "vllm", "requirement": "later>=1", "provided": None}]
    assert (
        "compat: vllm requires later>=1; neither the bundle nor the runner has it\n"
        in capsys.readouterr().err
    )
    (project / "has.txt").write_text("later==0.9\n")
    assert run("--python", "3.12", "--provided", "has.txt") == errors.CLEAN
    assert "compat: vllm requires later>=1; the runner has 0.9\n" in capsys.readouterr().err


def test_a_trim_list_leaves_out_files_and_packages(project: Path) -> None:
    (project / "mine.toml").write_text(
        '[[drop]]\nfiles = ["sgl_kernel/flash*", "no/such"]\npackages = ["nvidia-*"]\nreason = "attention"\n'
        '[[drop]]\nfiles = ["sgl_kernel/sm90"]\narch = ["sm_100"]\nreason = "not asked for"\n'
    )
    assert run("--trim", "mine.toml", "--arch", "sm_90") == errors.CLEAN
    told = manifest()
    assert told["skipped"] == {"nvidia-ml-py": "attention"}
    assert [one["files"] for one in told["dropped"] if one["reason"] == "attention"] == [
        ["sgl_kernel/flash_ops.abi3.so"]
    ]
    assert not told["unmet"]
    unpack("there")
    assert (project / "there/site/sgl_kernel/sm90/common_ops.abi3.so").exists()


@pytest.mark.usefixtures("project")
def test_the_shipped_list_is_understood() -> None:
    assert run("--trim", "linear", "--arch", "sm_90") == errors.CLEAN
    assert ["sgl_kernel/flash_ops.abi3.so"] in [one["files"] for one in manifest()["dropped"]]


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["--drop", "no/such.so"], "--drop 'no/such.so': matches no file of the bundle"),
        (["--part-size", "12"], "'12' is not a size of at least 1K"),
        (["--part-size", "58X"], "'58X' is not a size"),
        (["--arch", "hopper"], "'hopper' is not a GPU architecture (example: sm_90)"),
        (["--python", "3"], "'3' is not a Python version"),
        (["--platform", "aarch64-manylinux_2_28"], "locks contain wheels up to x86_64-manylinux_2_39"),
        (["--threads", "0"], "'0' is not a number from 1 to 64"),
        (["--provided", "absent.txt"], "--provided absent.txt: cannot be read"),
        (["--trim", "absent"], "--trim absent: no such list (known: linear; or give a .toml file)"),
        (["--output", "matrix.toml"], "exists and is not a folder"),
        (["--output", "locks"], "the folder is neither empty nor a bundle; choose another one"),
        (["--matrix", "absent.toml"], "absent.toml: no such file"),
    ],
)
def test_wrong_options_are_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], argv: list[str], part: str
) -> None:
    assert run(*argv) == errors.USAGE
    assert part in said(capsys)
    assert sorted(path.name for path in project.iterdir()) == ["locks", "matrix.toml"]


def test_an_unknown_pair_and_a_pair_without_lock(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(bundle.main, ["bot", "--output", "out"]) == errors.USAGE
    assert "'bot' matches no pair of the matrix" in said(capsys)
    (project / "locks/both.txt").unlink()
    assert run() == errors.USAGE
    assert 'both.txt does not exist; run "python -m compat.pairs lock both"' in said(capsys)


def test_a_stale_lock_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "matrix.toml").write_text(MATRIX.replace("3.11", "3.12"))
    assert run() == errors.USAGE
    assert "the lock of both is stale (python: 3.11 in the lock, 3.12 in the matrix)" in said(capsys)


def test_a_runner_with_everything_needs_no_bundle(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "has.txt").write_text("*\n")
    assert run("--provided", "has.txt") == errors.NOTHING_SELECTED
    assert "the runner has every package of the lock" in said(capsys)


def test_a_wheel_that_is_not_the_locked_one_is_refused(
    project: Path, index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    index.projects.pop("numpy")
    publish(index, "numpy", "2.3.5", {"numpy/__init__.py": b"print('evil')"})
    assert run() == errors.ENVIRONMENT
    assert "numpy" in said(capsys)
    assert not list(project.glob("*out*"))


def test_a_uv_that_never_ends_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = project.parent / "waits"
    waits.write_text("#!/bin/sh\nexec sleep 60\n")
    waits.chmod(0o755)
    monkeypatch.setattr("compat.uv.client.find_uv", lambda: waits)
    monkeypatch.setattr("compat.bundle.site_packages.LONGEST_INSTALLATION", 0.1)
    assert run() == errors.ENVIRONMENT
    assert "waits did not end in time" in said(capsys)
    assert sorted(path.name for path in project.iterdir()) == ["locks", "matrix.toml"]


def test_a_failure_leaves_the_old_bundle(project: Path) -> None:
    assert run() == errors.CLEAN
    before = tree(project)
    assert run("--drop", "no/such") == errors.USAGE
    assert tree(project) == before


def test_a_new_bundle_takes_the_place_of_the_old_one(project: Path) -> None:
    assert run("--part-size", "50K") == errors.CLEAN
    assert run("--part-size", "1M") == errors.CLEAN
    assert [path.name for path in project.glob("out/part-*")] == ["part-000"]
    assert (project / "out").stat().st_mode & 0o777 == 0o755, "others may read it"
    assert sorted(path.name for path in project.iterdir()) == ["locks", "matrix.toml", "out"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_pack_leaves_nothing(project: Path, number: signal.Signals) -> None:
    """The test interrupts a real process while uv waits for an index that does not respond."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple/"
        process = child({"UV_DEFAULT_INDEX": address})
        connection, _ = silent.accept()
        with connection:
            process.send_signal(number)
            _, told = process.communicate(timeout=30)
    assert process.returncode == errors.INTERRUPTED
    assert told.splitlines()[-1] == "compat: interrupted"
    assert sorted(path.name for path in project.iterdir()) == ["locks", "matrix.toml"]


def test_a_disk_that_refuses_leaves_nothing(project: Path) -> None:
    """A limit on the file size stands in for a full disk: it cuts a part short."""
    assert run("--part-size", "1M") == errors.CLEAN  # from now on uv's cache has all the wheels
    before = tree(project)
    process = child({}, limit=120_000)
    _, told = process.communicate(timeout=60)
    assert process.returncode == errors.ENVIRONMENT
    assert told.splitlines()[-1] == "compat: error: File too large"
    assert tree(project) == before


@pytest.mark.usefixtures("project")
def test_json_is_the_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--format", "json") == errors.CLEAN
    text = capsys.readouterr().out
    assert json.loads(text) == manifest()
    assert (manifest()["schema"], manifest()["command"], manifest()["pair"]) == (1, "bundle", "both")
    assert canonicalize_name("sgl_kernel") in manifest()["packages"]
    assert run() == errors.CLEAN
    assert capsys.readouterr().out.splitlines()[-1] == 'on the runner: eval "$(sh unpack.sh DEST)"'
