"""Run `compat scan --fix` and `--diff`: check all changes first, then replace each file atomically."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from compat import errors
from compat._cli import console
from compat._cli.printable import printable
from compat._cli.text import counted
from compat._util.atomic_write import overwrite
from compat.errors import MissingToolError
from compat.index.extended import open_index
from compat.scan.findings import Finding, Report
from compat.scan.fix.edits import Edit, Refusal, plan_edits
from compat.scan.fix.first_release import with_exact_releases
from compat.scan.fix.project_style import ProjectStyle
from compat.scan.fix.version_test_style import Style
from compat.scan.options import ScanOptions
from compat.scan.releases.index_lookup import ReleaseSet
from compat.scan.runner import make_analysis
from compat.scan.settings.kinds import texts_worth_reading
from compat.scan.sources.discovery import Files, Walk
from compat.scan.sources.parse import tree_of
from compat.scan.sources.source_file import decoded

Check = Callable[[str, bytes], Sequence[Finding]]
"""Returns the findings that a file would have with some content."""
Guard = Callable[[Edit], Style | None]


def run(report: Report, options: ScanOptions) -> int:
    """Rewrite the files, or print the changes as a diff; return the exit code.

    Raises:
        MissingToolError: libcst is not installed.
    """
    try:
        import libcst  # noqa: F401 -- fails before anything is changed
    except ModuleNotFoundError:
        raise MissingToolError(
            "rewriting imports needs libcst, which is not installed; "
            "run \"pip install 'sglang-vllm-compat[fix]'\""
        ) from None
    edits, refused = plan_edits(report.findings, report.release_sets, unsafe=options.unsafe_fixes)
    bind_releases(edits, report.release_sets, options.indexes)
    store = Files()
    walk = Walk(options.exclude)
    files = list(walk.files(options.paths))
    names = ExportedNames(files, store)
    project_style = ProjectStyle(files, store.read)
    texts = texts_worth_reading(walk.texts, store.read)
    check = make_analysis(options, files, store, texts).check_content
    changes: dict[str, tuple[bytes, bytes]] = {}
    for path, wanted in edits.items():
        before = store.read(path)
        after = changed_content(path, before, wanted, names, project_style, check)
        if isinstance(after, str):
            refused += [Refusal(finding, after) for finding in report.findings if finding.path == path]
        elif after != before:
            changes[path] = (before, after)
    for refusal in refused:
        finding = refusal.finding
        console.say(f"{finding.path}:{finding.line}: not changed: {_what(finding)}{refusal.reason}")
    if options.diff:
        print("".join(_diff(path, *texts) for path, texts in changes.items()), end="")
        return errors.FINDINGS if changes or refused else errors.CLEAN
    for path, (_, after) in changes.items():
        _replace(path, after)
    unsafe = sum(each.reason.startswith("unsafe") for each in refused)
    hint = f" ({unsafe} with --unsafe-fixes)" if unsafe else ""
    left = counted(len(refused), "finding")
    console.say(f"{counted(len(changes), 'file')} changed, {left} not fixed{hint}")
    return errors.FINDINGS if refused else errors.CLEAN


def _what(finding: Finding) -> str:
    return f"{finding.statement}: " if finding.statement else ""


def bind_releases(
    edits: dict[str, list[Edit]], release_sets: Iterable[ReleaseSet], files: Sequence[str] = ()
) -> None:
    """Replace the releases of edits by exact ones, which need not be among the scanned releases."""
    index = open_index(files)
    versions = {each.package: each.versions for each in release_sets}
    for each in edits.values():
        each[:] = [with_exact_releases(index, edit, versions[edit.package]) for edit in each]


def changed_content(  # noqa: PLR0917 -- the part of `run` for one file
    path: str,
    before: bytes,
    edits: list[Edit],
    names: "ExportedNames",
    project_style: ProjectStyle,
    check: Check,
) -> bytes | str:
    """Return the new content of a file, or the reason why it is not changed."""
    from compat.scan.fix.rewrite import NotChanged, rewritten

    known = _breaking(check(path, before))
    guards: list[Guard] = [_in_turn]
    if any(edit.since for edit in edits):
        guards.insert(0, project_style.of(before))
    worse = ""
    for guard in guards:  # first the project's style, then nested `try` statements
        try:
            after = rewritten(before, edits, lambda name: names.is_exported(path, name), guard)
            tree_of(after)
        except (NotChanged, SyntaxError, ValueError, RecursionError) as error:
            return str(error)
        left = _breaking(check(path, after))
        worse = next((statement for (rule, statement), n in left.items() if n > known[rule, statement]), "")
        if not worse:
            return after
    return f"the new import breaks as well: {worse}"


def _breaking(findings: Iterable[Finding]) -> Counter[tuple[str, str]]:
    """Return the rules and statements of the findings, counted, without notes."""
    return Counter((each.rule, each.statement) for each in findings if each.level != "note")


def _in_turn(_: Edit) -> None:
    """Return None, so that the imports are tried in turn."""


class ExportedNames:
    """Finds the names that other files may import from a file."""

    def __init__(self, files: Sequence[str], store: Files) -> None:
        self._files = files
        self._store = store

    def is_exported(self, path: str, name: str) -> bool:
        """Return whether other files may import a name: the file quotes it, or another file contains it."""
        word = re.compile(rb"\b" + name.encode() + rb"\b")
        own = re.search(rb"[\"']" + name.encode() + rb"[\"']", self._store.read(path))
        return own is not None or any(
            word.search(self._store.read(other)) for other in self._files if other != path
        )


def _diff(path: str, before: bytes, after: bytes) -> str:
    old, new = (decoded(text).splitlines(keepends=True) for text in (before, after))
    name = printable(path.lstrip("/"))
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _replace(path: str, data: bytes) -> None:
    """Replace the content of a file."""
    overwrite(Path(path), data)
