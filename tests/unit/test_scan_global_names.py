"""`compat scan`: names that a function of a module binds by `global`, which exist once it has run."""

from pathlib import Path

import pytest

from compat.scan.check.file_checker import Analysis
from compat.scan.check.scanned_tree import ScannedTree
from compat.scan.releases.index_lookup import ReleaseSet
from sources import content, index, release

HASHES = """
    NONE_HASH: int
    def init_none_hash(function):
        global NONE_HASH
        NONE_HASH = function(1)
    """


def broken(folder: Path, source: str) -> list[tuple[int, str, str]]:
    """Return the line, rule and reason of each finding except notes, in a release with these names."""
    files = {"vllm/__init__.py": "", "vllm/hashes.py": HASHES}
    made = index(folder / "index", content("vllm", "vllm", release("1.0", files)))
    path = folder / "code.py"
    path.write_text(source)
    analysis = Analysis(ScannedTree(made, [str(path)]), {"vllm": ReleaseSet("vllm", (0,), ("1.0",))})
    found = analysis.check_file(str(path)).findings
    return [(each.line, each.rule, each.broken_ranges[0].reason) for each in found if each.level != "note"]


@pytest.mark.parametrize(
    "source",
    [
        "import vllm.hashes as kv\nkv.init_none_hash(hash)\nprint(kv.NONE_HASH)\n",
        "from vllm import hashes\nhashes.init_none_hash(hash)\nhashes.NONE_HASH\n",
        "def f():\n    from vllm.hashes import NONE_HASH\n",
        "from unittest import mock\nmock.patch('vllm.hashes.NONE_HASH')\n",
        "import vllm.hashes as kv\nif hasattr(kv, 'NONE_HASH'):\n    kv.NONE_HASH\n",
    ],
)
def test_the_name_is_there_once_the_function_has_run(tmp_path: Path, source: str) -> None:
    assert broken(tmp_path, source) == []


def test_the_top_level_of_a_file_imports_it_too_early(tmp_path: Path) -> None:
    found = broken(tmp_path, "from vllm.hashes import init_none_hash, NONE_HASH\n")
    assert found == [(1, "CPT001", "bound only if init_none_hash() has run")]


def test_another_name_is_missing(tmp_path: Path) -> None:
    assert [line for line, _, _ in broken(tmp_path, "import vllm.hashes as kv\nkv.SOME_HASH\n")] == [2]
