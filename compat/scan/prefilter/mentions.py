"""Where the bytes of a file may lead into one of the packages: a look that costs far less than parsing.

It may say yes to a comment, and never says no to a reference: what it does not mark is not parsed.
"""

import re
from collections.abc import Iterator

TOPS = ("vllm", "sglang", "sgl_kernel")
"""The import names that are looked for."""

_TOPS = tuple(top.encode() for top in TOPS)
_GAP = rb"(?:[ \t\f]|\\\r?\n)*"
_IN_CODE = re.compile(
    rb"(?:\s|\\\r?\n)*\.(?:\s|\\\r?\n)*[\w\x80-\xff]|" + _GAP + rb"(?:import\b|as\b|\)*,\s*[rbRB]?[\"'])"
)
"""What follows the name where it is more than a word: a path, an import, or a call with the name of an
attribute (`getattr(vllm, "x")`)."""
_RELATIVE = re.compile(rb"import_module\(\s*[\"']\.")
"""A module named relative to a package, which then stands alone in its quotes."""
_WORDS = frozenset(
    bytes([each]) for each in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
)
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")


def named(data: bytes) -> bool:
    """Return whether the name of a package stands anywhere in a file."""
    return any(top in data for top in _TOPS)


def mentioned(path: str, data: bytes) -> bool:
    """Return whether a file can refer to one of the packages at all."""
    if not named(data):
        return False
    # The code of a notebook stands in strings, with escapes between the words.
    return path.endswith(".ipynb") or bool(positions(data, first=True))


def positions(data: bytes, *, first: bool = False, words: bool = False) -> list[int]:
    """Return the offsets at which a package is named in what may be code, in order.

    Args:
        data: the file.
        first: whether one is enough.
        words: whether the mere name counts: `import vllm` matters where `vllm.x` stands elsewhere.
    """
    found: list[int] = []
    relative = _RELATIVE.search(data) is not None
    for top in _TOPS:
        at = data.find(top)
        while at >= 0:
            end = at + len(top)
            if (at == 0 or data[at - 1] not in _WORD) and (
                (words and data[end : end + 1] not in _WORDS)
                or _IN_CODE.match(data, end)
                or (relative and data[end : end + 1] in b"\"'")
            ):
                found.append(at)
                if first:
                    return found
            at = data.find(top, end)
    found.sort()
    return found


def occurrences(data: bytes, word: bytes) -> Iterator[int]:
    """Yield the offsets at which a name stands as a word, faster than an expression with word boundaries."""
    at = data.find(word)
    while at >= 0:
        end = at + len(word)
        if (at == 0 or data[at - 1 : at] not in _WORDS) and data[end : end + 1] not in _WORDS:
            yield at
        at = data.find(word, end)


def lines_of(data: bytes, offsets: list[int]) -> list[int]:
    """Return the line numbers, from 1, of ascending offsets, each line once."""
    found: list[int] = []
    line, begin = 1, 0
    for offset in offsets:
        line += data.count(b"\n", begin, offset)
        begin = offset
        if not found or found[-1] != line:
            found.append(line)
    return found
