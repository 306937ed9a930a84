"""Find functions, classes and methods of the packages that the scanned tree replaces by its own."""

import re
from collections.abc import Sequence
from functools import lru_cache

from compat.scan.sources.discovery import Files

_TEST = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$)|_test\.py$")


class PatchedCallees:
    """Searches the files of the tree for patches; tests do not count, since they put back what they replace.

    Args:
        store: reads files.
        files: all files of the scan.
    """

    def __init__(self, store: Files, files: Sequence[str]) -> None:
        self._store = store
        self._files = files
        self.has = lru_cache(maxsize=None)(self._has)

    def _has(self, callee: str) -> bool:
        """Return whether the tree may replace a callee, such as `LLM.generate` or `get_rope`."""
        name = re.escape(callee.encode())
        owner, _, last = callee.rpartition(".")
        before = rb"\b" if owner else rb"\b(?!self\b)\w+\."
        assigned = before + name + rb"[ \t]*=(?!=)"
        set_ = rb"setattr\([^)\n]*" + (re.escape(owner.encode()) + rb"\b" if owner else b"")
        set_ += rb"[^)\n]*[\"']" + re.escape(last.encode()) + rb"[\"']"
        named = rb"patch\w*\([^)]*[\"'](?:[\w.]*\.)?" + name + rb"[\"']"
        pattern = re.compile(b"|".join((assigned, set_, named)))
        quick = re.compile(name + rb"[ \t]*=(?!=)")  # begins with a literal, for which a search is quick
        return any(
            pattern.search(data)
            for data in self._mentioning(last.encode())
            if b"setattr(" in data or b"patch" in data or quick.search(data)
        )

    def _mentioning(self, word: bytes) -> list[bytes]:
        found = []
        for path in self._files:
            if not _TEST.search(path):
                try:
                    data = self._store.read(path)
                except OSError:
                    continue
                found += [data] if word in data else []
        return found
