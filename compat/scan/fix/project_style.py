"""Find how a project guards imports by release: the style of the file, else that of most files."""

import ast
from collections import Counter
from collections.abc import Callable, Sequence

from compat.scan.fix.edits import Edit
from compat.scan.fix.version_test_style import Style, tried_imports, usable, version_tests, with_imports
from compat.scan.sources.parse import tree_of
from compat.scan.sources.source_file import decoded


class ProjectStyle:
    """Finds the version tests by which the files of a tree choose among imports.

    Args:
        files: all files of the scan.
        read: returns the bytes of a file.
    """

    def __init__(self, files: Sequence[str], read: Callable[[str], bytes]) -> None:
        self._files = [path for path in files if path.endswith(".py")]
        self._read = read
        self._usual: dict[str, tuple[Style, ast.Module] | None] = {}

    def of(self, data: bytes) -> Callable[[Edit], Style | None]:
        """Return a function that returns the style for an edit of a file, or None to try imports in turn."""
        text = decoded(data).replace("\r\n", "\n")
        tree = _parsed(data)

        def style(edit: Edit) -> Style | None:
            if tree is None:
                return None
            own = list(version_tests(text, tree, edit.package))
            if own:
                return next((each for each in own if usable(each, tree, edit.line, inside=edit.inside)), None)
            if tried_imports(tree, edit.package):
                return None
            if edit.package not in self._usual:
                self._usual[edit.package] = self._most(edit.package)
            usual = self._usual[edit.package]
            if usual is None:
                return None
            if usable(usual[0], tree, edit.line, inside=edit.inside):
                return usual[0]
            return with_imports(usual[0], usual[1], tree)

        return style

    def _most(self, package: str) -> tuple[Style, ast.Module] | None:
        """Return the most frequent style with a file that has it; None if more files use `try`."""
        found: dict[str, tuple[Style, ast.Module]] = {}
        counts: Counter[str] = Counter()
        tried = 0
        for path in self._files:
            try:
                data = self._read(path)
            except OSError:
                continue
            if package.encode() not in data or not (b"ersion" in data or b"try:" in data):
                continue
            tree = _parsed(data)
            if tree is None:
                continue
            tried += bool(tried_imports(tree, package))
            for style in version_tests(decoded(data).replace("\r\n", "\n"), tree, package):
                counts[style.before] += 1
                found.setdefault(style.before, (style, tree))
                break
        if not counts or counts.total() <= tried:
            return None
        return found[counts.most_common(1)[0][0]]


def _parsed(data: bytes) -> ast.Module | None:
    try:
        return tree_of(data)
    except (SyntaxError, ValueError, RecursionError):
        return None
