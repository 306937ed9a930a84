"""Sources: checkouts, commits, wheels and environments are read like releases, and told as what they are."""

import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from packaging.version import Version

from checkouts import ENGINE, NEW, OLD, commit, git, source_of, write_small_index
from compat.errors import IntegrityError, UsageError
from compat.index.additions import TABLE
from compat.index.extended import ExtendedIndex, open_index
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
from compat.scan.fix.edits import Edit, Target
from compat.scan.fix.first_release import with_exact_releases
from compat.sources import opening
from compat.sources.opening import OpenedSources, SourceFiles, open_sources, write_own_file
from compat.sources.read_source import SourceReader
from compat.sources.stores.addresses import Address, is_source, parse_address
from compat.sources.stores.located import stores
from compat.sources.stores.package_roots import find_package

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    return write_small_index(tmp_path, {"1.0": OLD, "1.1": NEW})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    commit(tmp_path / "repo", source_of(NEW))
    return tmp_path / "repo"


def opened(shipped: Path, *texts: str) -> tuple[OpenedSources, Index]:
    found = open_sources({"vllm": texts}, path=shipped)
    return found, open_index(found.files, shipped)


def status(index: Index, module: str, name: str, version: str) -> str:
    at = index.release_index("vllm", version, "test")
    return NameResolver(index, alone(index, "vllm", at)).answer(module, name).status


def test_what_has_a_slash_is_a_source_and_what_is_a_version_is_none() -> None:
    assert [*map(is_source, ("./vllm", "git+file:x@v1", "env:x", "a-1.0-py3-none-any.whl", "."))] == [
        True
    ] * 5
    assert [*map(is_source, ("1.0", "latest", ">=0.20,<0.24", "0.4.7..0.4.9", "all", "acme"))] == [False] * 6


def test_the_reference_of_a_commit_follows_the_last_at_sign() -> None:
    assert parse_address("git+file:./a@b/vllm@v1") == Address("git", "./a@b/vllm", "v1")
    assert parse_address("git+file:./vllm") == Address("git", "./vllm", "HEAD")
    assert parse_address("git+file:./vllm@A..B") == Address("git", "./vllm", "A..B")


def test_a_commit_at_a_release_has_the_rows_of_the_release(shipped: Path, checkout: Path) -> None:
    found, index = opened(shipped, f"git+file:{checkout}@HEAD")
    (version,) = found.texts["vllm"]
    at = index.release_index("vllm", version, "test")
    released = index.release_index("vllm", "1.1", "test")
    assert index.release_names("vllm", at) == index.release_names("vllm", released)
    assert index.modules("vllm", at) == index.modules("vllm", released)


def test_what_a_build_makes_is_told_and_not_missing(shipped: Path, checkout: Path) -> None:
    found, index = opened(shipped, str(checkout))
    (version,) = found.texts["vllm"]
    facts = index.addition("vllm", index.release_index("vllm", version, "test"))
    assert facts is not None
    assert facts.generated == ("vllm._C", "vllm._version", "vllm.flash", "vllm.flash.interface")
    assert status(index, "vllm.flash.interface", "attention", version) == "defined"
    assert "4 modules that a build makes" in found.notes[0]


def test_a_module_that_the_source_removed_is_missing(shipped: Path, tmp_path: Path) -> None:
    files = source_of(NEW)
    del files["vllm/engine.py"]
    commit(tmp_path / "repo", files)
    found, index = opened(shipped, str(tmp_path / "repo"))
    assert status(index, "vllm.engine", "Engine", found.texts["vllm"][0]) == "missing"


def test_the_answer_names_the_commit_and_the_nearest_release(shipped: Path, checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")[:7]
    found, index = opened(shipped, str(checkout))
    facts = index.addition("vllm", 2)
    assert facts is not None
    assert (facts.label, facts.nearest) == (f"checkout {head}", "1.1")
    assert found.texts["vllm"] == (f"1.1+g{head}",)
    (checkout / "vllm/__init__.py").write_text("changed = 1\n")
    found, index = opened(shipped, str(checkout))
    facts = index.addition("vllm", 2)
    assert facts is not None
    assert facts.label == f"checkout {head}, changed"
    assert facts.distance == "1.1 (1 of 2 files are the same, 1 changed)"


def test_the_second_time_parses_nothing(
    shipped: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = opened(shipped, str(checkout))

    def refused(*_: object) -> None:
        raise AssertionError("a file was read again")

    monkeypatch.setattr(SourceReader, "read", refused)
    assert opened(shipped, str(checkout))[0] == first


def test_a_commit_parses_only_the_files_that_changed(shipped: Path, checkout: Path) -> None:
    opened(shipped, str(checkout))
    commit(checkout, source_of(NEW, **{"vllm/engine.py": f"{ENGINE}x = 1\n"}))
    reader = SourceReader(opening.cache_folder())
    store = next(iter(stores(parse_address(f"git+file:{checkout}@HEAD"), "vllm", "test")))
    reader.read(store, find_package(store, "vllm", "test"), "vllm")
    assert reader.parsed == 1


def test_a_range_of_commits_is_one_release_each(shipped: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    first = commit(repo, source_of(OLD))
    commit(repo, source_of(OLD, **{"vllm/extra.py": "x = 1\n"}))
    last = commit(repo, source_of(NEW))
    found, index = opened(shipped, f"git+file:{repo}@{first}..{last}")
    assert len(found.texts["vllm"]) == 3
    assert [status(index, "vllm.extra", "x", each) for each in found.texts["vllm"]] == [
        "missing",
        "defined",
        "missing",
    ]


def test_a_move_since_the_nearest_release_has_its_successor(shipped: Path, tmp_path: Path) -> None:
    files = source_of(NEW)
    files["vllm/core/engine.py"] = files.pop("vllm/engine.py")
    files["vllm/__init__.py"] = "from vllm.core.engine import start\n"
    commit(tmp_path / "repo", files)
    _, index = opened(shipped, str(tmp_path / "repo"))
    moved = {
        (each.module, each.name) for name in ("start", "Engine") for each in index.successors(name, "vllm", 2)
    }
    assert ("vllm.core.engine", "Engine") in moved
    assert index.successors("Engine", "vllm", 1) == ()


def test_no_version_test_is_written_for_what_is_in_no_release_yet(shipped: Path, tmp_path: Path) -> None:
    files = source_of(NEW)
    files["vllm/core/engine.py"] = files.pop("vllm/engine.py")
    commit(tmp_path / "repo", files)
    _, index = opened(shipped, str(tmp_path / "repo"))
    *_, released, unreleased = index.versions("vllm")
    assert (released, Version(unreleased).local is not None) == ("1.1", True)
    old, new = Target("vllm.engine", "Engine"), Target("vllm.core.engine", "Engine")
    edit = Edit(
        line=1,
        column=1,
        targets=(new, Target("", "")),
        releases="",
        old=old,
        package="vllm",
        since=(unreleased,),
    )
    assert with_exact_releases(index, edit, (released, unreleased)).since == ()
    assert with_exact_releases(index, edit._replace(since=("1.1",)), ("1.0", "1.1")).since == ("1.1",)


def test_wheels_and_environments_have_what_was_built(shipped: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "vllm-1.2-py3-none-any.whl"
    site = tmp_path / "env/lib/python3.11/site-packages"
    metadata = "Metadata-Version: 2.1\nName: vllm\nVersion: 1.2\nRequires-Dist: torch==2.9\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**NEW, "vllm-1.2.dist-info/METADATA": metadata}.items():
            archive.writestr(name, text)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    found, index = opened(shipped, str(wheel), f"env:{tmp_path / 'env'}")
    assert found.texts["vllm"] == ("1.2",)
    facts = index.addition("vllm", 2)
    assert facts is not None
    assert (facts.label, facts.generated) == (f"wheel {wheel.name}", ())
    assert index.requires_dist("vllm", 2) == ("torch==2.9",)


def test_a_tree_without_git_is_told_by_its_content(shipped: Path, tmp_path: Path) -> None:
    for name, text in source_of(OLD).items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    _, index = opened(shipped, str(tmp_path / "tree"))
    facts = index.addition("vllm", 2)
    assert facts is not None
    assert (facts.label[:5], facts.nearest) == ("tree ", "1.0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("./nowhere/vllm", "does not exist"),
        ("git+file:{}@HEAD", "is not a git repository"),
        ("{}", "there is no vllm/__init__.py in it"),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(
    shipped: Path, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        opened(shipped, text.format(tmp_path / "empty"))


def test_another_package_of_the_same_name_is_refused(shipped: Path, tmp_path: Path) -> None:
    modules = ("__init__", *map("m{}".format, range(40)))
    commit(tmp_path / "repo", {f"vllm/{name}.py": "x = 1\n" for name in modules})
    with pytest.raises(UsageError, match="it is another package"):
        opened(shipped, str(tmp_path / "repo"))


def test_an_answer_for_the_newest_release_is_not_reused_for_a_source(shipped: Path, tmp_path: Path) -> None:
    commit(tmp_path / "repo", source_of(NEW, **{"vllm/engine.py": f"{ENGINE}added = 1\n"}))
    _, index = opened(shipped, str(tmp_path / "repo"))
    with index.watched() as same:
        assert index.branches("vllm.engine", "added", "vllm", 1) == ()
    assert same == {"vllm": (0, 1)}
    assert isinstance(index, ExtendedIndex)
    assert index.branches("vllm.engine", "added", "vllm", 2)


def test_latest_and_specifiers_select_releases(shipped: Path, checkout: Path) -> None:
    from compat.resolve.release_selection import Request, subjects

    found, index = opened(shipped, str(checkout))
    assert isinstance(index, ExtendedIndex)
    chosen, _ = subjects(Request(vllm=("latest", *found.texts["vllm"])), index)
    assert [(each.version, each.source.partition(" ")[0]) for each in chosen] == [
        ("1.1", "index"),
        (found.texts["vllm"][0], "checkout"),
    ]


def test_a_file_of_ones_own_is_read_beside_the_shipped_index(
    shipped: Path, tmp_path: Path, checkout: Path
) -> None:
    target = tmp_path / "own.sqlite"
    store = next(iter(stores(parse_address(str(checkout)), "vllm", "test")))
    SourceFiles(shipped).write(store, "vllm", target, "test", "acme")
    found = open_sources({"vllm": ("acme", "1.0")}, [str(target)], shipped)
    assert found.texts["vllm"] == ("1.1+acme", "1.0")
    index = open_index(found.files, shipped)
    assert index.versions("vllm") == ("1.0", "1.1", "1.1+acme")
    assert status(index, "vllm.engine", "Engine", "1.1+acme") == "defined"


@pytest.mark.parametrize("name", ["1.0", "latest", "a/b", ""])
def test_a_name_that_could_be_a_version_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be told from a version"):
        write_own_file("./vllm", name, tmp_path / "own.sqlite")


def test_a_file_without_builds_is_refused(shipped: Path) -> None:
    with pytest.raises(IntegrityError, match="it has no builds"):
        open_index([str(shipped)], shipped)


def test_a_damaged_wheel_and_a_damaged_file_are_refused_in_one_line(shipped: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "vllm-1.2-py3-none-any.whl"
    wheel.write_bytes(b"PK not a wheel")
    with pytest.raises(IntegrityError, match="not a valid wheel"):
        opened(shipped, str(wheel))
    own = tmp_path / "own.sqlite"
    shutil.copyfile(shipped, own)
    with closing(sqlite3.connect(own)) as database, database:
        database.execute(f"CREATE TABLE {TABLE}")
        database.execute("INSERT INTO additions VALUES ('vllm', 0, '[1, 2]')")
    with pytest.raises(IntegrityError, match="its builds cannot be read"):
        open_index([str(own)], shipped)


def test_nothing_else_is_overwritten_by_a_file_of_ones_own(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    wheel = tmp_path / "vllm-1.2-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    for target, why in ((wheel, "exists and is no"), (shipped, "exists and is no"), (wheel.parent, "folder")):
        before = target.read_bytes() if target.is_file() else None
        with pytest.raises(UsageError, match=why):
            write_own_file(str(wheel), "acme", target)
        assert before is None or target.read_bytes() == before


def test_an_index_file_that_is_none_is_told_what_writes_one(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no such file; write one with "compat index add"'):
        open_index([str(tmp_path / "none.sqlite")], shipped)
    (tmp_path / "own.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(IntegrityError, match='damaged, or not of this version of "compat index add"'):
        open_index([str(tmp_path / "own.sqlite")], shipped)


@pytest.mark.parametrize("ref", ["none", "--upload-pack=x", "--output=x..HEAD"])
def test_a_commit_that_does_not_exist_is_told_where_the_package_is_not_named(
    checkout: Path, tmp_path: Path, ref: str
) -> None:
    with pytest.raises(UsageError, match="has no commit"):
        write_own_file(f"git+file:{checkout}@{ref}", "acme", tmp_path / "own.sqlite")


def test_a_damaged_file_of_the_cache_is_written_again(shipped: Path, checkout: Path, tmp_path: Path) -> None:
    before, _ = opened(shipped, str(checkout))
    for file in (tmp_path / "cache" / "builds").iterdir():
        file.write_bytes(b"no database" * 100)
    again, index = opened(shipped, str(checkout))
    assert again == before
    assert status(index, "vllm.engine", "Engine", again.texts["vllm"][0]) == "defined"
