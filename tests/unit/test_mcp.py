"""`compat mcp`, asked by the client of the protocol's own SDK."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

from compat import errors
from compat.errors import MissingToolError
from compat.index.reader import Index
from compat.mcp.cli import main

ROOT = Path(__file__).parents[2]
MOVED = "from vllm.utils import FlexibleArgumentParser"
LOG = "vllm 0.20.0\nImportError: cannot import name 'FlexibleArgumentParser' from 'vllm.utils'\n"


def asked(*calls: tuple[str, dict[str, Any]], folder: Path = ROOT) -> list[tuple[bool, str]]:
    """Return for each call whether it failed and the text, from one server that runs as a command."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "compat", "mcp"], cwd=folder, env={"PYTHONPATH": str(ROOT)}
    )

    async def ask() -> list[tuple[bool, str]]:
        async with Client(server) as client:
            found = []
            for name, arguments in calls:
                result = await client.call_tool(name, arguments)
                (content,) = result.content
                assert isinstance(content, TextContent)
                found.append((bool(result.is_error), content.text))
            return found

    return asyncio.run(ask())


def test_it_offers_the_five_tools() -> None:
    async def tools() -> dict[str, str]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "compat.mcp"], env={"PYTHONPATH": str(ROOT)}
        )
        async with Client(server) as client:
            listed = await client.list_tools()
            return {tool.name: tool.description or "" for tool in listed.tools}

    found = asyncio.run(tools())
    assert list(found) == ["resolve", "explain", "scan", "check", "pairs"]
    assert all("Args:" in text for text in found.values())


def test_answers_are_short_and_have_evidence(tmp_path: Path) -> None:
    newest = Index().versions("vllm")[-1]
    (tmp_path / "a.py").write_text(f"{MOVED}\n")
    answers = asked(
        ("resolve", {"query": MOVED, "vllm": newest}),
        ("resolve", {"query": "vllm.utils:is_hip", "vllm": newest}),
        ("resolve", {"query": "vllm.utils:FlexibleArgumentPraser", "vllm": newest}),
        ("scan", {"code": f"{MOVED}\n", "vllm": newest}),
        ("scan", {"path": "a.py", "vllm": newest}),
        ("explain", {"log": LOG}),
        ("check", {"requirements": ["vllm==0.11.0", "openai==1.99.1"], "entry": "serve"}),
        ("pairs", {"sglang": "0.5.14", "vllm": "0.23.0"}),
        ("pairs", {"vllm": "0.23.0"}),
        folder=tmp_path,
    )
    assert [failed for failed, _ in answers] == [False] * len(answers)
    moved, gone, wrong, code, file, cause, world, pair, partners = (text for _, text in answers)
    right = "from vllm.utils.argparse_utils import FlexibleArgumentParser"
    assert f"use: {right} (safe)\n" in moved
    assert "moved in 0.11.1" in moved
    assert "it was there in 0.5.1..0.11.0" in moved
    assert gone.endswith("gone: no successor is known")
    assert "use:" not in gone
    assert "FlexibleArgumentParser" in wrong.splitlines()[-1], "a similar name"
    assert "no release of vllm has had" in wrong
    assert code.replace("code.py", "a.py").splitlines()[1:] == file.splitlines()[1:]
    assert f"use: {right} (safe; moved in 0.11.1" in code
    assert right in cause
    assert cause.startswith("symbol_moved")
    assert world.startswith("checked  vllm 0.11.0")
    assert "override: tilelang==0.1.9 (sglang 0.5.14 requires ==0.1.8; vllm 0.23.0 requires ==0.1.9)" in pair
    assert "sglang 0.5.14" in partners
    assert max(len(text.splitlines()) for _, text in answers) <= 31


def test_the_tools_need_no_other_extra() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('requests', 'rich', 'pypi_simple', 'libcst'))); "
        "from compat.mcp import tools; tools.pairs(sglang='0.5.14', vllm='0.23.0'); "
        "tools.pairs(vllm='0.23.0'); tools.resolve('LLM', vllm='latest'); tools.check(['vllm==0.11.0']); "
        "tools.scan(code='import vllm.gone', vllm='latest'); print(tools.explain('Killed'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "unknown" in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resolve", {"query": "x y"}, "not a valid query"),
        ("resolve", {"query": "LLM", "vllm": "99"}, "not in the index"),
        ("scan", {}, "give a path, or code"),
        ("scan", {"path": "gone.py"}, "no such file"),
        ("check", {"requirements": ["torch==2.9.0"]}, "neither sglang nor vllm"),
        ("pairs", {}, "give a version"),
    ],
)
def test_a_mistake_is_one_line(name: str, arguments: dict[str, Any], message: str) -> None:
    ((failed, text),) = asked((name, arguments))
    assert failed
    assert message in text
    assert "\n" not in text
    assert "Traceback" not in text


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "compat.mcp.server", raising=False)
    for module in [each for each in sys.modules if each.partition(".")[0] == "mcp"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingToolError, match=r"pip install 'sglang-vllm-compat\[mcp\]'"):
        main([])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Model Context Protocol" in capsys.readouterr().out


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def test_an_output_that_cannot_be_written_ends_the_server() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "compat", "mcp"],
            input=json.dumps(INITIALIZE).encode() + b"\n",
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == errors.ENVIRONMENT
    assert done.stderr.startswith(b"compat: error: No space left")
    assert done.stderr.count(b"\n") == 1


def test_a_file_of_the_project_is_not_imported_in_place_of_a_library(tmp_path: Path) -> None:
    for name in ("mcp", "anyio", "pydantic"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file of the project')\n")
    ((failed, text),) = asked(("resolve", {"query": "LLM", "vllm": "0.20.0"}), folder=tmp_path)
    assert not failed, text


def test_huge_and_hostile_arguments_get_short_answers_and_no_log(tmp_path: Path) -> None:
    (tmp_path / "--fix").write_text(f"{MOVED}\n")
    answers = asked(
        ("resolve", {"query": "A" * 500_000, "vllm": "0.20.0"}),
        ("resolve", {"query": "(" * 500_000, "vllm": "0.20.0"}),
        ("resolve", {"query": "LLM", "vllm": "\x1b[31m\n"}),
        ("scan", {"code": "(" * 100_000, "vllm": "0.20.0"}),
        ("scan", {"code": f"{MOVED}\n", "vllm": "--fix"}),
        ("scan", {"path": "--fix", "vllm": "0.20.0"}),
        ("scan", {"path": "/dev/zero"}),
        ("check", {"requirements": ["vllm==0.11.0"] * 100_000}),
        folder=tmp_path,
    )
    assert [failed for failed, _ in answers] == [False, True, True, False, True, False, True, True]
    assert max(len(text) for _, text in answers) < 21_000
    assert all(text.replace("\n", " ").isprintable() for _, text in answers)
    assert "0.20.0" in answers[5][1], "the file is scanned, and its name is not an option"
    assert "at most 2000" in answers[7][1]
