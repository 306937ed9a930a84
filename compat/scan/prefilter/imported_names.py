"""Find the names that a file may import from a module of the tree, by its bytes.

The result may have too many names, and never misses an import; `compat.scan.project.unbound_imports` finds
the actual imports.
"""

import re
from collections.abc import Iterable

from compat.scan.prefilter.mentions import TOPS


class ImportedNames:
    """Finds the names that files may import from one module.

    Args:
        path: the file of the module.
        names: the names to look for.
    """

    def __init__(self, path: str, names: Iterable[str]) -> None:
        self._names = {name.encode(): name for name in names}
        self._folder, stem = package_and_stem(path)
        self._stem = stem.encode()
        self._parent = (
            package_and_stem(f"{path.rpartition('/')[0]}/__init__.py")[1].encode()
            if not self._folder
            else b""
        )
        # Only `mine.vllm` matters; many files contain the name of the package.
        self._word = b"." + self._stem if stem in TOPS else self._stem
        # The pattern begins with a literal instead of what may stand before it: this is much faster.
        self._listed = re.compile(
            re.escape(self._stem) + rb"[ \t]+import[ \t]*(?:\(([^)]*)\)|((?:[^\n\\]|\\\n)*))"
        )

    def __call__(self, path: str, data: bytes) -> set[str]:
        """Return the names that a file may import from the module."""
        # Files of a package need not contain its name: `from . import x`.
        inside = bool(self._folder) and path.startswith(self._folder)
        if not inside and self._word not in data:
            return set()
        if inside or self._whole(data):
            return self._among(data)
        listed = (match[1] or match[2] or b"" for match in self._listed.finditer(data))
        return {name for text in listed for name in self._among(text)}

    def _among(self, text: bytes) -> set[str]:
        """Return the names that a text contains, or all names if it contains `import *`."""
        if b"*" in text and (text.lstrip().startswith(b"*") or b"import *" in text):
            return set(self._names.values())
        return {name for word, name in self._names.items() if word in text}

    def _whole(self, data: bytes) -> bool:
        """Return whether a file imports the module itself, under whatever name."""
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


def package_and_stem(path: str) -> tuple[str, str]:
    """Return the folder of a package (empty for a plain module) and the last part of the module's name."""
    folder, _, file = path.rpartition("/")
    if file == "__init__.py":
        return f"{folder}/", folder.rpartition("/")[2]
    return "", file.removesuffix(".py")
