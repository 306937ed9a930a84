"""Find the offsets at which the bytes of a file may refer to one of the packages.

The result may include comments and strings, and never misses a reference: files without one are not parsed.
"""

import re
from collections.abc import Iterator

TOPS = ("vllm", "sglang", "sgl_kernel")
"""The import names of the packages."""

_TOPS = tuple(top.encode() for top in TOPS)
_GAP = rb"(?:[ \t\f]|\\\r?\n)*"
_IN_CODE = re.compile(
    rb"(?:\s|\\\r?\n)*\.(?:\s|\\\r?\n)*[\w\x80-\xff]|" + _GAP + rb"(?:import\b|as\b|\)*,\s*[rbRB]?[\"'])"
)
"""Follows the name of a package where it is more than a word: a path, an import, or a call with the name of
an attribute (`getattr(vllm, "x")`)."""
_RELATIVE = re.compile(rb"import_module\(\s*[\"']\.")
"""The import of a module relative to a package, whose name is then a string of its own."""
_BARE = re.compile(rb"^[ \t]*import[ \t][^\n#]*(?<![\w.])(?:" + b"|".join(_TOPS) + rb")\b", re.MULTILINE)
"""The import of a package by itself: it breaks nothing, but the file has to be valid Python."""
_IMPORTED = re.compile(rb"(?:^|\")[ \t]*(?:from|import)[ \t]+(" + b"|".join(_TOPS) + rb")\b", re.MULTILINE)
_WORDS = frozenset(
    bytes([each]) for each in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
)
_BLANKS = bytes(each if bytes([each]) in _WORDS else 32 for each in range(256))
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")


def contains_package_name(data: bytes) -> bool:
    """Return whether a file contains the name of a package."""
    return any(top in data for top in _TOPS)


def mentions_package(path: str, data: bytes) -> bool:
    """Return whether a file may refer to one of the packages."""
    if not contains_package_name(data):
        return False
    # A notebook holds its code in JSON strings, with escapes between the words.
    return (
        path.endswith(".ipynb") or bool(mention_offsets(data, first=True)) or _BARE.search(data) is not None
    )


def mention_offsets(data: bytes, *, first: bool = False, words: bool = False) -> list[int]:
    """Return the offsets at which code may refer to a package, ascending.

    Args:
        data: the bytes of the file.
        first: whether to stop after the first offset.
        words: whether the name alone counts: `import vllm` matters where `vllm.x` follows later.
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


def imported_tops(data: bytes) -> set[str]:
    """Return the import names of the packages that the bytes of a file, or of a notebook, import."""
    return {name.decode() for name in _IMPORTED.findall(data)}


def word_offsets(data: bytes, word: bytes) -> Iterator[int]:
    """Yield the offsets at which a name is a whole word; faster than a regular expression."""
    at = data.find(word)
    while at >= 0:
        end = at + len(word)
        if (at == 0 or data[at - 1 : at] not in _WORDS) and data[end : end + 1] not in _WORDS:
            yield at
        at = data.find(word, end)


def words(data: bytes) -> list[bytes]:
    """Return the words of a file, as `word_offsets` finds them."""
    return data.translate(_BLANKS).split()


def line_numbers(data: bytes, offsets: list[int]) -> list[int]:
    """Return the line numbers, from 1, of ascending offsets, without repetitions."""
    found: list[int] = []
    line, begin = 1, 0
    for offset in offsets:
        line += data.count(b"\n", begin, offset)
        begin = offset
        if not found or found[-1] != line:
            found.append(line)
    return found
