"""Trees that ship their own copy of a package: what the copy has is there, whatever the releases lack."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from compat.scan.cli import main
from compat.scan.project.copy_notes import copy_notes
from compat.source_outlines.reader import SourceOutlines


def found(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[tuple[str, int]]:
    main([str(folder), "--vllm", "0.33.0", "--sglang", "0.4.7", "--format", "json", *options])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return [(Path(each["path"]).name, each["line"]) for each in findings if each["level"] != "note"]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


COPY = {
    "__init__.py": "from .mine import *\nfrom .extra import extra_name\n",
    "mine/__init__.py": "from .ops import *\n",
    "mine/ops.py": "def op(): ...\nSTATE: int\ndef start():\n    global STATE\n    STATE = 1\n",
    "extra.py": "extra_name = 1\n",
    "lazy.py": "def __getattr__(name): ...\n",
    "data/kernel.cu": "",
}
USES = """
import vllm
import vllm.mine.ops
import vllm.mine.ops as ops
from vllm import mine, op, extra_name
from vllm.mine import ops as again, op
from vllm.mine.ops import op, STATE
from vllm.lazy import anything
from vllm.mine.ops import *
from unittest import mock
print(vllm.mine.ops.op, ops.STATE, vllm.extra_name)
mock.patch("vllm.mine.ops.op")
if not hasattr(vllm, "mine"):
    import vllm.gone
"""


@pytest.mark.parametrize("place", ["vllm", "python/vllm", "src/vllm"])
def test_what_the_copy_of_a_tree_has_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path, {f"{place}/{name}": text for name, text in COPY.items()})
    write(tmp_path, {"tests/use.py": USES})
    assert found(tmp_path, capsys) == []


def test_a_copy_beside_the_scanned_folder_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path, {f"vllm/{name}": text for name, text in COPY.items()})
    write(tmp_path, {"tests/use.py": USES})
    assert found(tmp_path / "tests", capsys) == []


def test_what_neither_the_copy_nor_the_release_has_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {f"vllm/{name}": text for name, text in COPY.items()})
    text = (
        "from vllm.mine.ops import gone\nimport vllm.gone\nfrom vllm.mine import op\nimport vllm.mine.gone\n"
    )
    write(tmp_path, {"use.py": text})
    assert found(tmp_path, capsys) == [("use.py", 1), ("use.py", 2), ("use.py", 4)]


def test_a_package_of_that_name_inside_another_one_is_no_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {f"mine/vllm/{name}": text for name, text in COPY.items()})
    write(tmp_path, {"mine/__init__.py": "", "use.py": "import vllm.mine.ops\n"})
    assert ("use.py", 1) in found(tmp_path, capsys)


@pytest.mark.parametrize("name", ["vllm.py", "models/vllm.py", "models/chat/sglang.py", "mine/sglang.py"])
def test_a_file_that_is_called_like_a_package_is_scanned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text = (
        "import os\nif os.environ.get('X'):\n"
        "    from sglang.srt.layers.quantization import Fp8LinearMethod\n    import vllm.gone\n"
    )
    write(tmp_path, {name: text, "mine/__init__.py": ""})
    file = name.rpartition("/")[2]
    assert found(tmp_path, capsys) == [(file, 3), (file, 4)]
    assert found(tmp_path / name, capsys) == [(file, 3), (file, 4)]


@pytest.mark.parametrize(
    "files",
    [
        {"app/__init__.py": "", "app/_vendor/__init__.py": "", "app/_vendor/vllm/mine/ops.py": "op = 1\n"},
        {"app/third_party/__init__.py": "", "app/third_party/vllm/mine.py": "ops = 1\n"},
        {"overlay/vllm/mine/ops.py": "op = 1\n"},  # copied over an installed release
        {"vllm/__init__.py": "", "vllm/mine/ops.pyi": "op: int = 1\n"},
        {"vllm/__init__.py": "", "vllm/mine/ops.cpython-311-x86_64-linux-gnu.so": ""},
        {"vllm/__init__.py": "", "vllm/mine/ops.pyx": ""},
    ],
)
def test_a_copy_counts_wherever_and_in_whatever_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str]
) -> None:
    write(tmp_path, {**files, "tests/use.py": "from vllm.mine import ops\n"})
    assert found(tmp_path, capsys) == []


def test_files_of_another_thing_of_that_name_are_no_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        tmp_path,
        {"examples/vllm/serve.py": "def serve(): ...\n", "use.py": "import vllm.gone\nimport vllm.mine\n"},
    )
    (tmp_path / "examples/vllm/mine").mkdir()
    assert found(tmp_path, capsys) == [("use.py", 1), ("use.py", 2)]


def test_a_module_that_is_made_from_a_proto_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"vllm/__init__.py": "", "vllm/grpc/__init__.py": "", "vllm/grpc/engine.proto": ""})
    write(
        tmp_path,
        {"use.py": "from vllm.grpc import engine_pb2, engine_pb2_grpc\nfrom vllm.grpc import other_pb2\n"},
    )
    assert found(tmp_path, capsys) == [("use.py", 2)]


def copy_of(folder: Path, paths: Sequence[str]) -> list[str]:
    """Write files below a folder and return their paths, as a scan lists them."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x = 1\n")
    return sorted(str(folder / path) for path in paths)


def test_a_copy_that_a_tree_ships_is_told_with_its_nearest_release(tmp_path: Path) -> None:
    paths = SourceOutlines().below("vllm", "vllm/engine/")[:25]
    (note,) = copy_notes(copy_of(tmp_path / "vendor", ["vllm/__init__.py", "vllm/acme.py", *paths]))
    assert note.startswith(f"{tmp_path}/vendor/vllm is a copy of vllm, nearest to ")
    assert "1 file that no release has: vllm.acme" in note
    assert note.endswith(f"--vllm {tmp_path}/vendor/ judges the code against it")


def test_a_folder_of_another_project_is_no_copy(tmp_path: Path) -> None:
    paths = [f"vllm/own_{number}.py" for number in range(30)]
    assert list(copy_notes(copy_of(tmp_path, ["vllm/__init__.py", *paths]))) == []
    assert list(copy_notes(copy_of(tmp_path / "few", ["vllm/__init__.py", "vllm/config.py"]))) == []


MOVED = "from vllm.utils import FlexibleArgumentParser\n"


def test_a_copy_in_the_current_folder_is_not_one_of_another_tree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder above `../other` is not the current one."""
    write(
        tmp_path,
        {"here/vllm/__init__.py": "", "here/vllm/utils/__init__.py": "class FlexibleArgumentParser: ...\n"},
    )
    write(tmp_path, {"here/use.py": MOVED, "other/src/use.py": MOVED})
    monkeypatch.chdir(tmp_path / "here")
    assert found(Path("use.py"), capsys) == []
    assert found(Path("../here/use.py"), capsys) == []
    assert found(Path("../other/src"), capsys) == [("use.py", 1)]


def test_relative_and_absolute_paths_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.py": MOVED, "b.py": MOVED})
    monkeypatch.chdir(tmp_path)
    assert found(Path("a.py"), capsys, str(tmp_path / "b.py")) == [("a.py", 1), ("b.py", 1)]
