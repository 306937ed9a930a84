"""What a bundle leaves out: packages of the runner, trim lists, architectures; and unmet requirements."""

import json
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat.bundle.build import _skipped
from compat.bundle.completeness import unmet
from compat.bundle.provided import Package, read_provided, split
from compat.bundle.trim.trim_files import Drop, Trim, parse_arch
from compat.bundle.trim.trim_lists import PackageDrop, TrimList, read_trim_list, shipped
from compat.errors import UsageError
from wheelhouse import metadata

FREEZE = """\
# a comment
-e git+file:///src#egg=mine
Torch==2.11.0+cu130
sentence_transformers===6.0.1
wheel @ file:///tmp/wheel-0.45.whl
numpy
nvidia-*
tomli==2.0 ; python_version < "3.11"
"""
TABLE = """\
Package               Version      Editable project location
--------------------- ------------ -------------------------
Torch                 2.11.0+cu130
sentence_transformers 6.0.1        /src/here
"""


def listed(path: Path, text: str) -> dict[str, str | None]:
    path.write_text(text)
    return {one.name: str(one.version) if one.version else None for one in read_provided(path)}


def test_what_pip_freeze_writes_and_names(tmp_path: Path) -> None:
    assert listed(tmp_path / "has", FREEZE) == {
        "torch": "2.11.0+cu130",
        "sentence-transformers": "6.0.1",
        "wheel": None,
        "numpy": None,
        "nvidia-*": None,
        "tomli": "2.0",
    }


def test_what_pip_list_writes(tmp_path: Path) -> None:
    both = {"torch": "2.11.0+cu130", "sentence-transformers": "6.0.1"}
    assert listed(tmp_path / "table", TABLE) == both
    rows = [
        {"name": "Torch", "version": "2.11.0+cu130"},
        {"name": "sentence_transformers", "version": "6.0.1"},
    ]
    assert listed(tmp_path / "json", json.dumps(rows)) == both


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch\nno, this is prose", "line 2: 'no, this is prose' is neither a name nor name==version"),
        ("torch==two", "line 1: 'two' is not a valid version of torch"),
        ("torch>=2", "line 1: 'torch>=2' is neither"),
        ('["torch"]', 'not the output of "pip list --format=json"'),
        ('[{"name": 1, "version": 2}]', 'not the output of "pip list --format=json"'),
        pytest.param("[" * 100_000, 'not the output of "pip list --format=json"', id="nested"),
        ("[", 'not the output of "pip list --format=json"'),
        ('[{"name": "torch", "version": "two"}]', "'two' is not a valid version of torch"),
    ],
)
def test_a_list_that_cannot_be_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        listed(tmp_path / "has", text)


def test_an_exact_name_counts_before_a_glob() -> None:
    names = ("nvidia-ml-py", "nvidia-cublas", "torch")
    packages = {canonicalize_name(name): Version("1.0") for name in names}
    provided = (Package(name="nvidia-*", version=None), Package(name="nvidia-ml-py", version=Version("2.0")))
    chosen = split(packages, provided)
    assert sorted(chosen.carried) == ["nvidia-ml-py", "torch"]
    assert [one.name for one in chosen.left] == ["nvidia-cublas"]
    assert [one.name for one in chosen.differing] == ["nvidia-ml-py"]


@pytest.mark.parametrize("text", ["sm_90", "sm90", "sm_90a", "9.0"])
def test_an_architecture_has_many_spellings(text: str) -> None:
    assert parse_arch(text) == 90


def test_three_digits_are_blackwell() -> None:
    assert parse_arch("10.0") == parse_arch("sm_100f") == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[drop]]\nfiles = ['a']\n", "drop[0]: needs a reason, and files or packages"),
        ("[[drop]]\nreason = 'r'\n", "drop[0]: needs a reason, and files or packages"),
        ("[[drop]]\nreason = 'r'\nfile = ['a']\n", "drop[0].file: unknown key"),
        ("[[drop]]\nreason = 'r'\nfiles = 'a'\n", "drop[0].files: must be a list of strings"),
        ("[[drop]]\nreason = ['r']\nfiles = ['a']\n", "drop[0].reason: must be a string"),
        (
            "[[drop]]\nreason = 'r'\nfiles = ['a']\narch = ['hopper']\n",
            "drop[0].arch: 'hopper' is not a GPU architecture",
        ),
        pytest.param(f"drop = {'[' * 100_000}", "cannot be read", id="nested"),
        ("drop = 3\n", "must contain [[drop]] tables and nothing else"),
        ("drop = [3]\n", "drop[0]: must be a table"),
        ("x = ", "cannot be read"),
    ],
)
def test_a_trim_list_that_cannot_be_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)):
        read_trim_list(str(path), None)


def test_what_holds_for_one_architecture_is_passed_over_without_it() -> None:
    assert shipped() == ("linear",)
    general, hopper = (read_trim_list("linear", arch).files for arch in (None, 90))
    assert set(general) < set(hopper)
    (only,) = set(hopper) - set(general)
    assert only.patterns == ("vllm/vllm_flash_attn/_vllm_fa2_C.*",)


def test_of_several_reasons_the_first_is_reported() -> None:
    drops = (Drop(patterns=("a*",), reason="one"), Drop(patterns=("*.so",), reason="two"))
    found = Trim(python="3.11", drops=drops, requested=("*",)).apply({"a.so": 1, "b.so": 2, "c": 4})
    assert [(one.reason, one.files, one.bytes) for one in found] == [
        ("one", ("a.so",), 1),
        ("two", ("b.so",), 2),
        ("--drop *", ("c",), 4),
    ]
    packages = (PackageDrop(patterns=("ray",), reason="one"), PackageDrop(patterns=("r*",), reason="two"))
    names = {canonicalize_name(name): Version("1") for name in ("ray", "rich", "torch")}
    assert _skipped(names, TrimList(packages=packages)) == {"ray": "one", "rich": "two"}


def site(folder: Path, *distributions: str) -> Path:
    """Write the metadata of distributions: each is `name version`, then its requirements after `|`."""
    for text in distributions:
        head, *requires = (part.strip() for part in text.split("|"))
        name, version = head.split()
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(metadata(name, version, *requires))
    return folder


def missing(folder: Path, *roots: str, has: tuple[Package, ...] = (), python: str = "3.12") -> list[str]:
    found = unmet(folder, tuple(map(Requirement, roots)), has, python=python, excused=("meant",))
    return [f"{one.edge.by}: {one.edge.requirement}" for one in found]


def test_requirements_are_those_of_the_runner_and_of_the_asked_extras(tmp_path: Path) -> None:
    folder = site(
        tmp_path,
        "a 1 | b[fast]>=1 | w; sys_platform == 'win32' | old; python_version < '3.12' | meant",
        "b 1 | c; extra == 'fast' | d; extra == 'slow' | arm; platform_machine == 'aarch64'",
        "e 1 | f; extra == 'all'",
    )
    assert missing(folder, "a") == ["b: c"]
    assert missing(folder, "a", "b[slow]") == ["b: c", "b: d"]
    assert missing(folder, "a", python="3.11") == ["a: old", "b: c"]
    assert missing(folder, "a", has=(Package(name="c", version=None),)) == []


def test_broken_metadata_ends_in_no_traceback(tmp_path: Path) -> None:
    folder = site(tmp_path, "a 1 | b>=1 | b>= | c; sys_platform ~= 'lin' | nameless | d", "b unknown")
    (folder / "nameless-1.dist-info").mkdir()  # an installation that was cut off
    (folder / "latin-1.dist-info").mkdir()
    (folder / "latin-1.dist-info" / "METADATA").write_bytes(b"Author: Andr\xe9\nRequires-Dist: e\n")
    assert missing(folder, "a") == ["a: d", "latin: e"]


def test_a_version_that_the_runner_has_is_compared(tmp_path: Path) -> None:
    folder = site(tmp_path, "a 1 | torch==2.11.0")
    for version, expected in (("2.11.0+cu130", []), ("2.10.0", ["a: torch==2.11.0"])):
        assert missing(folder, "a", has=(Package(name="torch", version=Version(version)),)) == expected


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory; give the output of"):
        read_provided(tmp_path)
