"""Find, by its bytes, whether a file may call something of the packages or have a class below theirs."""

import re
from collections.abc import Callable, Iterator

from compat.scan.prefilter.mentions import TOPS

Fits = Callable[[str, int], bool]
"""Returns whether a call of a dotted path with a number of positional arguments fits all releases."""
_TOPS = "|".join(TOPS).encode()
_FROM = re.compile(
    rb"^[ \t]*from[ \t]+((?:" + _TOPS + rb")\b[\w.]*)[ \t]+import[ \t]*(?:\(([^)]*)\)|([^\n]*))", re.MULTILINE
)
_IMPORT = re.compile(rb"^[ \t]*import[ \t]([^\n]*)", re.MULTILINE)
_SPACE = rb"(?:\s|\\\n)*"
_COMMENT = re.compile(rb"#[^\n]*")
_NAME = re.compile(rb"([\w.]+)(?:\s+as\s+(\w+))?\s*")
_CLASS = re.compile(rb"^[ \t]*class[ \t]+\w+[ \t]*\(([^)]*)\)", re.MULTILINE)
_BASE = re.compile(rb"[\w.=]+")
_ELSEWHERE = frozenset(
    b"ABC BaseModel Enum Exception Generic IntEnum NamedTuple Protocol RuntimeError StrEnum T TestCase "
    b"TypedDict ValueError abc.ABC dict enum.Enum int list nn.Module object str torch.nn.Module "
    b"unittest.TestCase".split()
)
"""Bases that are no classes of the packages, and none of the tree."""
_CALL = re.compile(
    rb"(?<![\w.])([^\W\d]\w*)((?:" + _SPACE + rb"\." + _SPACE + rb"\w+)*)(?=" + _SPACE + rb"\()"
)
_PLAIN = re.compile(rb"\s*\(([\w.\s,]*)\)")
"""Arguments that are names or numbers."""


def may_call(data: bytes, fits: Fits) -> bool:
    """Return whether a file may have a call of the packages that does not fit, or a class below theirs.

    Args:
        data: Python source.
        fits: looks up plain calls of functions, such as `init_logger(__name__)`.
    """
    if any(base not in _ELSEWHERE for found in _CLASS.finditer(data) for base in _BASE.findall(found[1])):
        return True
    if b"partial" in data:
        return True
    paths: dict[bytes, bytes] = {}
    for name, path in _imported(data):
        if not name or paths.setdefault(name, path) != path:
            return True
    if not paths:
        return False
    for found in _CALL.finditer(data):
        if found[1] not in paths:
            continue
        called = (paths[found[1]] + b"".join(found[2].replace(b"\\\n", b"").split())).decode()
        plain = _PLAIN.match(data, found.end()) if called.rpartition(".")[2].islower() else None
        if plain is None or not fits(called, len([each for each in plain[1].split(b",") if each.strip()])):
            return True
    return False


def _imported(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names that imports of the packages bind, with their paths; an empty name if unclear."""
    for found in _FROM.finditer(data):
        for name, path in _names(found[3] if found[2] is None else found[2]):
            yield name or path, found[1] + b"." + path
    for found in _IMPORT.finditer(data):
        if any(top.encode() in found[1] for top in TOPS):
            for name, path in _names(found[1]):
                top = path.partition(b".")[0]
                if not top or top.decode() in TOPS:
                    yield name or top, path if name else top


def _names(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    for part in _COMMENT.sub(b"", text).split(b","):
        found = _NAME.fullmatch(part.strip())
        if found is not None:
            yield found[2] or b"", found[1]
        elif part.strip():
            yield b"", b""
