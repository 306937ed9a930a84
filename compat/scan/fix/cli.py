"""`compat scan --fix` and `--diff`: everything is checked first, then each file is replaced in one step."""

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from compat import errors
from compat._cli import console
from compat._util.atomic_write import replacing
from compat.errors import MissingToolError
from compat.index.reader import Index
from compat.scan.findings import Finding, Report
from compat.scan.fix.edits import Edit, Refusal, planned
from compat.scan.fix.first_release import exact
from compat.scan.fix.project_style import Habits
from compat.scan.fix.version_test_style import Style
from compat.scan.options import ScanOptions
from compat.scan.runner import prepared
from compat.scan.sources.discovery import Files, Walk
from compat.scan.sources.parse import tree_of
from compat.scan.sources.source_file import decoded

Check = Callable[[str, bytes], Sequence[Finding]]
"""Returns what a scan finds in a file if that is its content."""
Guard = Callable[[Edit], Style | None]


def run(report: Report, options: ScanOptions) -> int:
    """Change the files, or show what would be changed; return the exit code.

    Raises:
        MissingToolError: libcst is not installed.
    """
    try:
        import libcst  # noqa: F401 -- asked for before anything is done
    except ModuleNotFoundError:
        raise MissingToolError(
            "--fix: libcst is not installed; run `pip install 'sglang-vllm-compat[fix]'`"
        ) from None
    edits, refused = planned(report.findings, report.release_sets)
    _bound(edits, report)
    store = Files()
    files = list(Walk(options.exclude).files(options.paths))
    names = _Names(files, store)
    habits = Habits(files, store.read)
    check = prepared(options, files, store).check
    changes: dict[str, tuple[bytes, bytes]] = {}
    for path, wanted in edits.items():
        before = store.read(path)
        after = _changed(path, before, wanted, names, habits, check)
        if isinstance(after, str):
            refused += [Refusal(finding, after) for finding in report.findings if finding.path == path]
        elif after != before:
            changes[path] = (before, after)
    for refusal in refused:
        finding = refusal.finding
        console.say(f"{finding.path}:{finding.line}: not changed, {refusal.reason}: {finding.statement}")
    if options.diff:
        print("".join(_diff(path, *texts) for path, texts in changes.items()), end="")
        return errors.FINDINGS if changes or refused else errors.CLEAN
    for path, (_, after) in changes.items():
        _replace(path, after)
    console.say(
        f"{len(changes)} file{'' if len(changes) == 1 else 's'} changed, {len(refused)} findings left"
    )
    return errors.FINDINGS if refused else errors.CLEAN


def _bound(edits: dict[str, list[Edit]], report: Report) -> None:
    """Set the releases of edits to the very ones, whatever was asked about."""
    index = Index()
    versions = {each.package: each.versions for each in report.release_sets}
    for each in edits.values():
        each[:] = [exact(index, edit, versions[edit.package]) for edit in each]


def _changed(  # noqa: PLR0917 -- one file's share of `run`
    path: str, before: bytes, edits: list[Edit], names: "_Names", habits: Habits, check: Check
) -> bytes | str:
    """Return the new content of a file, or why it is left alone."""
    from compat.scan.fix.rewrite import NotChanged, rewritten

    known = _breaking(check(path, before))
    guards: list[Guard] = [_in_turn]
    if any(edit.since for edit in edits):
        guards.insert(0, habits.of(before))
    worse = ""
    for guard in guards:  # the project's style, and if that does not work out, alternatives in turn
        try:
            after = rewritten(before, edits, lambda name: names.taken(path, name), guard)
            tree_of(after)
        except (NotChanged, SyntaxError, ValueError, RecursionError) as error:
            return str(error)
        left = _breaking(check(path, after))
        worse = next((statement for (rule, statement), n in left.items() if n > known[rule, statement]), "")
        if not worse:
            return after
    return f"what would be written breaks as well: {worse}"


def _breaking(findings: Iterable[Finding]) -> Counter[tuple[str, str]]:
    """Return rule and statement of what breaks; that a name is private, as it was before, breaks nothing."""
    return Counter((each.rule, each.statement) for each in findings if each.level != "note")


def _in_turn(_: Edit) -> None:
    """Return no test: the alternatives are tried in turn."""


class _Names:
    """Tells which names other files may take from a file."""

    def __init__(self, files: Sequence[str], store: Files) -> None:
        self._files = files
        self._store = store

    def taken(self, path: str, name: str) -> bool:
        """Return whether `__all__` or another file has the name of something in a file."""
        word = re.compile(rb"\b" + name.encode() + rb"\b")
        own = re.search(rb"[\"']" + name.encode() + rb"[\"']", self._store.read(path))
        return own is not None or any(
            word.search(self._store.read(other)) for other in self._files if other != path
        )


def _diff(path: str, before: bytes, after: bytes) -> str:
    old, new = (decoded(text).splitlines(keepends=True) for text in (before, after))
    name = path.lstrip("/")
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _replace(path: str, data: bytes) -> None:
    """Replace a file, or what a link leads to, in one step; its mode stays."""
    target = Path(path).resolve()
    mode = target.stat().st_mode
    with replacing(target) as part:
        part.write_bytes(data)
    os.chmod(target, mode & 0o7777)  # noqa: PTH101 -- beside stat
