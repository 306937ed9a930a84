"""Check the settings in files: variables that no code of a release reads, and options that it lacks."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from compat.model.package_names import SGLANG, VLLM
from compat.scan.check.file_checker import Analysis, Silenced
from compat.scan.findings import BrokenRange, Finding
from compat.scan.interpreter.scopes import Module
from compat.scan.releases.index_lookup import ranges
from compat.scan.settings.kinds import kind_of, python_worth_reading
from compat.scan.settings.model import VariableUse
from compat.scan.settings.programs import OptionUse, option_uses
from compat.scan.settings.python_code import own_variables, python_settings
from compat.scan.settings.releases import ScannedSettings
from compat.scan.settings.variables import variables_taken
from compat.scan.sources.discovery import Files, Unreadable
from compat.scan.sources.parse import tree_of
from compat.scan.sources.source_file import Source
from compat.scan.syntax.positions import NodePosition

VARIABLES = "CPT007"
OPTIONS = "CPT008"
_COPIES = {VLLM: "vllm/engine/arg_utils.py", SGLANG: "sglang/srt/server_args.py"}
"""A tree with such a file is the package, or a fork of it, with settings of its own."""
_TABLE = re.compile(rb"[\"'](?:VLLM|SGLANG|SGL)_\w+[\"']\s*:\s*lambda\b")
_ALONE = re.compile(r"\s*(?:<!--\s*)?# compat: ignore")


class _Issue(NamedTuple):
    """A setting that some scanned releases do not know."""

    rule: str
    package: str
    mask: int
    statement: str
    start: int
    length: int
    broken_ranges: tuple[BrokenRange, ...]


class _Text(NamedTuple):
    """The text of a file, and where its lines begin."""

    path: str
    text: str
    lines: Sequence[str]
    starts: Sequence[int]

    @classmethod
    def of(cls, path: str, text: str) -> "_Text":
        lines = text.split("\n")
        return cls(path, text, lines, list(accumulate((len(line) + 1 for line in lines), initial=0)))

    def line_number(self, offset: int) -> int:
        """Return the number, from 1, of the line that contains an offset."""
        return bisect_right(self.starts, offset)


class SettingsChecker:
    """Checks the environment variables and the command-line options in the files of a scan.

    Args:
        analysis: the analysis of the selected releases.
        files: the Python files of the scan.
        texts: its other files.
        store: reads files.
        rules: the rules to check: CPT007, CPT008 or both.
    """

    def __init__(
        self,
        analysis: Analysis,
        files: Iterable[str],
        texts: Iterable[str],
        store: Files,
        rules: Iterable[str] = (VARIABLES, OPTIONS),
    ) -> None:
        self._rules = frozenset(rules)
        self._analysis = analysis
        self._files = list(files)
        self._texts = list(texts)
        self._store = store
        forks = {
            package for package, end in _COPIES.items() if any(each.endswith(end) for each in self._files)
        }
        packages = {
            each.package: each for each in analysis.scanned.known_settings if each.package not in forks
        }
        self._release_sets = {
            package: checker.lookup.release_set
            for package, checker in analysis.checkers.items()
            if package in packages
        }
        self._settings = ScannedSettings(packages, self._release_sets)

    def findings(self, path: str) -> list[Finding]:
        """Return the findings in a file of any kind."""
        kind = kind_of(path)
        try:
            if kind is None:
                worth = python_worth_reading(self._store.read(path))
                return list(self._in_python(path)) if worth else []
            content, parts = self._analysis.scanned.contents(path, kind)
        except (OSError, Unreadable, RecursionError):
            return []  # the check of imports reports files that cannot be read
        text = _Text.of(path, content)
        found: list[_Issue] = []
        for part in parts:
            taken = self._taken if kind == "env" and VARIABLES in self._rules else frozenset()
            variables = part.variables() if VARIABLES in self._rules else []
            variables = [each for each in variables if each.name not in taken]
            options = option_uses(part.commands()) if OPTIONS in self._rules else []
            if part.python:
                begin, end = part.python
                variables, options = _of_block(text.text[begin:end], begin)
            found += [*self._unread(variables), *self._lacking(options)]
        return [self._finding(text, each) for each in found if not _silenced(text, each)]

    def _in_python(self, path: str) -> Iterator[Finding]:
        """Yield the findings in Python code, in those releases only in which the code is reached."""
        file = self._analysis.scanned.file(path)
        settings = file.settings
        text = _Text.of(path, file.text)
        for issue in (*self._unread(settings.variables), *self._lacking(settings.options)):
            reached = self._reached(issue, settings.positions.get(issue.start), file.module)
            line = text.line_number(issue.start)
            if reached.mask and not Silenced(list(text.lines)).on_line(line, issue.rule):
                yield self._finding(text, reached, file.source)

    def _reached(self, issue: _Issue, position: NodePosition | None, module: Module) -> _Issue:
        """Return an issue in those releases only in which code reaches it."""
        if position is None:
            return issue
        mask = self._analysis.checkers[issue.package].entered(position, module, issue.mask)
        if mask == issue.mask:
            return issue
        versions = self._release_sets[issue.package].versions
        left = {versions[slot] for slot in range(len(versions)) if mask >> slot & 1}
        kept = tuple(each for each in issue.broken_ranges if each.first in left and each.last in left)
        return issue._replace(mask=mask, broken_ranges=kept)

    def _unread(self, variables: Iterable[VariableUse]) -> Iterator[_Issue]:
        for use in variables if VARIABLES in self._rules else ():
            broken = self._settings.unread(use.name)
            if broken is not None and use.name not in self._own:
                found = self._settings.ranges_of_variable(use.name, broken)
                yield _Issue(VARIABLES, *broken, use.name, use.start, len(use.name), found)

    def _lacking(self, options: Iterable[OptionUse]) -> Iterator[_Issue]:
        for use in options if OPTIONS in self._rules else ():
            broken = self._settings.lacking(use.program, use.option)
            if broken is None:
                continue
            versions = self._release_sets[broken.package].versions
            if use.release:  # the container has that release and no other
                only = 1 << versions.index(use.release) if use.release in versions else 0
                broken = broken._replace(mask=broken.mask & only)
            if broken.mask:
                found = self._settings.ranges_of_option(use.program, use.option, broken)
                length = len(use.word.text.partition("=")[0])
                statement = f"{use.program.name} {use.option}"
                yield _Issue(OPTIONS, *broken, statement, use.word.start, length, found)

    def _finding(self, text: _Text, issue: _Issue, source: Source | None = None) -> Finding:
        versions = self._release_sets[issue.package].versions
        line = text.line_number(issue.start)
        column = issue.start - text.starts[line - 1] + 1
        cell = source.cells[line - 1] if source is not None and source.cells else None
        return Finding(
            path=text.path,
            line=line,
            column=column,
            end_line=line,
            end_column=column + issue.length,
            rule=issue.rule,
            package=issue.package,
            statement=issue.statement,
            status=None,
            broken_in=tuple((versions[first], versions[last]) for first, last in ranges(issue.mask)),
            broken=issue.mask.bit_count(),
            broken_ranges=issue.broken_ranges,
            form="variable" if issue.rule == VARIABLES else "option",
            code=text.lines[line - 1].rstrip("\r"),
            cell=None if cell is None else (cell.number, cell.line),
        )

    @cached_property
    def _own(self) -> frozenset[str]:
        """The variables that the tree itself reads in a table of its own, as plug-ins and forks do."""
        found: set[str] = set()
        for path in self._files:
            try:
                data = self._store.read(path)
                if python_worth_reading(data) and _TABLE.search(data):
                    found.update(own_variables(self._analysis.scanned.parsed(path).tree))
            except (OSError, Unreadable):  # noqa: PERF203 -- one file does not stop the rest
                continue
        return frozenset(found)

    @cached_property
    def _taken(self) -> frozenset[str]:
        """The variables whose values other files take for something else: `.env` sets them for these."""
        found: set[str] = set()
        for path in self._texts:
            found.update(variables_taken(self._store.read(path).decode("utf-8", "replace")))
        return frozenset(found)


def _of_block(code: str, start: int) -> tuple[list[VariableUse], list[OptionUse]]:
    """Return the settings in a block of Python in a Markdown file, which begins at an offset."""
    data = code.encode()
    try:
        found = python_settings(tree_of(data), code, data)
    except (SyntaxError, ValueError, RecursionError):
        return [], []
    variables = [each._replace(start=each.start + start) for each in found.variables]
    options = [
        each._replace(word=each.word._replace(start=each.word.start + start)) for each in found.options
    ]
    return variables, options


def _silenced(text: _Text, issue: _Issue) -> bool:
    """Return whether a comment silences an issue in a script.

    It stands on the line of the setting, or alone on the line above its command line.
    """
    number = text.line_number(issue.start)
    silenced = Silenced(list(text.lines))
    if silenced.on_line(number, issue.rule):
        return True
    while number > 1 and text.lines[number - 2].rstrip().endswith("\\"):
        number -= 1
    above = text.lines[number - 2] if number > 1 else ""
    return _ALONE.match(above) is not None and silenced.on_line(number - 1, issue.rule)
