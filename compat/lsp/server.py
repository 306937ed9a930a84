"""The language server: diagnostics, quick fixes and hovers for the files that an editor has open."""

from functools import lru_cache

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from compat import __version__
from compat.errors import CompatError
from compat.lsp.document import OpenDocument
from compat.lsp.hover import history_of
from compat.scan.findings import Finding

SOURCE = "compat"
_SEVERITY = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "note": types.DiagnosticSeverity.Hint,
}


def make_server() -> LanguageServer:
    """Return a server with all features."""
    server = LanguageServer("compat", __version__)
    for feature in (
        types.TEXT_DOCUMENT_DID_OPEN,
        types.TEXT_DOCUMENT_DID_CHANGE,
        types.TEXT_DOCUMENT_DID_SAVE,
    ):
        server.feature(feature)(_publish)
    options = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)(_quick_fixes)
    server.feature(types.TEXT_DOCUMENT_HOVER)(_hover)
    return server


Changed = (
    types.DidOpenTextDocumentParams | types.DidChangeTextDocumentParams | types.DidSaveTextDocumentParams
)


def _publish(server: LanguageServer, params: Changed) -> None:
    """Publish the diagnostics of a document that was opened, changed or saved."""
    document = server.workspace.get_text_document(params.text_document.uri)
    diagnostics = [_diagnostic(document, each) for each in _findings(document)]
    server.text_document_publish_diagnostics(
        types.PublishDiagnosticsParams(uri=document.uri, version=document.version, diagnostics=diagnostics)
    )


def _quick_fixes(server: LanguageServer, params: types.CodeActionParams) -> list[types.CodeAction]:
    """Return the safe fixes of the findings in a range."""
    document = server.workspace.get_text_document(params.text_document.uri)
    actions = []
    for finding in _findings(document):
        diagnostic = _diagnostic(document, finding)
        if not _overlap(diagnostic.range, params.range) or finding.safety != "safe":
            continue
        fixed = _opened(document.path, document.source).fixed(finding)
        if fixed is None:
            continue
        new = finding.successor
        actions.append(
            types.CodeAction(
                title=f"Use {new.statement}" if new else "Rewrite the import",
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[diagnostic],
                is_preferred=True,
                edit=types.WorkspaceEdit(changes={document.uri: [_edit(document, fixed)]}),
            )
        )
    return actions


def _hover(server: LanguageServer, params: types.HoverParams) -> types.Hover | None:
    """Return the history of the name at a position."""
    document = server.workspace.get_text_document(params.text_document.uri)
    position = document.position_codec.position_from_client_units(document.lines, params.position)
    line = document.lines[position.line] if position.line < len(document.lines) else ""
    column = len(line[: position.character].encode())
    query = _opened(document.path, document.source).query_at(position.line + 1, column)
    text = history_of(query) if query else None
    if text is None:
        return None
    return types.Hover(contents=types.MarkupContent(kind=types.MarkupKind.Markdown, value=text))


def _findings(document: TextDocument) -> tuple[Finding, ...]:
    try:
        return _opened(document.path, document.source).findings
    except CompatError:  # such as a mistake in pyproject.toml, of which the commands tell
        return ()


@lru_cache(maxsize=32)
def _opened(path: str, text: str) -> OpenDocument:
    return OpenDocument(path, text)


def _diagnostic(document: TextDocument, finding: Finding) -> types.Diagnostic:
    return types.Diagnostic(
        range=_range(
            document, finding.line - 1, finding.column - 1, finding.end_line - 1, finding.end_column - 1
        ),
        message=finding.message(),
        severity=_SEVERITY[finding.level],
        code=finding.rule,
        source=SOURCE,
    )


def _edit(document: TextDocument, fixed: str) -> types.TextEdit:
    """Return the edit of the lines that differ."""
    old, new = document.source.splitlines(keepends=True), fixed.splitlines(keepends=True)
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    same = 0
    while same < min(len(old), len(new)) - first and old[-1 - same] == new[-1 - same]:
        same += 1
    text = "".join(new[first : len(new) - same])
    return types.TextEdit(range=_range(document, first, 0, len(old) - same, 0), new_text=text)


def _range(document: TextDocument, line: int, column: int, end_line: int, end_column: int) -> types.Range:
    """Return a range of characters in the units of the client."""
    found = types.Range(types.Position(line, column), types.Position(end_line, end_column))
    return document.position_codec.range_to_client_units(document.lines, found)


def _overlap(one: types.Range, other: types.Range) -> bool:
    return one.start <= other.end and other.start <= one.end
