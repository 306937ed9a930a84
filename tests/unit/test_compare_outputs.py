"""`tools/compare_outputs.py`, which finds every difference except in sentences for people."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "compare_outputs.py"
SAME = {
    "digests.json": '{"index.sqlite": "0"}\n',
    "scan/1-exit": "1\n",
    "scan/1-stdout.json": json.dumps(
        {"findings": [{"rule": "CPT001", "line": 3, "message": "a.b is gone in 0.9", "evidence": ["one"]}]}
    ),
    "scan/1-stderr.words": "compat: 0.9 is read\ncompat: 1 file\n",
    "scan/files/junit.xml": '<suite><case name="a"><failure message="gone">why</failure></case></suite>',
    "scan/files/code.py": "import vllm\n",
    "github/1-stdout.github": "::error file=a.py,line=3::gone\n",
    "export/1-stdout.rules": '# what is gone\n[lint]\n"a.b".msg = "gone"\n',
}


def tool(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def compared(folder: Path, changes: dict[str, tuple[str, str] | None], *options: str) -> tuple[int, str]:
    """Compare the record above with one in which texts are replaced or files are missing."""
    for side in ("old", "new"):
        for name, text in SAME.items():
            change = changes.get(name, ("", "")) if side == "new" else ("", "")
            if change is None:
                continue
            assert change[0] in text
            path = folder / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(*change) if change[0] else text)
    done = tool("compare", folder / "old", folder / "new", *options)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_equal_records_have_no_difference(tmp_path: Path) -> None:
    code, out = compared(tmp_path, {})
    assert code == 0
    assert out.splitlines() == [
        "3 records: 0 differences in documents, exit codes and files, 0 in words, 0 of these in facts"
    ]


@pytest.mark.parametrize(
    ("name", "change", "where"),
    [
        ("scan/1-exit", ("1", "0"), "line 1"),
        ("scan/1-stdout.json", ("CPT001", "CPT002"), "$.findings[0].rule"),
        ("scan/1-stdout.json", ('"rule"', '"code"'), "$.findings[0].rule"),
        ("scan/1-stdout.json", ('"line": 3', '"line": "3"'), "$.findings[0].line"),
        ("scan/1-stdout.json", ('["one"]', "{}"), "$.findings[0].evidence"),
        ("scan/1-stdout.json", (', "line": 3', ',  "line": 3'), "layout"),
        ("scan/1-stdout.json", ("}]}", ""), "line 1"),
        ("scan/files/junit.xml", ('name="a"', 'name="b"'), "$.children[0].name"),
        ("scan/files/junit.xml", ("failure", "error"), "$.children[0].children[0].tag"),
        ("scan/files/code.py", ("vllm", "sglang"), "line 1"),
        ("github/1-stdout.github", ("line=3", "line=4"), "$[0].read"),
        ("export/1-stdout.rules", ('"a.b"', '"a.c"'), "$[2].read"),
        ("digests.json", ('"0"', '"1"'), "$.index.sqlite"),
        ("scan/files/code.py", None, "file"),
        ("github/1-stdout.github", None, "file"),
    ],
)
def test_what_programs_read_must_be_equal(
    name: str, change: tuple[str, str] | None, where: str, tmp_path: Path
) -> None:
    code, out = compared(tmp_path, {name: change}, "--words-may-change")
    assert code == 1
    assert f"document: {name}: {where}" in out
    assert "0 in words" in out


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("scan/1-stdout.json", ("is gone", "was removed")),
        ("scan/1-stdout.json", ('["one"]', '["one", "more"]')),
        ("scan/1-stderr.words", ("is read", "was read")),
        ("scan/files/junit.xml", ("why", "because")),
        ("scan/files/junit.xml", ('message="gone"', 'message="removed"')),
        ("github/1-stdout.github", ("gone", "removed")),
        ("export/1-stdout.rules", ("what is gone", "what was removed")),
        ("export/1-stdout.rules", ('"gone"', '"removed"')),
    ],
)
def test_words_are_told_apart(name: str, change: tuple[str, str], tmp_path: Path) -> None:
    code, out = compared(tmp_path, {name: change})
    assert code == 1
    assert out.startswith(f"words: {name}: ")
    assert compared(tmp_path, {name: change}, "--words-may-change") == (0, out)


def test_a_version_that_a_sentence_loses_is_told(tmp_path: Path) -> None:
    changes: dict[str, tuple[str, str] | None] = {"scan/1-stderr.words": ("0.9 is read", "it is read")}
    code, out = compared(tmp_path, changes, "--words-may-change")
    assert code == 0
    assert out.splitlines()[:3] == [
        "words, facts: scan/1-stderr.words: line 1",
        "  - compat: 0.9 is read",
        "  + compat: it is read",
    ]


def test_what_is_recorded_twice_is_equal(tmp_path: Path) -> None:
    for side in ("old", "new"):
        assert tool("record", tmp_path / side, "--only", "scan-.-*-fix-in-styles").returncode == 0
    assert (tmp_path / "old/scan-.-vllm->=0.28.0-fix-in-styles/files/tries/alias.py").is_file()
    done = tool("compare", tmp_path / "old", tmp_path / "new")
    assert (done.returncode, done.stdout[:10]) == (0, "2 records:")
