"""Find the modules that a file imports conditionally, by its bytes: an approximation."""

import re
from collections.abc import Iterator

from compat.scan.prefilter.mentions import TOPS, words

_VERSION_READS = (
    *(b"llm.__version__", b"lang.__version__", b"sgl.__version__", b"import __version__"),
    *(b"'vllm')", b'"vllm")', b"'sglang')", b'"sglang")'),
)
"""Code that reads the version of a package: `vllm.__version__`, `version("vllm")`."""
_RENAMED = re.compile(rb"import[ \t]+(?:vllm|sglang)[ \t]+as[ \t]+(\w+)")
_METADATA = (b"metadata", b"pkg_resources")
_NAMES = (b"'vllm'", b'"vllm"', b"'sglang'", b'"sglang"')
"""The name of a package in a variable that is passed to `version` or `get_distribution`."""
_TOPS = tuple(top.encode() for top in TOPS)
_OTHERS = frozenset({*_TOPS, b"torch", b"os", b"sys", b"unittest"})
_IMPORT = re.compile(rb"(?:from[ \t]+([\w.]+)[ \t]+)?import[ \t]+([^\n#]+)")
_TEXT = re.compile(rb"[\"']([A-Za-z_][\w.]*\.\w+)[\"']")
_TOP_LEVEL = re.compile(rb"^(?:def[ \t]+(\w+)|(\w+)[ \t]*(?::[^=\n]+)?=(?!=))", re.MULTILINE)
_CHOICE = re.compile(rb":\n[ \t]+(?:from|import)[ \t]")
"""The end of a line whose block begins with an import; a pattern that begins with a literal is quick."""


def reads_version(data: bytes) -> bool:
    """Return whether a file may read the version of a package."""
    if not any(top in data for top in _TOPS):
        return False
    if b"__version__" in data and any(name + b".__version__" in data for name in _RENAMED.findall(data)):
        return True
    return any(text in data for text in _VERSION_READS) or (
        any(text in data for text in _METADATA) and any(text in data for text in _NAMES)
    )


def version_tests(data: bytes) -> Iterator[bytes]:
    """Yield the names of the functions and variables of a file that reads the version: they may test it."""
    for match in _TOP_LEVEL.finditer(data):
        yield match[1] or match[2]


def chosen_by(data: bytes, tests: frozenset[bytes]) -> Iterator[str]:
    """Yield the same as `conditionally_imported` for the blocks whose tests contain one of some names."""
    for match in _CHOICE.finditer(data):
        begin = data.rfind(b"\n", 0, match.start()) + 1
        keyword, *test = words(data[begin : match.start()]) or (b"",)
        if keyword in (b"if", b"elif") and not tests.isdisjoint(test):
            for line in _block(data, begin):
                if b"import" in line:
                    yield from _named(line)


def conditionally_imported(data: bytes) -> Iterator[str]:
    """Yield the last parts of the module paths that blocks of `if`, `else` and `case` import or quote."""
    for word in (b"if ", b"case "):
        at = data.find(word)
        while at >= 0:
            begin = data.rfind(b"\n", 0, at) + 1
            if data[begin:at].strip() in (b"", b"el"):
                for line in _block(data, begin):
                    if b"import" in line or b"." in line:
                        yield from _named(line)
            at = data.find(word, at + 1)


def _block(data: bytes, begin: int) -> Iterator[bytes]:
    """Yield the lines of a block and of the `else` after it, without the tests."""
    lines = iter(data[begin : begin + 4_000].split(b"\n"))
    head = next(lines)
    depth = len(head) - len(head.lstrip())
    for line in lines:
        text = line.lstrip()
        if len(line) - len(text) > depth:
            yield text
        elif text and not text.startswith(b"else"):
            return


def _named(line: bytes) -> Iterator[str]:
    match = _IMPORT.match(line)
    parts: list[bytes] = []
    if match is None:
        for text in _TEXT.findall(line):
            parts += text.split(b".")[1:][-3:] if text.partition(b".")[0] not in _OTHERS else []
    elif not match[1] or match[1].partition(b".")[0] not in _OTHERS:
        names = [name.partition(b" as ")[0] for name in match[2].strip(b"() ").split(b",")]
        for path in (match[1],) if match[1] else names:
            *above, last = path.strip().split(b".")
            # Both parts of `mine.v1.engine`: the engine may import the rest of v1.
            parts += [*[part for part in above[1:] if part not in _OTHERS][-1:], last]
        parts += [name.strip() for name in names if b"." not in name]
    yield from (part.decode("utf-8", "replace") for part in parts if part and part not in _OTHERS)
