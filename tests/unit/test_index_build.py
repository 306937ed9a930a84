"""Build and check an index against a local package index with real wheels."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wheelhouse
from compat.errors import IntegrityError
from compat.index.build.build_index import BuildReport, build_index
from compat.index.build.read_back import merged, read_content, replayed
from compat.index.build.update import update_index
from compat.index.build.verify import check_releases, draw
from compat.index.reader import Index
from compat.settings.releases import read_packages
from compat.wheels.package_index import Registry
from compat.wheels.source_cache import SourceCache
from wheelhouse import build_wheel, serving

Build = Callable[..., BuildReport]
PACKAGES = ("sglang", "vllm")
VERSIONS = {
    "1.0": {"sglang/__init__.py": b"from .a import *", "sglang/a.py": b"class A: pass\nclass Gone: pass"},
    "1.1": {
        "sglang/__init__.py": b"from .a import *",
        "sglang/a.py": b"class A:\n    def __init__(self, x): ...",
    },
    "2.0rc1": {
        "sglang/__init__.py": b"",
        "sglang/b/__init__.py": b"class A: pass",
        "sglang/_C.abi3.so": b"elf",
    },
}


@pytest.fixture
def house() -> Iterator[wheelhouse.Index]:
    with serving() as served:
        for version, files in VERSIONS.items():
            add(served, "sglang", version, files)
        add(served, "vllm", "0.1", {"vllm/__init__.py": b"import torch"}, ("torch==2.7.0", "requests"))
        yield served


def add(
    house: wheelhouse.Index,
    name: str,
    version: str,
    files: dict[str, bytes],
    requires: tuple[str, ...] = (),
) -> None:
    house.add(f"{name}-{version}-py3-none-any.whl", build_wheel(name, version, files, requires=requires))


def files_asked(house: wheelhouse.Index) -> list[str]:
    return [asked.path for asked in house.log if asked.path.startswith("/files/")]


@pytest.fixture
def build(house: wheelhouse.Index, tmp_path: Path) -> Build:
    def run(target: Path, cache: str = "cache") -> BuildReport:
        with Registry(endpoint=house.simple) as registry:
            kept = SourceCache(tmp_path / cache)
            return build_index(target, registry=registry, cache=kept, packages=PACKAGES)

    return run


def test_a_build_reads_every_release(build: Build, tmp_path: Path) -> None:
    report = build(tmp_path / "i")
    assert (report.releases, report.files) == (4, 7)
    assert 0 < report.fetched <= report.wheels
    made = Index(tmp_path / "i")
    assert made.versions("sglang") == ("1.0", "1.1", "2.0rc1")
    assert made.releases("vllm")[0].requires_dist == ("torch==2.7.0", "requests")
    assert made.branches("sglang", "Gone", "sglang", 0)[0].target == "sglang.a:Gone"
    assert made.branches("sglang", "Gone", "sglang", 1) == ()
    (branch,) = made.branches("sglang.a", "A", "sglang", 1)
    assert made.signature(branch.signature) == '{"__init__":"(self, x)"}'
    assert made.module("sglang._C", "sglang", 2)


def test_a_second_build_asks_for_no_file_and_gives_the_same_bytes(
    build: Build, house: wheelhouse.Index, tmp_path: Path
) -> None:
    build(tmp_path / "one")
    house.log.clear()
    assert build(tmp_path / "two").fetched == 0
    assert not files_asked(house)
    build(tmp_path / "three", "another cache")
    assert (
        (tmp_path / "one").read_bytes()
        == (tmp_path / "two").read_bytes()
        == (tmp_path / "three").read_bytes()
    )


def test_an_interrupted_build_goes_on_where_it_was(
    build: Build, house: wheelhouse.Index, tmp_path: Path
) -> None:
    bad = build_wheel(
        "vllm", "0.2", {"vllm/__init__.py": b""}, record={"vllm/__init__.py": "sha256=" + "A" * 43}
    )
    house.add("vllm-0.2-py3-none-any.whl", bad)
    with pytest.raises(IntegrityError, match=r"vllm-0\.2-py3-none-any\.whl: vllm/__init__\.py differs"):
        build(tmp_path / "i")
    assert not (tmp_path / "i").exists()
    house.log.clear()
    house.projects["vllm"].pop()
    assert build(tmp_path / "i").releases == 4
    assert not files_asked(house)


def test_replaying_gives_each_release_as_it_was_read(build: Build, tmp_path: Path) -> None:
    build(tmp_path / "i")
    content = read_content(Index(tmp_path / "i"), "sglang")
    releases = [{module.name: module for module in modules} for modules in replayed(content)]
    assert [sorted(modules) for modules in releases] == [
        ["sglang", "sglang.a"],
        ["sglang", "sglang.a"],
        ["sglang", "sglang._C", "sglang.b"],
    ]
    assert set(releases[0]["sglang"].names) == {"", "A", "Gone"}
    assert set(releases[1]["sglang"].names) == {"", "A"}
    assert releases[2]["sglang._C"].form == "extension"
    for release_index, modules in enumerate(releases):
        assert list(modules.values()) == list(merged(Index(tmp_path / "i"), "sglang", release_index))


@pytest.mark.parametrize("late", ["2.0rc1", "1.1", "1.0"])
def test_an_update_fetches_what_is_new_and_gives_what_a_build_gives(
    late: str, build: Build, house: wheelhouse.Index, tmp_path: Path
) -> None:
    """The new release may be the last, in the middle (a patch of an older line), or the first."""
    build(tmp_path / "full" / "whole")
    everything = house.projects["sglang"]
    house.projects["sglang"] = [file for file in everything if f"-{late}-" not in file["filename"]]
    build(tmp_path / "i", "other cache")
    house.projects["sglang"] = everything
    house.log.clear()
    for expected in ([late], []):
        with Registry(endpoint=house.simple) as registry:
            added, report = update_index(
                tmp_path / "i",
                tmp_path / "i",
                registry=registry,
                cache=SourceCache(tmp_path / "other cache"),
                packages=PACKAGES,
            )
        assert ([str(release.version) for release in added], report.releases) == (expected, len(expected))
    assert {path.rpartition("/")[2] for path in files_asked(house)} == {f"sglang-{late}-py3-none-any.whl"}
    assert (tmp_path / "i").read_bytes() == (tmp_path / "full" / "whole").read_bytes()
    outlines = tmp_path / "full" / "sources.sqlite"
    assert (tmp_path / "sources.sqlite").read_bytes() == outlines.read_bytes()
    settings = (tmp_path / "full" / "settings.tsv").read_text()
    assert (tmp_path / "settings.tsv").read_text() == settings
    assert settings.count("\n@") == 2


def test_check_finds_what_differs_and_nothing_else(
    build: Build, house: wheelhouse.Index, tmp_path: Path
) -> None:
    build(tmp_path / "i")
    made = Index(tmp_path / "i")
    drawn = draw(made, 100, seed=1)
    assert len(drawn) == 4
    assert draw(made, 2, seed=5) == draw(made, 2, seed=5)
    with Registry(endpoint=house.simple) as registry:
        settings = read_packages(tmp_path / "settings.tsv")
        assert list(check_releases(made, drawn, registry, settings=settings)) == []
    code = b'class A: pass\nclass New: name = "SGLANG_NEW"\n'
    changed = {**VERSIONS["1.1"], "sglang/a.py": code}
    house.projects["sglang"] = [file for file in house.projects["sglang"] if "-1.1-" not in file["filename"]]
    add(house, "sglang", "1.1", changed)
    with Registry(endpoint=house.simple) as registry:
        differences = list(check_releases(made, drawn, registry, settings=settings))
    assert [each.where for each in differences] == [
        "wheel", "sglang:New", "sglang.a:A", "sglang.a:New", "variable SGLANG_NEW",
    ]  # fmt: skip
    assert (differences[-1].shipped, differences[-1].read) == ("nothing", "it")
