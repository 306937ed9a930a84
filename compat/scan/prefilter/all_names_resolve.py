"""Files in which nothing can be wrong, told from their bytes: parsing takes longer than all else in a scan.

Every path and name that might be a reference is held against the releases, those in comments and strings too.
When all of them work in all releases, so does what the file really refers to.
"""

import re
from collections.abc import Callable

from compat.scan.prefilter.mentions import positions

Works = Callable[[str, str, tuple[str, ...]], bool]
"""Returns whether `module`, `name` of it (may be empty), and attributes of both work in every release."""
Aliases = dict[bytes, set[str]]
"""Local names, and the paths that each may stand for."""

_SPACE = rb"(?:\s|\\\n)*"
_PATH = re.compile(rb"\w+(?:" + _SPACE + rb"\." + _SPACE + rb"[^\W\d]\w*)*")
_IMPORT = re.compile(rb"(?:[ \t\f]|\\\n)+import(?:[ \t\f]|\\\n)*(?:\(([^)]*)\)|((?:[^\n;\\]|\\\n)*))")
_AS = re.compile(rb"(?:[ \t\f]|\\\n)+as(?:[ \t\f]|\\\n)+([\w\x80-\xff]+)")
_NAME = re.compile(rb"\s*([^\W\d]\w*)(?:\s+as\s+(\w+))?\s*")
_COMMENT = re.compile(rb"#[^\n]*")
_LITERAL = re.compile(rb"[ \t]*\)*,\s*[rbRB]?[\"']")
_ANCHORED = re.compile(rb"import_module\(\s*[\"']\.")
_CUT = re.compile(rb"(?:" + _SPACE + rb"\." + _SPACE + rb")?[\x80-\xff]")
"""What follows a word or a path that goes on with a letter outside of ASCII."""


def clean(data: bytes, works: Works) -> bool:
    """Return whether nothing in a file can be wrong; False when that takes a closer look.

    Args:
        data: Python source, a line feed at the end of lines.
        works: looks things up.
    """
    if _ANCHORED.search(data) or not _is_text(data):
        return False
    aliases: Aliases = {}
    for at in positions(data):
        path = _PATH.match(data, at)
        if path is None or _CUT.match(data, path.end()):
            return False
        module = b"".join(path[0].replace(b"\\\n", b"").split()).decode()
        names = _IMPORT.match(data, path.end())
        if names is not None:
            if not _names(names[1] or names[2] or b"", module, works, aliases):
                return False
            continue
        renamed = _AS.match(data, path.end())
        if renamed is not None:
            if not renamed[1].isascii():
                return False
            aliases.setdefault(renamed[1], set()).add(module)
        parts = module.split(".")
        if _LITERAL.match(data, path.end()):
            return False  # `getattr(vllm.x, "y")`
        if not works(parts[0], "", tuple(parts[1:])):
            return False
    return _uses(data, works, aliases)


def _is_text(data: bytes) -> bool:
    """Return whether a file is UTF-8: any other may be no Python, which has to be told."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _names(text: bytes, module: str, works: Works, aliases: Aliases) -> bool:
    """Return whether the names of a `from` import work; they are added to the aliases."""
    for part in _COMMENT.sub(b"", text).replace(b"\\\n", b" ").split(b","):
        if not part.strip():
            continue
        if part.strip() == b"*":
            name = ""
        else:
            match = _NAME.fullmatch(part)
            if match is None:
                return False
            name = match[1].decode()
            aliases.setdefault(match[2] or match[1], set()).add(f"{module}.{name}")
        if not works(module, name, ()):
            return False
    return True


def _uses(data: bytes, works: Works, aliases: Aliases) -> bool:
    """Return whether the attributes that are read of aliases work."""
    if not aliases:
        return True
    words = b"|".join(map(re.escape, sorted(aliases)))
    dot = _SPACE + rb"\." + _SPACE
    path = rb"((?:" + dot + rb"[^\W\d]\w*)+)"
    unlike = rb"[ \t]*,\s*[\"']|" + dot + rb"[\x80-\xff]"
    pattern = re.compile(rb"(?<![\w.])(" + words + rb")(?:" + path + rb"|" + unlike + rb")")
    for match in pattern.finditer(data):
        if match[2] is None or _CUT.match(data, match.end()):
            return False
        parts = b"".join(match[2].replace(b"\\\n", b"").split()).decode().split(".")[1:]
        if not all(works(path, "", tuple(parts)) for path in aliases[match[1]]):
            return False
    return True
