"""The tables of requirements agree with the metadata for every Python version."""

from dataclasses import replace
from pathlib import Path

import pytest

from compat.index.build.precompute import conclude
from compat.index.query.release_summaries import direct_clashes, summaries
from compat.index.reader import Index
from compat.index.writer import write_index
from compat.model.releases import SGLANG, VLLM
from compat.partners.clashes import direct_clashes as parsed_clashes
from compat.requirements.release_requirements import requirements_of
from sources import content, release

SGLANGS = [
    ["torch==2.1.2; extra == 'srt'", "sglang[a]", "x==1; extra == 'a'", "vllm==2"],
    ["torch==2.1.2; python_version < '3.10'", 'torch==2.2; python_full_version >= "3.10.1"', "x==1"],
    ["torch==2.2", "x>1,<3; python_version in '3.8 3.9'", "X[gpu,cpu]!=2; python_version == '3.12'"],
    ["torch==2.2", "x==1; sys_platform == 'win32'", "y~=1.4"],
    ["torch==2.2", "x==1; sys_platform == 'win32'", "y~=1.4"],
]
VLLMS = [
    ["torch==2.2", "x>=2", "sglang<2"],
    ["torch==2.2.0", "x<=1", "y==1.3", "this is no requirement ;"],
    ["torch", "x==2.0", "y==1.9"],
]
PYTHONS = ("3.0", "3.8", "3.9", "3.10", "3.11", "3.12", "3.61", "3.62", "3.99")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    path = tmp_path_factory.mktemp("requirements") / "index.sqlite"
    contents = [
        content(package, package, *(release(str(at), {}, each) for at, each in enumerate(lines, start=1)))
        for package, lines in (("sglang", SGLANGS), ("vllm", VLLMS))
    ]
    write_index(path, contents, conclude)
    return Index(path)


@pytest.mark.parametrize("python", PYTHONS)
def test_they_say_what_the_metadata_says(index: Index, python: str) -> None:
    parsed = {
        package: [requirements_of(package, row, python) for row in index.releases(package)]
        for package in (SGLANG, VLLM)
    }
    for package, needs in parsed.items():
        names = {name for each in needs for name in each.wants}
        found = summaries(index, package, python, names)
        assert [each.version for each in found] == list(index.versions(package))
        for summary, each in zip(found, needs, strict=True):
            assert summary.extras == each.extras
            assert {name: wanted.specifier for name, wanted in summary.wants.items()} == {
                name: str(specifiers) for name, specifiers in each.wants.items()
            }
            assert summary.torch == (str(each.torch) if each.torch else None)
            assert summary.kernels == each.summary.kernels
    for at, sglang in enumerate(parsed[SGLANG]):
        found_clashes = direct_clashes(index, SGLANG, at, python)
        for other, vllm in enumerate(parsed[VLLM]):
            known = [clash.package for clash in parsed_clashes(sglang, vllm)]
            assert [clash.package for clash in found_clashes.get(other, ())] == known
            back = direct_clashes(index, VLLM, other, python).get(at, ())
            assert back == found_clashes.get(other, ())


def test_what_clashes_is_told_with_both_sides(index: Index) -> None:
    first, *_ = direct_clashes(index, SGLANG, 0, "3.11")[0]
    assert tuple(first) == ("vllm", "==2", "==1"), "the pair's own word, whichever side names the other"
    (clash,) = direct_clashes(index, SGLANG, 3, "3.11")[1]
    assert tuple(clash) == ("y", "~=1.4", "==1.3")


def test_what_stays_the_same_is_one_row(index: Index) -> None:
    rows = index.rows("SELECT name, first, last FROM requirements WHERE package = ? AND name = 'y'", 1)
    assert rows == [("y", 3, 4)]


@pytest.mark.parametrize(("asked", "excluded"), [(None, False), (">=3.10", False), (">=3.12,<3.14", True)])
def test_a_python_may_be_excluded(tmp_path: Path, asked: str | None, excluded: object) -> None:
    plain = release("1", {})
    made = content("vllm", "vllm", replace(plain, row=replace(plain.row, requires_python=asked)))
    write_index(tmp_path / "i", [made], conclude)
    (summary,) = summaries(Index(tmp_path / "i"), VLLM, "3.11", ())
    assert summary.excluded is excluded
    assert set(summary.python.split(",")) == set((asked or "").split(","))
