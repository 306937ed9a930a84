"""The index file: release ranges, equal bytes for equal content, and errors for damaged files."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from compat.errors import IntegrityError, UsageError
from compat.index.reader import Index
from compat.index.writer import data_digest, write_index
from sources import content, index, release

OLD = {"vllm/__init__.py": "", "vllm/a.py": "class A: pass\nclass Gone: pass", "vllm/old.py": ""}
NEW = {"vllm/__init__.py": "", "vllm/a.py": "def A(): pass\nclass Come: pass", "vllm/new.py": "X = 1"}


def test_names_and_modules_are_intervals() -> None:
    history = content(
        "vllm", "vllm", release("1", OLD), release("2", OLD), release("3", NEW), release("4", OLD)
    )
    module_ranges = {(s.module, s.first, s.last) for s in history.module_ranges}
    assert module_ranges == {
        ("vllm", 0, 3),
        ("vllm.a", 0, 3),
        ("vllm.old", 0, 1),
        ("vllm.old", 3, 3),
        ("vllm.new", 2, 2),
    }
    names = {(n.name, n.first, n.last, n.branches[0].kind) for n in history.names}
    assert names == {
        ("A", 0, 1, "class"),
        ("A", 2, 2, "function"),
        ("A", 3, 3, "class"),
        ("Gone", 0, 1, "class"),
        ("Gone", 3, 3, "class"),
        ("Come", 2, 2, "class"),
        ("X", 2, 2, "value"),
    }


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    read = index(
        tmp_path / "i", content("vllm", "vllm", release("1", OLD, ["torch==2.7.0"]), release("2", NEW))
    )
    assert read.versions("vllm") == ("1", "2")
    assert read.requires_dist("vllm", 0) == ("torch==2.7.0",)
    assert read.requires_dist("vllm", 1) == ()
    assert list(read.modules("vllm", 1)) == ["vllm", "vllm.a", "vllm.new"]
    assert set(read.names("vllm.a", "vllm", 1)) == {"A", "Come"}
    assert read.names_ever("vllm.a", "vllm") == ("A", "Come", "Gone")
    assert set(read.own_names("vllm", "vllm")) >= {("vllm.a", name) for name in ("A", "Come", "Gone")}
    assert read.own_names("vllm", "sglang") == []
    assert read.binders("A", "vllm", 0) == ("vllm.a",)
    assert read.branches("vllm.a", "Gone", "vllm", 1) == ()
    assert read.branches("vllm.a", "A", "vllm", 1)[0].kind == "function"


def test_a_module_is_found_by_the_last_part_of_its_name(tmp_path: Path) -> None:
    old = {f"vllm/{name}.py": "X = 1" for name in ("__init__", "a", "ba", "z")}
    new = {**old, "vllm/deep/__init__.py": "", "vllm/deep/a.py": "", "vllm/deep/a_/vllm.py": ""}
    read = index(tmp_path / "i", content("vllm", "vllm", release("1", old), release("2", new)))
    assert read.modules_named("a", "vllm", 0) == ("vllm.a",)
    assert read.modules_named("a", "vllm", 1) == ("vllm.a", "vllm.deep.a")
    assert read.modules_named("z", "vllm", 1) == ("vllm.z",)
    assert read.modules_named("vllm", "vllm", 0) == ()  # the package itself is no module of a package
    assert read.modules_named("deep.a", "vllm", 1) == read.modules_named("a\nvllm.ba", "vllm", 1) == ()


def test_every_text_has_its_number_and_no_other(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(37)]
    source = {"vllm/__init__.py": "".join(f"{name} = 1\n" for name in names)}
    read = index(tmp_path / "i", content("vllm", "vllm", release("1", source)))
    assert all(read.branches("vllm", name, "vllm", 0) for name in names)
    assert len({read.number("names", name) for name in names}) == len(names)
    for none in ("", "A", "n", "n00", "n1\x00", "n99", "\uffff"):
        assert read.branches("vllm", none, "vllm", 0) == ()
    assert read.number("modules", "no") is None
    empty = index(tmp_path / "empty")
    assert empty.number("names", "n1") is None


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    guarded = {
        "sglang/__init__.py": "try:\n    import a\nexcept ImportError:\n    a = None\nif f():\n    X = True"
    }
    for name in ("one", "two"):
        made = [
            content("vllm", "vllm", release("1", OLD)),
            content("sglang", "sglang", release("1", guarded)),
        ]
        write_index(tmp_path / name, made if name == "one" else reversed(made))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert data_digest(tmp_path / "one") == data_digest(tmp_path / "two")
    write_index(tmp_path / "two", [content("vllm", "vllm", release("1", NEW))])
    assert data_digest(tmp_path / "one") != data_digest(tmp_path / "two")


def test_a_failing_write_leaves_the_old_index(tmp_path: Path) -> None:
    target = tmp_path / "i"
    write_index(target, [content("vllm", "vllm", release("1", OLD))])
    before = target.read_bytes()
    twice = content("vllm", "vllm", release("1", OLD))
    with pytest.raises(sqlite3.IntegrityError):
        write_index(target, [twice, twice])
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


FULL = """
import resource, sys
from pathlib import Path
from sources import content, release
from compat._cli import console
from compat.index.writer import write_index
files = {"vllm/__init__.py": "".join(f"name_{n} = {n}\\n" for n in range(4000))}
made = [content("vllm", "vllm", release("1", files))]
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(console.run(lambda argv: write_index(Path(argv[0]), made) or 0, sys.argv[1:]))
"""


def test_a_disk_that_takes_no_more_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "index.sqlite"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, Path.cwd())))}
    done = subprocess.run(
        [sys.executable, "-c", FULL, target], capture_output=True, text=True, check=False, env=environ
    )
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("\n") == 1
    assert "index.sqlite" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_unknown_versions_name_the_nearest(tmp_path: Path) -> None:
    read = index(tmp_path / "i", content("vllm", "vllm", release("0.9.0.1", OLD), release("0.10.0", NEW)))
    assert read.release_index("vllm", "0.10", "--vllm") == 1
    with pytest.raises(
        UsageError, match=r"--vllm: vllm 0\.9\.1 is not in the index \(nearest: 0\.9\.0\.1, 0\.10\.0"
    ):
        read.release_index("vllm", "0.9.1", "--vllm")
    with pytest.raises(UsageError, match="--vllm: 'nine' is not a version"):
        read.release_index("vllm", "nine", "--vllm")


def test_a_missing_or_damaged_index_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="the index is missing"):
        Index(tmp_path / "none")
    (tmp_path / "text").write_text("no database")
    with pytest.raises(IntegrityError, match="reinstall sglang-vllm-compat"):
        Index(tmp_path / "text")
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(IntegrityError, match="index format 0, expected"):
        Index(tmp_path / "other")
