"""Malformed files: each one is reported, none stops the scan, and nothing is executed."""

import ast
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compat.scan.cli import main
from compat.scan.prefilter.all_names_resolve import all_names_resolve
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.sources.discovery import LARGEST, Files, Walk
from compat.scan.sources.parse import survives
from compat.scan.sources.source_file import parse
from compat.scan.syntax.references import references

BROKEN = b"import vllm.worker.worker\n"


def scanned(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], dict[str, str]]:
    """Return the names of files with broken imports, and those of skipped files with the reasons.

    Each skipped file is a finding, too.
    """
    capsys.readouterr()
    code = main([str(folder), "--vllm", "0.23.0", "--format", "json"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    found = [Path(each["path"]).name for each in document["findings"] if each["rule"] != "CPT000"]
    unread = [each["path"] for each in document["findings"] if each["rule"] == "CPT000"]
    assert sorted(unread) == sorted(each["path"] for each in document["skipped"])
    assert code == int(bool(found or unread))
    return found, {Path(each["path"]).name: each["reason"] for each in document["skipped"]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"def f(:\n", "line 1"),
        (b"x = '\xff'\n", "utf-8"),
        (b"# coding: nonsense\n", "unknown encoding"),
        (b"x = 1\0\n", "null bytes"),
        (b"x = " + b"(" * 100_000 + b")" * 100_000, ""),
        (b"x = " + b"-" * 200_000 + b"1", ""),
        (b"x = " + b"+".join([b"1"] * 200_000), ""),
        (b"x" + b".a" * 200_000, ""),
        (b"x = (\n" + b"1 +\n" * 200_000 + b"1)", ""),
        (b"x = (a\n" + b".b\n" * 200_000 + b")", ""),
        (b"x = (f\n" + b"[0:1](a=1,)\n" * 100_000 + b")", ""),
        (b"if 1:\n pass\n" + b"elif 1:\n pass\n" * 100_000, ""),
        (b"if 1:\n" + b"".join(b" " * n + b"if 1:\n" for n in range(1, 300)), ""),
    ],
)
def test_an_unparsable_file_is_reported_and_the_scan_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, reason: str
) -> None:
    (tmp_path / "bad.py").write_bytes(data + b"\n" + BROKEN)
    (tmp_path / "good.py").write_bytes(BROKEN)
    found, skipped = scanned(tmp_path, capsys)
    assert "good.py" in found
    if "bad.py" in skipped:
        assert reason in skipped["bad.py"]
    else:
        assert reason == ""
        assert "bad.py" in found


def test_a_process_that_parses_nonsense_survives() -> None:
    """Source that kills the child process is not parsed here; it exists for Python 3.10 only."""
    assert survives(b"x = 1\n")
    assert survives(b"x = (\n")


@pytest.mark.parametrize("name", ["setup.py", "n.ipynb", "code.py"])
def test_depth_ends_nothing_wherever_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    deep = "x = (a\n" + ".b\n" * 200_000 + ")\nimport vllm.worker.worker\n"
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": deep}]})
    (tmp_path / name).write_text(notebook if name.endswith("ipynb") else deep)
    (tmp_path / "good.py").write_bytes(BROKEN)
    main([str(tmp_path), "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    found = {Path(each["path"]).name: each["rule"] for each in document["findings"]}
    assert found == {name: "CPT000", "good.py": "CPT001"}


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + BROKEN,
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n" + BROKEN,
        b"x = '\xc3\xa9'; import vllm.worker.worker\n",
        BROKEN.replace(b"\n", b"\r\n"),
        b"x = 1\r" + BROKEN.replace(b"\n", b"\r"),
        b"x = 1\x0c\n" + BROKEN,
        BROKEN.rstrip(),
    ],
)
def test_every_encoding_and_line_end_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    (tmp_path / "code.py").write_bytes(data)
    assert scanned(tmp_path, capsys) == (["code.py"], {})


def test_columns_are_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code.py").write_text("x = 'éé'; import vllm.worker.worker\n", encoding="utf-8")
    main([str(tmp_path), "--vllm", "0.23.0", "--format", "json"])
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["column"], finding["end_column"]) == (18, 36)


def test_special_files_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.py").write_bytes(BROKEN)
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "dangling.py").symlink_to("nowhere.py")
    (tmp_path / "itself.py").symlink_to("itself.py")
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(LARGEST + 1)
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder.py" / "inner.py").write_bytes(BROKEN)
    found, skipped = scanned(tmp_path, capsys)
    assert sorted(found) == ["good.py", "inner.py"]
    assert sorted(skipped) == ["dangling.py", "huge.py", "itself.py", "pipe.py"]
    assert "larger than" in skipped["huge.py"]


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "code.py").write_bytes(BROKEN)
    (inner / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(inner)
    (tmp_path / "same.py").symlink_to(inner / "code.py")
    assert len(list(Walk().files((str(tmp_path), str(inner))))) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.py").write_bytes(BROKEN)
    (tmp_path / "secret.py").write_bytes(BROKEN)
    (tmp_path / "secret.py").chmod(0)
    assert scanned(tmp_path, capsys) == (["good.py"], {"secret.py": "Permission denied"})


def test_a_file_that_fails_while_it_is_read_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good.py", "bad.py"):
        (tmp_path / name).write_bytes(BROKEN)
    read = Files.read

    def failing(self: Files, path: str) -> bytes:
        if path.endswith("bad.py"):
            raise OSError(5, "Input/output error")
        return read(self, path)

    monkeypatch.setattr(Files, "read", failing)
    assert scanned(tmp_path, capsys) == (["good.py"], {"bad.py": "Input/output error"})


def test_others_environments_are_left_out(tmp_path: Path) -> None:
    for folder in (".venv", "node_modules", "myenv", "venv", ".git", "src"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_bytes(BROKEN)
    (tmp_path / "myenv" / "pyvenv.cfg").touch()
    assert [Path(each).parent.name for each in Walk().files((str(tmp_path),))] == ["src"]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"cells": 1}', '{"cells": [{}]}', '{"cells": [{"cell_type": "code", "source": 3}]}', "vllm"],
)
def test_a_broken_notebook_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "n.ipynb").write_text(f"{text} vllm")
    (tmp_path / "good.py").write_bytes(BROKEN)
    found, skipped = scanned(tmp_path, capsys)
    assert found == ["good.py"]
    assert "notebook" in skipped["n.ipynb"]


WORDS = st.sampled_from(
    [
        *(
            "import",
            "from",
            "vllm",
            "sglang",
            "vllm.envs",
            "as",
            "x",
            "(",
            ")",
            ",",
            ".",
            "\n",
            "\n    ",
            "*",
        ),
        *(
            "try:",
            "except ImportError:",
            "if",
            ":",
            "def f():",
            "return",
            "pass",
            "\\\n",
            "# c",
            "=",
            "lambda",
        ),
        *(
            "]",
            "[",
            "vllm.__version__",
            ">=",
            "'0.11'",
            "import_module",
            "getattr",
            "\t",
            ";",
            "\r",
            "\0",
            "é",
        ),
        *("'", "await"),
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, max_size=25), st.sampled_from([".py", ".ipynb", ".pyi"]))
def test_whatever_a_file_holds_a_scan_ends_well(words: list[str], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"code{suffix}").write_text(" ".join(words), encoding="utf-8", newline="")
        assert main([folder, "--vllm", "0.23.0", "--format", "sarif", "--output", f"{folder}/out"]) in (0, 1)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_bytes_a_file_has_a_scan_ends_well(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = data + b"\nimport vllm.envs\n"
        (Path(folder) / "code.py").write_bytes(text)
        try:
            ast.parse(text)
            wanted = 0
        except (SyntaxError, ValueError):
            wanted = int(mentions_package("code.py", text))
        assert main([folder, "--vllm", "0.23.0", "--output", f"{folder}/out"]) == wanted


NAMES = st.sampled_from(["LLM", "envs", "NoSuch", "worker", "SamplingParams", "utils", "é", "LLMé", "ém"])
MODULES = st.sampled_from(["vllm", "vllm.envs", "vllm.worker", "vllm.utils", "os"])
STATEMENTS = st.one_of(
    st.builds("from {} import {}".format, MODULES, NAMES),
    st.builds("from {} import ({} as b,\n  {})  # vllm.c".format, MODULES, NAMES, NAMES),
    st.builds("import {} as m".format, MODULES),
    st.builds("import {} as {}  # é".format, MODULES, NAMES),
    st.builds("{}.{}.{}".format, NAMES, NAMES, NAMES),
    st.builds("import os, {}".format, MODULES),
    st.builds("x = m.{}.y".format, NAMES),
    st.builds("vllm.{}.{}".format, NAMES, NAMES),
    st.builds("getattr(m, '{}')".format, NAMES),
    st.builds("patch('vllm.{}')".format, NAMES),
    st.builds("from {} \\\n import {}".format, MODULES, NAMES),
    st.builds("importlib.import_module('.{}', 'vllm')".format, NAMES),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=6))
@example(["import vllm as é", "é.LLM.LLM"])
@example(["from vllm import LLM", "LLM.é.LLM"])
@example(["import os, vllm", "vllm.é.LLM"])
def test_the_shortcut_never_hides_a_reference(statements: list[str]) -> None:
    """Every reference that parsing finds was looked up before, or the file has to be parsed."""
    data = ("\n".join(statements) + "\n").encode()
    asked: set[str] = set()

    def works(module: str, name: str, parts: tuple[str, ...]) -> bool:
        path = ".".join([module, *([name] if name else []), *parts])
        asked.update(path[:at] for at in range(len(path) + 1) if path[at : at + 1] in ("", "."))
        return True

    found = references(parse("code.py", data)) if mentions_package("code.py", data) else []
    if all_names_resolve(data, works):
        named = {reference.path for reference in found if reference.form != "star"}
        assert named - {"vllm"} <= asked  # the package itself breaks nothing
    everything = references(parse("code.py", data), lines=None)
    assert mentions_package("code.py", data) or not [each for each in everything if each.path != "vllm"]
