"""Find files without findings by their bytes, because parsing takes most of the time of a scan.

Every path and name that might be a reference is looked up, including those in comments and strings. If all of
them resolve in all releases, the actual references do so, too.
"""

import re
from collections.abc import Callable

from compat.scan.prefilter.mentions import mention_offsets, word_offsets

Resolves = Callable[[str, str, tuple[str, ...]], bool]
"""Returns whether `module`, its `name` (may be empty) and further attributes resolve in every release."""
Aliases = dict[bytes, set[str]]
"""Local names, each with the dotted paths that it may stand for."""

_SPACE = rb"(?:\s|\\\n)*"
_PATH = re.compile(rb"\w+(?:" + _SPACE + rb"\." + _SPACE + rb"[^\W\d]\w*)*")
_IMPORT = re.compile(rb"(?:[ \t\f]|\\\n)+import(?:[ \t\f]|\\\n)*(?:\(([^)]*)\)|((?:[^\n;\\]|\\\n)*))")
_AS = re.compile(rb"(?:[ \t\f]|\\\n)+as(?:[ \t\f]|\\\n)+([\w\x80-\xff]+)")
_NAME = re.compile(rb"\s*([^\W\d]\w*)(?:\s+as\s+(\w+))?\s*")
_COMMENT = re.compile(rb"#[^\n]*")
_LITERAL = re.compile(rb"[ \t]*\)*,\s*[rbRB]?[\"']")
_ANCHORED = re.compile(rb"import_module\(\s*[\"']\.")
_DOT = _SPACE + rb"\." + _SPACE
_USE = re.compile(
    rb"((?:" + _DOT + rb"[^\W\d]\w*)+)|[ \t]*,\s*[\"']|" + _DOT + rb"[\x80-\xff]",
)
"""Follows an alias: its attributes, which are captured, or what only parsing can tell."""
_CUT = re.compile(rb"(?:" + _SPACE + rb"\." + _SPACE + rb")?[\x80-\xff]")
"""Follows a word or a path that continues with a letter outside ASCII."""


def all_names_resolve(data: bytes, resolves: Resolves) -> bool:
    """Return whether all names in a file resolve in every release; False if the file has to be parsed.

    Args:
        data: Python source with a line feed at the end of lines.
        resolves: looks names up.
    """
    if _ANCHORED.search(data) or not _is_text(data):
        return False
    aliases: Aliases = {}
    for at in mention_offsets(data):
        path = _PATH.match(data, at)
        if path is None or _CUT.match(data, path.end()):
            return False
        module = b"".join(path[0].replace(b"\\\n", b"").split()).decode()
        names = _IMPORT.match(data, path.end())
        if names is not None:
            if not _names(names[1] or names[2] or b"", module, resolves, aliases):
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
        if not resolves(parts[0], "", tuple(parts[1:])):
            return False
    return _uses(data, resolves, aliases)


def _is_text(data: bytes) -> bool:
    """Return whether a file is UTF-8; any other file is parsed, because it may not be valid Python."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _names(text: bytes, module: str, resolves: Resolves, aliases: Aliases) -> bool:
    """Return whether the names of a `from` import resolve, and add them to the aliases."""
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
        if not resolves(module, name, ()):
            return False
    return True


def _uses(data: bytes, resolves: Resolves, aliases: Aliases) -> bool:
    """Return whether the attributes of aliases resolve."""
    for alias, paths in aliases.items():
        for at in word_offsets(data, alias):
            match = _USE.match(data, at + len(alias)) if data[at - 1 : at] != b"." else None
            if match is None:
                continue
            if match[1] is None or _CUT.match(data, match.end()):
                return False
            parts = b"".join(match[1].replace(b"\\\n", b"").split()).decode().split(".")[1:]
            if not all(resolves(path, "", tuple(parts)) for path in paths):
                return False
    return True
