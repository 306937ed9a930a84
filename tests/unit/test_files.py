"""Files are replaced in one step, or not at all."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compat import files

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_replace_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "name.txt"
    files.write_text(target, "größer\n")
    assert target.read_bytes() == "größer\n".encode()
    files.write_bytes(target, b"\x00\xff")
    assert target.read_bytes() == b"\x00\xff"
    assert names(target.parent) == ["name.txt"]


def test_the_file_is_an_ordinary_one(tmp_path: Path) -> None:
    files.write_text(tmp_path / "name.txt", "")
    assert stat.S_IMODE((tmp_path / "name.txt").stat().st_mode) == 0o644


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "name.txt"
    target.write_text("old")
    with files.replacing(target) as part:
        part.write_text("new")
        assert part.parent == target.parent
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_the_old_content_and_no_part(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "name.txt"
    target.write_text("old")

    def write_half() -> None:
        with files.replacing(target) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["name.txt"]


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        files.write_text(tmp_path / "name.txt", "\ud800")
    assert names(tmp_path) == []


def test_a_target_that_cannot_be_replaced_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        files.write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["folder"]


def test_control_c_in_the_middle_of_a_write(tmp_path: Path) -> None:
    target = tmp_path / "name.txt"
    target.write_text("old")
    code = (
        "import signal, sys; from pathlib import Path; from compat import cli, files\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def main(argv):\n"
        "    with files.replacing(Path(argv[0])) as part:\n"
        "        part.write_text('half'); print(part, flush=True); signal.pause()\n"
        "sys.exit(cli.run(main))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, os.fspath(target)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        part = Path(child.stdout.readline().rstrip("\n"))
        assert part.read_text() == "half"
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 130
    assert target.read_text() == "old"
    assert names(tmp_path) == ["name.txt"]
