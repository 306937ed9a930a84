"""Check files: parse each one, check its references, and drop findings that a comment silences."""

import ast
import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from compat.model.symbols import import_statement
from compat.scan.calls.file_calls import FileCalls
from compat.scan.check.reference_checker import Issue, ReferenceChecker, stubbed_modules
from compat.scan.check.replacements import broken_ranges, class_ranges, lost_classes
from compat.scan.check.scanned_tree import ScannedFile, ScannedTree
from compat.scan.findings import RULES, BrokenRange, Finding, unread_finding
from compat.scan.fix.edits import fix_safety
from compat.scan.interpreter.scopes import Module
from compat.scan.prefilter.all_names_resolve import all_names_resolve
from compat.scan.prefilter.conditional_imports import reads_version
from compat.scan.prefilter.mentions import TOPS
from compat.scan.prefilter.possible_calls import may_call
from compat.scan.releases.index_lookup import Lookup, ReleaseSet, ranges
from compat.scan.sources.discovery import Skipped, Unreadable
from compat.scan.sources.parse import is_python
from compat.scan.sources.source_file import Source, decoded, parse
from compat.scan.syntax.class_uses import class_uses
from compat.scan.syntax.positions import dotted
from compat.scan.syntax.references import Reference

AXES: Mapping[str, str] = {"vllm": "vllm", "sglang": "sglang", "sgl_kernel": "sglang"}
"""Import name to the package whose releases are checked: sglang determines the version of sgl_kernel."""

_OWN = (ast.Assign, ast.AnnAssign, ast.ClassDef, ast.FunctionDef)
_BRANCH = re.compile(rb"^if (?!__name__\b)", re.MULTILINE)


class FileResult(NamedTuple):
    """The result of checking one file."""

    findings: list[Finding]
    skipped: Skipped | None = None
    """Set when the file could not be checked."""
    broken: tuple[tuple[str, int], ...] = ()
    """Per package, the set of releases in which the file itself cannot be imported."""
    may_lack_names: bool = False
    """Whether the file may leave a top-level name unbound."""


class Analysis:
    """Checks files against the selected releases.

    Args:
        scanned: the files of the scan.
        release_sets: the selected releases, by package.
        causes: whether to look up the cause and the successor of what breaks.
        rules: the rules to check; those about calls and subclasses are not worked out if they are left out.
    """

    def __init__(
        self,
        scanned: ScannedTree,
        release_sets: Mapping[str, ReleaseSet],
        *,
        causes: bool = True,
        rules: Iterable[str] = tuple(RULES),
    ) -> None:
        self.scanned = scanned
        self._causes = causes
        self.checkers = {
            package: ReferenceChecker(
                Lookup(scanned.index, release_set),
                scanned.modules,
                scanned.call_graph,
                scanned.import_graph,
                scanned.patched_names,
            )
            for package, release_set in release_sets.items()
        }
        self._calls = FileCalls(scanned, self.checkers, rules=rules)
        self._copies: dict[str, bool] = {}
        self.broken: dict[tuple[str, str], int] = {}
        """File and package to the set of releases in which the file itself cannot be imported."""

    def check_content(self, path: str, data: bytes) -> list[Finding]:
        """Return the findings that a file would have with this content.

        Raises:
            Unreadable: the content is not valid Python.
        """
        return self._of(ScannedFile(parse(path, data)))

    def check_file(self, path: str) -> FileResult:
        """Return the findings in a file, or why it was skipped."""
        try:
            data = self.scanned.store.read(path) if path.endswith(".py") else b""
            if data and not may_call(data, self._calls.fits) and self._resolves(data):
                return FileResult([], may_lack_names=self._branches(path) and self._may_lack_names(path))
            found = self._of(self.scanned.file(path))
            broken = tuple((name, mask) for name in self.checkers if (mask := self.broken.get((path, name))))
            return FileResult(found, broken=broken, may_lack_names=self._may_lack_names(path))
        except Unreadable as error:
            return self._unread(path, error)
        except OSError as error:
            return self._unread(path, Unreadable(error.strerror or str(error)))
        except RecursionError:
            return self._unread(path, Unreadable("nested too deeply to be checked"))

    def _resolves(self, data: bytes) -> bool:
        """Return whether a file is valid Python without a reference that may break."""
        return all_names_resolve(data, self._resolves_everywhere) and is_python(data)

    def _unread(self, path: str, error: Unreadable) -> FileResult:
        """Return the result for a file that cannot be read or parsed."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = decoded(self.scanned.store.read(path)).splitlines() if not path.endswith(".ipynb") else []
        code = lines[error.line - 1] if error.line <= len(lines) else ""
        finding = unread_finding(path, str(error), line=error.line, column=error.column, code=code)
        place = f"line {error.line}: " if lines else ""
        silenced = Silenced(lines).on_line(finding.line, finding.rule)
        return FileResult([] if silenced else [finding], Skipped(path, f"{place}{error}"))

    def _may_lack_names(self, path: str) -> bool:
        """Return whether a file may leave a top-level name unbound."""
        module = self.scanned.modules.module(path) if path.endswith(".py") else None
        return module is not None and bool(module.maybe_unbound)

    def _branches(self, path: str) -> bool:
        """Return whether the bytes of a file contain a test of a release and an `if` at the top level."""
        data = self.scanned.store.read(path)
        return reads_version(data) and _BRANCH.search(data) is not None

    def _resolves_everywhere(self, module: str, name: str, parts: tuple[str, ...]) -> bool:
        checker = self.checkers.get(AXES[module.partition(".")[0]])
        return checker is None or checker.resolves_everywhere(module, name, parts)

    def _of(self, file: ScannedFile) -> list[Finding]:
        source, module = file.source, file.module
        if module.name.partition(".")[0] in TOPS and self._is_copy(source.path, module.name):
            return []  # the package itself: its imports of itself resolve in this tree, not in a release
        unread = list(_unread_cells(source))
        stubbed = stubbed_modules(source.tree, source.data)
        found: list[Issue] = []
        changed: dict[str, int] = {}
        for reference in file.references:
            checker = self.checkers.get(AXES[reference.top])
            if checker is not None and not (stubbed and _is_stubbed(reference, stubbed)):
                found += checker.issues(reference, module)
                path, mask = checker.became_function(reference)
                if path:
                    changed[path] = changed.get(path, 0) | mask
        calls = list(self._calls.issues(file))
        if not found and not changed and not calls:
            return unread
        self.note_broken(source.path, found)
        lines = source.lines()
        silenced = Silenced(lines)
        findings = []
        for issue in found:
            broken = broken_ranges(self.checkers[issue.package].lookup, issue) if self._causes else ()
            lost = lost_classes(self.checkers[issue.package].lookup, issue, broken)
            if lost:
                path = issue.reference.path
                changed[path] = changed.get(path, 0) | lost
            if not silenced(issue.rule, issue.reference):
                findings.append(self.finding(source, issue, lines, broken))
        classes = [
            self.finding(source, issue, lines, class_ranges(self.checkers[issue.package], issue))
            for issue in (self._class_uses(source, module, changed) if changed else ())
            if not silenced(issue.rule, issue.reference)
        ]
        unfit = [
            self.finding(source, issue, lines, broken)
            for issue, broken in calls
            if not silenced(issue.rule, issue.reference)
        ]
        if not (unread or classes or unfit):
            return findings
        return sorted([*unread, *findings, *classes, *unfit], key=lambda each: each.line)

    def _class_uses(self, source: Source, module: Module, changed: Mapping[str, int]) -> Iterator[Issue]:
        """Yield the issues of names that became functions and that a file uses as classes."""
        for use in class_uses(source, module.name, changed):
            first = dotted(use.node)[0]
            if any(isinstance(each, _OWN) for each in module.binders(first)):
                continue  # it may be another object
            issue = self.checkers[AXES[use.top]].use_of_class(use, module, changed[use.path])
            if issue is not None:
                yield issue

    def _is_copy(self, path: str, name: str) -> bool:
        """Return whether a folder named like a package is a copy of it: releases have half of its modules."""
        if "." not in name:
            return False  # a file of the tree that is called like a package
        folder = path
        for _ in name.split("."):
            folder = os.path.dirname(folder)  # noqa: PTH120 -- pathlib costs more
        folder = os.path.join(folder, name.partition(".")[0])  # noqa: PTH118
        if folder not in self._copies:
            top = name.partition(".")[0]
            checker = self.checkers.get(AXES[top])
            held = {each.partition(".")[0] for each in os.listdir(folder)}  # noqa: PTH208
            held -= {"__init__", "__main__", "__pycache__", ""}
            known = {
                module.split(".")[1]
                for module in (checker.lookup.index.modules_ever(AXES[top]) if checker else ())
                if module.startswith(f"{top}.")
            }
            self._copies[folder] = top == "sgl_kernel" or not held or 2 * len(held & known) >= len(held)
        return self._copies[folder]

    def note_broken(self, path: str, found: Iterable[Issue]) -> None:
        """Record the releases in which an issue at the top level makes the import of the whole file fail."""
        for issue in found:
            if issue.rule == "CPT001" and issue.reference.position.function is None:
                key = (path, issue.package)
                self.broken[key] = self.broken.get(key, 0) | issue.mask

    def finding(
        self, source: Source, issue: Issue, lines: list[str], ranges_of_issue: tuple[BrokenRange, ...]
    ) -> Finding:
        """Return the finding for an issue.

        Args:
            source: the file.
            issue: the issue.
            lines: the lines of the file.
            ranges_of_issue: the release ranges in which the reference breaks.
        """
        reference = issue.reference
        node: ast.expr = reference.node  # type: ignore[assignment]
        function = reference.position.function
        versions = self.checkers[issue.package].lookup.release_set.versions
        rows = [] if issue.rule == "CPT004" else ranges(issue.mask)
        broken = tuple((versions[first], versions[last]) for first, last in rows)
        end = node.end_lineno or node.lineno
        cell = source.cells[node.lineno - 1] if source.cells else None
        found = Finding(
            path=source.path,
            line=node.lineno,
            column=_characters(lines[node.lineno - 1], node.col_offset) + 1,
            end_line=end,
            end_column=_characters(lines[end - 1], node.end_col_offset or 0) + 1,
            rule=issue.rule,
            package=issue.package,
            statement=issue.text or statement_of(reference),
            status=issue.outcome.answer.status,
            broken_in=broken,
            broken=issue.mask.bit_count(),
            broken_ranges=ranges_of_issue,
            form=reference.form,
            function=function.name if function else None,
            code=lines[node.lineno - 1],
            cell=None if cell is None else (cell.number, cell.line),
        )
        return found._replace(safety=fix_safety(found))


class Silenced:
    """The comments `# compat: ignore` and `# compat: ignore[CPT001]` of a file.

    Args:
        lines: the lines of the file.
    """

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def __call__(self, rule: str, reference: Reference) -> bool:
        """Return whether a comment on a line of the reference, or of its import, silences a rule."""
        node: ast.expr = reference.node  # type: ignore[assignment]
        statement = reference.position.statement
        numbers = {node.lineno, node.end_lineno or node.lineno}
        if isinstance(statement, ast.Import | ast.ImportFrom):
            numbers |= {statement.lineno, statement.end_lineno or statement.lineno}
        return any(self._silences(self._lines[number - 1], rule) for number in numbers)

    def on_line(self, number: int, rule: str) -> bool:
        """Return whether a comment on a line, if the file has it, silences a rule."""
        return number <= len(self._lines) and self._silences(self._lines[number - 1], rule)

    def _silences(self, line: str, rule: str) -> bool:
        _, mark, rest = line.partition("# compat: ignore")
        if not mark:
            return False
        if not rest.lstrip().startswith("["):
            return True
        codes = rest.lstrip()[1:].partition("]")[0]
        return rule in [code.strip() for code in codes.split(",")]


def _unread_cells(source: Source) -> Iterator[Finding]:
    """Yield the findings for the cells of a notebook that are not valid Python."""
    for each in source.unread:
        if not Silenced([each.code]).on_line(1, "CPT000"):
            cell = source.cells[each.line - 1]
            yield unread_finding(
                source.path, each.reason, line=each.line, code=each.code, cell=(cell.number, cell.line)
            )


def _is_stubbed(reference: Reference, stubbed: frozenset[str]) -> bool:
    path = reference.path
    return any(path == name or path.startswith(f"{name}.") for name in stubbed)


def statement_of(reference: Reference) -> str:
    """Return a reference as an import statement or as a dotted path."""
    if reference.form == "from" or (reference.form == "reexport" and isinstance(reference.node, ast.alias)):
        return import_statement(reference.module, reference.parts[-1])
    if reference.form == "star":
        return import_statement(reference.module, "*")
    return f"import {reference.module}" if reference.form == "import" else reference.path


def _characters(line: str, offset: int) -> int:
    """Return the number of characters before a byte offset."""
    return offset if line.isascii() else len(line.encode()[:offset].decode("utf-8", "ignore"))


def without_duplicates(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings in order, without repetitions of a rule at the same position."""
    seen: set[tuple[object, ...]] = set()
    for finding in findings:
        key = (
            finding.path,
            finding.line,
            finding.column,
            finding.end_column,
            finding.rule,
            finding.statement,
        )
        if key not in seen:
            seen.add(key)
            yield finding
