"""Files are replaced atomically or not at all."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from compat._cli import console
from compat._util import atomic_write
from compat._util.replace_folder import replacing_folder
from compat.errors import ENVIRONMENT

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_replace_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "name.txt"
    atomic_write.write_text(target, "größer\n")
    assert target.read_bytes() == "größer\n".encode()
    atomic_write.write_bytes(target, b"\x00\xff")
    assert target.read_bytes() == b"\x00\xff"
    assert names(target.parent) == ["name.txt"]


def test_the_file_is_an_ordinary_one(tmp_path: Path) -> None:
    atomic_write.write_text(tmp_path / "name.txt", "")
    assert stat.S_IMODE((tmp_path / "name.txt").stat().st_mode) == 0o644


def write_folder(target: Path, _: str) -> None:
    with replacing_folder(target):
        pass


@pytest.mark.parametrize("write", [atomic_write.write_text, write_folder])
def test_where_nothing_may_be_written_the_error_names_the_target(
    write: Callable[[Path, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Even root may not create files in /sys."""

    def main(_: Sequence[str]) -> int:
        write(Path("/sys/name.txt"), "")
        return 0

    assert console.run(main, []) == ENVIRONMENT
    assert "(/sys/name.txt)" in capsys.readouterr().err


def test_an_access_that_is_not_permitted_says_what_to_check() -> None:
    assert console.disk_message(OSError(errno.EACCES, "No", "a.py")) == (
        "No (a.py); check the permissions of the file and of its folder"
    )


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "name.txt"
    target.write_text("old")
    with atomic_write.replacing(target) as part:
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
        with atomic_write.replacing(target) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["name.txt"]


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        atomic_write.write_text(tmp_path / "name.txt", "\ud800")
    assert names(tmp_path) == []


def test_a_target_that_cannot_be_replaced_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic_write.write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["folder"]


def test_control_c_in_the_middle_of_a_write(tmp_path: Path) -> None:
    target = tmp_path / "name.txt"
    target.write_text("old")
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from compat._cli import console; from compat._util import atomic_write\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def main(argv):\n"
        "    with atomic_write.replacing(Path(argv[0])) as part:\n"
        "        part.write_text('half'); print(part, flush=True); signal.pause()\n"
        "sys.exit(console.run(main))\n"
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


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to("real/name.txt")
    for text in ("one", "two"):
        atomic_write.write_text(tmp_path / "link.txt", text)
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "real" / "name.txt").read_text() == text
    assert names(tmp_path / "real") == ["name.txt"]


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    atomic_write.write_text(pipe, "through\n")
    assert reader.communicate(timeout=60)[0] == "through\n"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_names_for_standard_output_are_written_to(name: str, tmp_path: Path) -> None:
    line = (
        "from pathlib import Path\nfrom compat._util import atomic_write\n"
        f"atomic_write.write_text(Path({name!r}), 'told\\n')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", line], cwd=ROOT, stdout=out, check=True, timeout=60)
    assert (tmp_path / "out").read_text() == "told\n"
    piped = subprocess.run(
        [sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert piped.stdout == "told\n"
    assert Path("/dev/stdout").is_symlink()


WRITES = """
import signal, sys, time
from pathlib import Path
from compat._util import atomic_write
with atomic_write.replacing(Path(sys.argv[1])) as part:
    print(part, flush=True)
    signal.pause()
"""


def test_what_a_killed_writer_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "name[1].txt"
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, os.fspath(target)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        part = Path(child.stdout.readline().rstrip("\n"))
        try:
            os.utime(part, (0, 0))
            atomic_write.write_text(target, "a writer that lives keeps its file")
            assert part.exists()
        finally:
            child.kill()
    atomic_write.write_text(target, "another")
    assert names(tmp_path) == ["name[1].txt"]
    young = tmp_path / ".name[1].txt.abc.part"
    young.touch()
    atomic_write.write_text(target, "its writer may not have locked it yet")
    assert young.exists()


def test_overwriting_keeps_mode_and_hard_links(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("old content")
    one.chmod(0o751)
    atomic_write.overwrite(one, b"new")
    assert stat.S_IMODE(one.stat().st_mode) == 0o751
    two.hardlink_to(one)
    atomic_write.overwrite(two, b"newer")
    atomic_write.overwrite(one, b"last")
    assert one.read_text() == two.read_text() == "last"
    assert one.stat().st_nlink == 2
    assert names(tmp_path) == ["one", "two"]
