"""Which names the bytes of a file may take from a module of the tree: a look that costs less than parsing.

It may say yes too often, and never says no to an import: see `compat.scan.project.unbound_imports` for
what is really taken.
"""

import re
from collections.abc import Iterable

from compat.scan.prefilter.mentions import TOPS


class Takes:
    """Looks into files for what they take from one module.

    Args:
        path: the module's file.
        names: what it may lack.
    """

    def __init__(self, path: str, names: Iterable[str]) -> None:
        self._names = {name.encode(): name for name in names}
        self._folder, stem = known_as(path)
        self._stem = stem.encode()
        self._parent = (
            known_as(f"{path.rpartition('/')[0]}/__init__.py")[1].encode() if not self._folder else b""
        )
        # `mine.vllm` is meant, and many files name the other one.
        self._word = b"." + self._stem if stem in TOPS else self._stem
        # It begins with what is looked for, and not with what may stand before that: this is much faster.
        self._listed = re.compile(
            re.escape(self._stem) + rb"[ \t]+import[ \t]*(?:\(([^)]*)\)|((?:[^\n\\]|\\\n)*))"
        )

    def __call__(self, path: str, data: bytes) -> set[str]:
        """Return the names that a file may take."""
        # Files of a package need not name it: `from . import x`.
        inside = bool(self._folder) and path.startswith(self._folder)
        if not inside and self._word not in data:
            return set()
        if inside or self._whole(data):
            return self._among(data)
        listed = (match[1] or match[2] or b"" for match in self._listed.finditer(data))
        return {name for text in listed for name in self._among(text)}

    def _among(self, text: bytes) -> set[str]:
        """Return the names in a text, all of them for `import *`."""
        if b"*" in text and (text.lstrip().startswith(b"*") or b"import *" in text):
            return set(self._names.values())
        return {name for word, name in self._names.items() if word in text}

    def _whole(self, data: bytes) -> bool:
        """Return whether the module itself is imported, under whatever name."""
        size = len(self._stem)
        at = data.find(self._stem)
        while at >= 0:
            end = at + size
            line = data[data.rfind(b"\n", 0, at) + 1 : end].lstrip()
            after = data[end : end + 20].lstrip(b" \t")
            if line.startswith(b"import"):
                return True
            if line.startswith(b"from"):
                origin = line[4:].split(None, 1)[0]
                if origin.endswith((b".", self._parent)) and not after.startswith((b"import", b".")):
                    return True
            elif line == self._stem and after[:1] in (b",", b")", b"\n", b"\r", b"#", b"a", b""):
                return True  # one of several names, each on its line
            at = data.find(self._stem, end)
        return False


def known_as(path: str) -> tuple[str, str]:
    """Return the folder of a package, empty for another module, and the last part of a module's name."""
    folder, _, file = path.rpartition("/")
    if file == "__init__.py":
        return f"{folder}/", folder.rpartition("/")[2]
    return "", file.removesuffix(".py")
