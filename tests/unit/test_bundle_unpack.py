"""The unpack script, with valid bundles and with every fault of parts, manifest, archive and DEST."""

import json
import lzma
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat._cli.progress import Silent
from compat.bundle.archive import unpack as script
from compat.bundle.archive.parts import Compressor, PartWriter
from compat.bundle.archive.tar import EPOCH, write_archive
from compat.bundle.build import UNPACK
from wheelhouse import noise

FILES = {
    "pkg/__init__.py": b"",
    "pkg/lib.so": noise(70_000),
    "pkg/ünïcode.txt": b"text",
    "deep/" * 40 + "x": b"y",
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Build a bundle of small files in three parts and several blocks."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    parts = PartWriter(folder, 30_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compat.bundle.archive.parts.BLOCK", 20_000)
        with Compressor(parts, 0, 2, Silent()) as target:
            write_archive(FILES, target)
    describe(folder, parts, target.blocks, FILES)
    return folder


def describe(folder: Path, parts: PartWriter, blocks: list[int], files: dict[str, bytes]) -> None:
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "schema": 1,
                "blocks": blocks,
                "parts": [
                    {"name": part.name, "bytes": part.bytes, "sha256": part.sha256} for part in parts.parts
                ],
                "site": {"files": len(files), "bytes": sum(map(len, files.values()))},
            }
        )
    )
    (folder / "unpack.py").write_bytes(Path(script.__file__).read_bytes())
    (folder / "unpack.sh").write_text(UNPACK)


def unpack(
    folder: Path, *argv: str, limit: int = resource.RLIM_INFINITY
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["prlimit", f"--fsize={limit}", "sh", str(folder / "unpack.sh"), *argv],
        cwd=folder.parent,
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=60,
    )


def change(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder: Path, code: int, *argv: str, limit: int = resource.RLIM_INFINITY) -> str:
    """Run the script, and return its one-line error after checking that no file has changed."""
    before = sorted(folder.parent.rglob("*"))
    done = unpack(folder, *(argv or ("dest",)), limit=limit)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("unpack: error: ")
    assert done.stderr.count("\n") == 1
    assert sorted(folder.parent.rglob("*")) == before
    return done.stderr


def test_files_and_modes_come_back(made: Path, tmp_path: Path) -> None:
    done = unpack(made, "dest")
    assert (done.returncode, done.stdout) == (0, f"export PYTHONPATH={tmp_path}/dest/site\n")
    site = tmp_path / "dest/site"
    assert {
        path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()
    } == FILES
    assert (site / "pkg/lib.so").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "dest").stat().st_mode & 0o777 == 0o755


def test_the_parts_together_are_an_ordinary_tar_xz(made: Path) -> None:
    whole = b"".join(path.read_bytes() for path in sorted(made.glob("part-*")))
    with tarfile.open(fileobj=BytesIO(lzma.decompress(whole))) as archive:
        assert archive.getnames() == sorted(FILES)
        assert {(each.mtime, each.uid, each.gid, each.uname) for each in archive} == {(EPOCH, 0, 0, "")}


def test_parts_may_lie_in_several_folders(made: Path, tmp_path: Path) -> None:
    """Parts may be in several folders, as when each delivery holds only one."""
    for number in range(3):
        (tmp_path / f"delivery{number}").mkdir()
        part = f"part-{number:03}"
        (made / part).rename(tmp_path / f"delivery{number}" / part)
    assert "part-000: missing in" in refused(made, 4)
    places = [word for number in range(3) for word in ("--parts", f"delivery{number}")]
    assert unpack(made, "dest", *places).returncode == 0


def test_check_verifies_that_all_parts_have_arrived(made: Path, tmp_path: Path) -> None:
    assert unpack(made, "--check").stdout == "3 parts verified\n"
    (made / "part-002").unlink()
    assert "part-002: missing in" in refused(made, 4, "--check")
    assert not (tmp_path / "dest").exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / "part-001").unlink(), "part-001: missing in"),
    (
        lambda folder: flip(folder / "part-001"),
        "part-001: its sha256 differs from the manifest's; copy it again",
    ),
    (lambda folder: os.truncate(folder / "part-001", 100), "part-001: has 100 bytes instead of 30000"),
    (
        lambda folder: os.truncate(folder / "part-001", 30_001),
        "part-001: has 30001 bytes instead of 30000",
    ),
    (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing; copy it"),
    (lambda folder: os.truncate(folder / "manifest.json", 40), "manifest.json: damaged (Expecting"),
    (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json: damaged (list"),
    (
        lambda folder: change(folder, schema=2),
        "manifest.json: not a bundle manifest that this script can read",
    ),
    (lambda folder: change(folder, parts=[{}]), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, blocks=[5]), "the archive is damaged"),
    (lambda folder: change(folder, blocks=[10**9]), "the archive is damaged (it ends early)"),
    (lambda folder: change(folder, blocks=[-5]), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, blocks=[0] * 9), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, blocks=["a"]), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, blocks=[True]), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, blocks=[10**12]), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, blocks=5), "manifest.json: damaged ('int' object is not iterable)"),
    (lambda folder: change(folder, blocks=[1.5]), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, site=7), "manifest.json: damaged ("),
    (lambda folder: change(folder, site={"files": 4, "bytes": "x"}), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, site={"files": 4}), "manifest.json: damaged ('bytes')"),
    (lambda folder: change(folder, parts={"a": 1}), "manifest.json: not a bundle manifest"),
    (lambda folder: change(folder, parts=7), "manifest.json: damaged ("),
    (
        lambda folder: change(folder, parts=[{"name": 5, "bytes": 1, "sha256": ""}]),
        "manifest.json: not a bundle manifest",
    ),
    (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), "manifest.json: damaged (max"),
    (lambda folder: (folder / "manifest.json").write_bytes(b"\xff"), "manifest.json: damaged ('utf-8'"),
    (
        lambda folder: change(folder, parts=[{"name": "\x1b[31m\n", "bytes": 1, "sha256": ""}]),
        r"\x1b[31m\n: missing in",
    ),
    (
        lambda folder: change(folder, site={"files": 3, "bytes": 10**6}),
        "the archive holds more than the manifest states",
    ),
    (
        lambda folder: change(folder, site={"files": 4, "bytes": 1}),
        "the archive holds more than the manifest states",
    ),
    (lambda folder: change(folder, site={"files": 5, "bytes": 10**6}), "the archive holds 4 files with "),
    (lambda folder: change(folder, site={"files": 4, "bytes": 10**18}), "not enough disk space; free "),
    (
        lambda folder: change(folder, parts=[{"name": "../x", "bytes": 1, "sha256": ""}]),
        "part '../x' is not a plain file name",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[message[:40] for _, message in DAMAGES])
def test_damage_is_reported_and_nothing_is_unpacked(
    made: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(made)
    assert message in refused(made, 4)


def test_damage_leaves_the_environment_that_was_there(made: Path, tmp_path: Path) -> None:
    assert unpack(made, "dest").returncode == 0
    change(made, pair="another")
    flip(made / "part-000")
    refused(made, 4)
    assert (tmp_path / "dest/site/pkg/lib.so").read_bytes() == FILES["pkg/lib.so"]


def hostile(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> None:
    """Replace the archive by one that the packer would never write, with valid digests and sizes."""
    for path in folder.glob("part-*"):
        path.unlink()
    parts = PartWriter(folder, 1_000_000)
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    with Compressor(parts, 0, 1, Silent()) as target:
        target.write(packed.getvalue())
    describe(folder, parts, target.blocks, {})
    change(folder, site={"files": len(members), "bytes": sum(len(content) for _, content in members)})


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "a/..", ".."])
def test_a_path_that_leads_outside_is_refused(made: Path, name: str) -> None:
    hostile(made, (member("fine"), b"1"), (member(name), b"2"))
    assert f"{name!r} in the archive points outside the folder" in refused(made, 4)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_anything_but_a_plain_file_is_refused(made: Path, kind: bytes) -> None:
    hostile(made, (member("link", kind, "/etc"), b""), (member("link/evil"), b"2"))
    assert "'link' in the archive is not a regular file" in refused(made, 4)


def test_a_file_twice_is_refused(made: Path) -> None:
    hostile(made, (member("one"), b"1"), (member("one"), b"2"))
    assert "File exists" in refused(made, 4)


def test_a_disk_that_refuses_leaves_nothing(made: Path) -> None:
    assert "File too large" in refused(made, 4, limit=50_000)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "name the folder to unpack into (see --help)"),
        (["--what"], "unrecognized arguments: --what (see --help)"),
        (["bundle/part-000"], "part-000: not a folder; name a new one"),
        (["full"], "full: neither empty nor an unpacked bundle; name a new folder"),
        (["link"], "link: not a folder; name a new one"),
        (["a:b"], "a:b: a folder with a colon cannot be on PYTHONPATH; name another one"),
    ],
)
def test_a_wrong_place_is_refused(made: Path, tmp_path: Path, argv: list[str], message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    before = sorted(tmp_path.rglob("*"))
    done = unpack(made, *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("unpack: error: ")
    assert message in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_bundle_replaces_the_old_environment_whole(made: Path, tmp_path: Path) -> None:
    assert unpack(made, "dest").returncode == 0
    hostile(made, (member("new/__init__.py"), b""))
    assert unpack(made, "dest").returncode == 0
    assert [path.name for path in (tmp_path / "dest/site").iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "dest"]


def test_the_same_bundle_again_touches_nothing(made: Path, tmp_path: Path) -> None:
    assert unpack(made, "dest").returncode == 0
    inode = (tmp_path / "dest").stat().st_ino
    (made / "part-000").unlink()
    assert unpack(made, "dest").stdout == f"export PYTHONPATH={tmp_path}/dest/site\n"
    assert (tmp_path / "dest").stat().st_ino == inode


def test_folders_are_swapped_without_the_system_call_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "_swapped", lambda *_: False)
    for name in ("made", "dest"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "is").write_text(name)
    script.exchange(tmp_path / "made", tmp_path / "dest")
    assert (tmp_path / "dest/is").read_text() == "made"
    assert (tmp_path / "made/is").read_text() == "dest"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dest", "made"]


def test_the_script_stands_alone() -> None:
    """The script needs only the standard library: it runs without site-packages."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", script.__file__, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: unpack.sh ")


def test_folders_that_pth_files_name_are_on_the_path_too(made: Path, tmp_path: Path) -> None:
    """Python reads .pth files in its own site folders only; nvidia-cutlass-dsl has one."""
    unpack(made, "dest")
    site = tmp_path / "dest/site"
    (site / "inner/packages").mkdir(parents=True)
    (site / "one.pth").write_text("# a comment\nimport os\n\ninner/packages\nnot/there\n")
    assert unpack(made, "dest").stdout == f"export PYTHONPATH={site}:{site}/inner/packages\n"


def test_a_pth_file_may_have_any_bytes(made: Path, tmp_path: Path) -> None:
    hostile(made, (member("a.pth"), b"\xe9\nno:colon\nx\0y\n"), (member("m.py"), b""))
    done = unpack(made, "dest")
    assert (done.returncode, done.stderr) == (0, "")
    for name in (b"\xe9", b"no:colon"):
        os.mkdir(os.path.join(os.fsencode(tmp_path / "dest/site"), name))  # noqa: PTH102, PTH118 -- bytes
    done = unpack(made, "dest")
    site = f"{tmp_path}/dest/site"
    assert (
        done.stdout.encode(errors="surrogateescape")
        == f"export PYTHONPATH='{site}:{site}/".encode() + b"\xe9'\n"
    )


def test_a_block_that_becomes_far_larger_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.bundle.archive.parts.BLOCK", script.BLOCK + 1)
    hostile(made, (member("zeros"), b"\0" * (script.BLOCK + 1)))
    assert "the archive is damaged (a block is too large)" in refused(made, 4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {"schema": st.just(1), "blocks": JSON | st.lists(JSON), "site": JSON},
        optional={
            "parts": JSON | st.lists(st.fixed_dictionaries({"name": JSON, "bytes": JSON, "sha256": JSON}))
        },
    )
)
def test_any_manifest_is_read_or_refused_in_one_line(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / script.MANIFEST).write_text(json.dumps(document))
        with suppress(script.UnpackError):
            script.find_parts(script.read_manifest(folder), [folder])
