"""CPT000: what cannot be read or parsed is a finding, and a notebook loses no cell."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compat import errors
from compat.scan.cli import main
from compat.scan.sources import notebook
from compat.scan.sources.discovery import LARGEST, read

BROKEN = "import vllm.worker.worker"


def scanned(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[tuple[str, int, str]]:
    """Return the file, the line and the rule of each finding; the exit code is 1 if there is one."""
    capsys.readouterr()
    code = main([str(folder), "--vllm", "0.23.0", "--format", "json", *options])
    findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    assert code == (errors.FINDINGS if findings else errors.CLEAN)
    return [(Path(each["path"]).name, each["line"], each["rule"]) for each in findings]


def write_notebook(folder: Path, *cells: str) -> None:
    document = {"cells": [{"cell_type": "code", "source": cell} for cell in cells]}
    (folder / "n.ipynb").write_text(json.dumps(document))


@pytest.mark.parametrize("imported", ["vllm.worker.worker", "vllm.envs"])
def test_a_file_that_does_not_parse_is_a_finding_whatever_it_imports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], imported: str
) -> None:
    (tmp_path / "a.py").write_text(f"import {imported}\nx = 1\ndef (:\n")
    assert scanned(tmp_path, capsys) == [("a.py", 3, "CPT000")]


def test_the_finding_says_where_and_why_in_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.py"
    path.write_text("import vllm\ndef (:\n")
    for format_ in ("text", "sarif", "github", "junit", "html"):
        assert main([str(path), "--vllm", "0.23.0", "--format", format_]) == errors.FINDINGS
        out = capsys.readouterr().out
        assert "CPT000" in out or format_ == "html"
        assert any(place in out for place in (":2", "line=2", '"startLine": 2', ">2:5 "))
        assert "was not checked: invalid syntax" in out
    main([str(path), "--vllm", "0.23.0"])
    assert f"{path}:2:5: CPT000 the file was not checked: invalid syntax\n" in capsys.readouterr().out


def test_a_finding_of_an_unread_file_is_selected_silenced_and_known_as_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("import vllm\ndef (:  # compat: ignore[CPT000]\n")
    assert scanned(tmp_path, capsys) == []
    (tmp_path / "b.py").symlink_to("nowhere.py")
    assert scanned(tmp_path, capsys) == [("b.py", 1, "CPT000")]
    assert scanned(tmp_path, capsys, "--ignore", "CPT000") == []
    baseline = str(tmp_path / "known.json")
    main([str(tmp_path), "--vllm", "0.23.0", "--write-baseline", baseline])
    assert scanned(tmp_path, capsys, "--baseline", baseline) == []


def test_an_unread_file_is_left_alone_by_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("import vllm\ndef (:\n")
    assert main([str(tmp_path), "--vllm", "0.23.0", "--fix"]) == errors.FINDINGS
    assert "a.py:2: not changed: the file was not checked: invalid syntax" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_read(tmp_path: Path, device: str) -> None:
    (tmp_path / "link").symlink_to(device)
    with pytest.raises(OSError, match="not a regular file"):
        read(str(tmp_path / "link"))


def test_a_large_script_that_is_named_is_not_left_out_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "run.sh"
    script.write_text("vllm serve m --max-model-len 9\n" * 40_000)
    (tmp_path / "a.py").write_text("import vllm\n")
    code = main([str(script), str(tmp_path / "a.py"), "--vllm", "0.23.0"])
    assert code == errors.FINDINGS
    assert "CPT000" in (told := capsys.readouterr().out)
    assert "larger than 1 MB" in told


def test_a_file_that_grows_is_read_up_to_a_limit(tmp_path: Path) -> None:
    with (tmp_path / "a.py").open("wb") as file:
        os.truncate(file.fileno(), LARGEST + 1)
    with pytest.raises(OSError, match="larger than 10 MB"):
        read(str(tmp_path / "a.py"))


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        (f"{BROKEN}  # still needed?", 1),
        (f"{BROKEN}\nx = (7\n   % 2)", 1),
        (f"{BROKEN}\nx = (7\n   !=\n2)", 1),
        (f"x = 7 \\\n  % 2\n{BROKEN}", 3),
        (f'x = """\n%time\n!ls\nwhy?\n"""\n{BROKEN}', 6),
        (f"!pip install a \\\n  b\n{BROKEN}", 3),
        (f"!pip install a \\\n  b \\\n  'c\n{BROKEN}", 4),
        (f"%env A=1 \\\n  2\n{BROKEN}", 3),
        (f"files = !ls \\\n  -l\n{BROKEN}", 3),
        (f"a.b, c = %sql select 'x\n{BROKEN}", 2),
        (f"vllm.LLM?\n{BROKEN}", 2),
        (f"?vllm.LLM\nvllm.LLM??\n{BROKEN}", 3),
        (f"!ls\nx = 'why?'  # why?\nprint('(')\n{BROKEN}", 4),
        (f"!ls\nx = [1,  # one (\n  '%',\n  % 2\n]\n{BROKEN}".replace("  % 2\n", "  7\n  % 2\n"), 7),
        (f"if x:\n    %time y = 1\n    !ls\n    {BROKEN}", 4),
        (f"%%time\n{BROKEN}", 2),
        (f"%timeit {BROKEN}", 1),
        (f"if x:\n    %time {BROKEN}", 2),
        (f"%timeit -n 1 x(\n%time x(\n{BROKEN}", 3),
        (f"%%capture out\n!ls\n{BROKEN}", 3),
        (f"\n%%writefile a.py\n{BROKEN}", 3),
        (f"%%mine\n{BROKEN}", 2),
        (f"await f()\n{BROKEN}", 2),
        (f"!ls\r\n{BROKEN}\r\n", 2),
    ],
)
def test_a_notebook_loses_no_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str, line: int
) -> None:
    write_notebook(tmp_path, cell)
    assert scanned(tmp_path, capsys) == [("n.ipynb", line, "CPT001")]


@pytest.mark.parametrize(
    "cell", ["%%bash\nvllm serve (", "%%html\n<a>", "%%mine\nselect * from (", "%%sql", ""]
)
def test_a_cell_in_another_language_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    write_notebook(tmp_path, cell, BROKEN)
    assert [rule for _, _, rule in scanned(tmp_path, capsys)] == ["CPT001"]


@pytest.mark.parametrize(("cell", "line"), [("x = 1\ndef (:", 2), ("%%time\nx = (", 2), ("!ls\n)\n", 2)])
def test_a_cell_that_does_not_parse_is_a_finding_and_the_others_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str, line: int
) -> None:
    write_notebook(tmp_path, "import os", cell, BROKEN)
    found = scanned(tmp_path, capsys)
    assert found == [
        ("n.ipynb", 1 + line, "CPT000"),
        ("n.ipynb", 1 + len(cell.split("\n")) + 1, "CPT001"),
    ]
    main([str(tmp_path), "--vllm", "0.23.0"])
    assert f"cell 2, line {line}: CPT000 the cell was not checked: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        " " * 40_000 + "x=" + " " * 40_000 + "(",
        '"\\' * 40_000,
        "'\\\"" * 40_000,
        "x, " * 20_000 + "= 1 (",
        "(" * 40_000,
        '"""' * 30_001 + "?",
    ],
)
def test_a_long_line_of_a_cell_takes_linear_work(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of tokens that are searched for is at most the number of characters."""
    searches = 0
    pattern = notebook._TOKEN

    class Counted:
        def search(self, text: str, at: int) -> object:
            nonlocal searches
            searches += 1
            found = pattern.search(text, at)
            assert found is None or found.end() > at
            return found

    monkeypatch.setattr(notebook, "_TOKEN", Counted())
    list(notebook._without_magics([line, "!ls"]))
    assert searches <= len(line) + 5


def test_findings_are_not_lost_when_the_reader_leaves(tmp_path: Path) -> None:
    """With pipefail, a gate sees 1, or 141 if the report did not fit into the pipe; never 0."""
    codes = []
    for count in (1, 3_000):
        (tmp_path / "a.py").write_text(f"{BROKEN}\n" * count)
        command = shlex.join([sys.executable, "-m", "compat.scan", str(tmp_path), "--vllm", "0.23.0"])
        line = f"set -o pipefail; {command} | head -c1 >/dev/null"
        codes.append(subprocess.run(["bash", "-c", line], check=False, timeout=120).returncode)
    assert codes[0] in (errors.FINDINGS, errors.READER_LEFT)
    assert codes[1] == errors.READER_LEFT
