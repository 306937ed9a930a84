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
        """Return whether the tree may replace a callee, such as `LLM.generate` or `get_rope`.

        The call of a class is one of its constructor.
        """
        constructors = () if "." in callee else (f"{callee}.__init__", f"{callee}.__new__")
        return any(map(self._replaces, (callee, *constructors)))

    def _replaces(self, callee: str) -> bool:
        name = re.escape(callee.encode())
        owner, _, last = callee.rpartition(".")
        before = rb"\b" if owner else rb"\b(?!self\b)\w+\."
        assigned = before + name + rb"[ \t]*=(?!=)"
        set_ = rb"setattr\([^)\n]*" + (re.escape(owner.encode()) + rb"\b" if owner else b"")
        set_ += rb"[^)\n]*[\"']" + re.escape(last.encode()) + rb"[\"']"
        named = rb"patch\w*\([^)]*[\"'](?:[\w.]*\.)?" + name + rb"[\"']"
        # Those that begin with a literal come first: a search for one is quick, and few files have it.
        patterns = [re.compile(each) for each in (set_, named, name + rb"[ \t]*=(?!=)", assigned)]
        return any(
            patterns[0].search(data)
            or patterns[1].search(data)
            or (patterns[2].search(data) and patterns[3].search(data))
            for data in self._mentioning(last.encode())
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
