"""Check the text of an open file with the functions of `compat scan`, whatever is on disk."""

import ast
import os
import re
from functools import cached_property, lru_cache

from compat.scan.check.file_checker import Analysis, statement_of
from compat.scan.findings import Finding
from compat.scan.fix.edits import plan_edits
from compat.scan.options import ScanOptions, parse
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.releases.index_lookup import ReleaseSet
from compat.scan.runner import make_analysis
from compat.scan.sources.discovery import Files, Unreadable
from compat.scan.sources.source_file import parse as parsed
from compat.scan.syntax.references import references
from compat.sources.command_line import with_sources


class OpenDocument:
    """One version of an open file.

    Args:
        path: where the file is, or would be saved.
        text: its text in the editor.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100 -- the paths of a scan are strings
        self.data = text.encode()
        self.options: ScanOptions = _with_sources(parse([self.path]))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings; none while the file is not valid Python, which other tools report."""
        if not mentions_package(self.path, self.data):
            return ()
        try:
            found = self._analysis().check_content(self.path, self.data)
        except Unreadable:
            return ()
        return tuple(each for each in found if each.rule in self.options.select)

    def fixed(self, finding: Finding) -> str | None:
        """Return the text with a finding fixed; None if there is no safe fix that mends it.

        Raises:
            ModuleNotFoundError: libcst is not installed.
        """
        from compat.scan.fix.cli import ExportedNames, bind_releases, changed_content
        from compat.scan.fix.project_style import ProjectStyle

        analysis = self._analysis()
        release_sets: list[ReleaseSet] = [each.lookup.release_set for each in analysis.checkers.values()]
        edits, _ = plan_edits([finding], release_sets, unsafe=False)
        if not edits:
            return None
        bind_releases(edits, release_sets)
        store = _OneFile(self.path, self.data)
        after = changed_content(
            self.path,
            self.data,
            edits[self.path],
            ExportedNames([self.path], store),
            ProjectStyle([self.path], store.read),
            analysis.check_content,
        )
        return None if isinstance(after, str) or after == self.data else after.decode()

    def query_at(self, line: int, column: int) -> str | None:
        """Return what `compat resolve` takes for the name at a position; None if it is of no package.

        Args:
            line: the line, from 1.
            column: the column, from 0, in bytes.
        """
        try:
            found = references(parsed(self.path, self.data))
        except Unreadable:
            return None
        here = next((each for each in found if _covers(each.node, line, column)), None)
        word = _word(self.data.split(b"\n")[line - 1], column)
        imports = (each for each in found if isinstance(each.node, ast.alias))
        here = here or next((each for each in imports if _binds(each.node) == word), None)
        return None if here is None else statement_of(here)

    def _analysis(self) -> Analysis:
        return make_analysis(self.options, [self.path], _OneFile(self.path, self.data))


def _with_sources(options: ScanOptions) -> ScanOptions:
    """Return options in which versions stand for the sources that `[tool.compat]` names."""
    files, sglang, vllm = _opened(options.sglang, options.vllm, options.indexes)
    return options._replace(indexes=files, sglang=sglang, vllm=vllm)


@lru_cache(maxsize=8)
def _opened(
    sglang: tuple[str, ...], vllm: tuple[str, ...], files: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the index files of sources, and the versions; a server reads each source once."""
    opened, texts = with_sources({"sglang": sglang, "vllm": vllm}, files)
    return opened, texts["sglang"], texts["vllm"]


def _covers(node: ast.AST, line: int, column: int) -> bool:
    """Return whether a node covers a position."""
    start = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
    end = getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0)
    return start <= (line, column) <= end


def _word(line: bytes, column: int) -> str:
    """Return the identifier at a position of a line; empty if there is none."""
    words = re.finditer(rb"\w+", line)
    return next((each[0].decode() for each in words if each.start() <= column <= each.end()), "")


def _binds(node: ast.AST) -> str:
    """Return the name that an import binds."""
    return (node.asname or node.name.partition(".")[0]) if isinstance(node, ast.alias) else ""


class _OneFile(Files):
    """Files of which one has the text of the editor."""

    def __init__(self, path: str, data: bytes) -> None:
        super().__init__()
        self._path = path
        self._data = data

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        return self._data if path == self._path else super().read(path)
