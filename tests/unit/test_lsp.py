"""`compat lsp`, asked by a client of the language server protocol that runs it as a command."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from compat import errors
from compat.errors import MissingToolError
from compat.lsp.cli import main
from compat.scan.cli import main as scan

ROOT = Path(__file__).parents[2]
SOURCE = """\
from vllm.utils import FlexibleArgumentParser, is_hip
from vllm.config import CacheConfig

name = "é𝒳"; parser = FlexibleArgumentParser()
"""
FIXED = """\
from vllm.utils import is_hip
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.config import CacheConfig

name = "é𝒳"; parser = FlexibleArgumentParser()
"""


class Editor:
    """An editor with one open file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.client = LanguageClient("test", "1")
        self.published: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(partial(self.published.put_nowait))
        self.document = types.TextDocumentIdentifier(file.as_uri())

    async def open(self, text: str) -> list[types.Diagnostic]:
        """Return the diagnostics of a text that is not saved."""
        item = types.TextDocumentItem(self.document.uri, "python", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return await self.diagnostics()

    async def change(self, text: str) -> list[types.Diagnostic]:
        """Replace the whole text."""
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(2, self.document.uri),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )
        return await self.diagnostics()

    async def diagnostics(self) -> list[types.Diagnostic]:
        return list((await asyncio.wait_for(self.published.get(), 60)).diagnostics)

    async def fixes(self, diagnostic: types.Diagnostic) -> list[types.CodeAction]:
        context = types.CodeActionContext([diagnostic])
        found = await self.client.text_document_code_action_async(
            types.CodeActionParams(self.document, diagnostic.range, context)
        )
        return [each for each in found or [] if isinstance(each, types.CodeAction)]

    async def hover(self, line: int, column: int) -> str | None:
        found = await self.client.text_document_hover_async(
            types.HoverParams(self.document, types.Position(line, column))
        )
        if found is None:
            return None
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value


@asynccontextmanager
async def editor(folder: Path) -> AsyncIterator[Editor]:
    (folder / "pyproject.toml").write_text('[tool.compat]\nvllm = "0.33.0"\n')
    found = Editor(folder / "a.py")
    await found.client.start_io(
        sys.executable, "-m", "compat", "lsp", env={"PYTHONPATH": str(ROOT)}, cwd=str(folder)
    )
    await found.client.initialize_async(
        types.InitializeParams(capabilities=types.ClientCapabilities(), root_uri=folder.as_uri())
    )
    found.client.initialized(types.InitializedParams())
    yield found
    await found.client.shutdown_async(None)
    found.client.exit(None)
    await found.client.stop()  # type: ignore[no-untyped-call]


def applied(text: str, action: types.CodeAction) -> str:
    """Return a text after the one edit of a code action, which replaces whole lines."""
    assert action.edit
    assert action.edit.changes
    ((edit,),) = action.edit.changes.values()
    assert edit.range.start.character == edit.range.end.character == 0
    lines = text.splitlines(keepends=True)
    lines[edit.range.start.line : edit.range.end.line] = [edit.new_text]
    return "".join(lines)


def test_diagnostics_fixes_and_hovers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def session() -> None:
        async with editor(tmp_path) as found:
            moved, gone = await found.open(SOURCE)
            assert (moved.code, moved.source, moved.severity) == (
                "CPT001",
                "compat",
                types.DiagnosticSeverity.Error,
            )
            assert "use from vllm.utils.argparse_utils import FlexibleArgumentParser" in moved.message
            assert moved.range == types.Range(types.Position(0, 23), types.Position(0, 45))
            assert "is_hip is missing" in gone.message
            (fix,) = await found.fixes(moved)
            assert fix.kind == types.CodeActionKind.QuickFix
            assert applied(SOURCE, fix) == FIXED
            assert await found.fixes(gone) == [], "there is no safe fix for what is gone"
            use = await found.hover(3, 24)  # behind a character of two UTF-16 units
            assert use == await found.hover(0, 30)
            assert use
            assert "vllm 0.5.1..0.11.0: `from vllm.utils import FlexibleArgumentParser`" in use
            assert "0.11.1..0.33.0: missing; use `from vllm.utils.argparse_utils import" in use
            assert await found.hover(3, 2) is None
            left = await found.change(FIXED)
            assert [each.message for each in left] == [gone.message]
            assert await found.change("import vllm (\n") == [], "the editor reports syntax errors itself"

    asyncio.run(session())
    (tmp_path / "a.py").write_text(SOURCE)
    scan([str(tmp_path / "a.py"), "--vllm", "0.33.0"])
    assert capsys.readouterr().out.count("CPT001") == 2, "as many as the command finds"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "compat.lsp.server", raising=False)
    for module in [each for each in sys.modules if each.partition(".")[0] == "pygls"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pygls", None)
    with pytest.raises(MissingToolError, match=r"pip install 'sglang-vllm-compat\[lsp\]'"):
        main([])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Language Server Protocol" in capsys.readouterr().out


def test_a_message_larger_than_memory_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "compat", "lsp"],
        input=b"Content-Length: 999999999999999999\r\n\r\n{}",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == errors.ENVIRONMENT
    assert done.stderr.startswith(b"compat: error: standard input:")
    assert done.stderr.count(b"\n") == 1


def message(body: str) -> bytes:
    return f"Content-Length: {len(body)}\r\n\r\n{body}".encode()


INITIALIZE = message('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}')


def test_an_output_that_cannot_be_written_ends_the_server() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "compat", "lsp"],
            input=INITIALIZE,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == errors.ENVIRONMENT
    assert done.stderr.startswith(b"compat: error: No space left")
    assert done.stderr.count(b"\n") == 1


def test_a_message_that_is_not_json_is_one_line_and_the_server_goes_on(tmp_path: Path) -> None:
    """The project has a file with the name of a library, which must not be imported in its place."""
    (tmp_path / "pygls.py").write_text("raise SystemExit('the file of the project')\n")
    done = subprocess.run(
        [sys.executable, "-m", "compat", "lsp"],
        input=message('{"jsonrpc":') + INITIALIZE,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == errors.CLEAN
    assert done.stderr.startswith(b"compat: Unable to handle message: Expecting value")
    assert done.stderr.count(b"\n") == 1
    assert b'"capabilities"' in done.stdout, "the second message is answered"
