"""Lines that tell of a failure without a traceback: warnings that quote an exception, bare error lines."""

import re
from collections.abc import Iterator

from compat.explain.failure import Failure, Raised

_QUOTED = re.compile(
    r"""\b([A-Z]\w{0,60}Error)\((?:"([^"]{1,2000})"?|'([^']{1,2000}(?:'[^'()]{1,200}'[^']{0,500}){0,4})'?)"""
)
_BARE = re.compile(r"\b([A-Z]\w{0,60}(?:Error|Exception|NotFound)): (.{1,3000})")
_PLAIN = re.compile(
    r"(cannot import name .{1,500}|No module named .{1,300}|.{0,500}undefined symbol: .{1,800}"
    r"|[\w./+-]{1,300}: cannot open shared object file.{0,100}"
    r"|.{0,300}version `(?:GLIBC|GLIBCXX|CXXABI)_.{1,300}"
    r"|.{0,200}no kernel image is available.{0,200}|.{0,200}Unknown quantization method.{1,500}"
    r"|Failed to infer device type.{0,200}|.{0,100}No CUDA GPUs are available.{0,100}"
    r"|.{0,100}NVIDIA driver on your system is too old.{0,300}|.{0,100}not compiled with CUDA enabled.{0,100}"
    r"|.{0,200}compiled using NumPy 1\.x.{0,200}|.{0,200}has no attribute '\w+'.{0,200}"
    r"|\S{1,80} \S{1,80} requires \S{1,120}, but you have \S{1,80} \S{1,80} which is incompatible.{0,20})"
)
_WORDS = (
    "Error", "NotFound", "Exception", "cannot import", "No module", "undefined symbol", "shared object",
    "`GLIBC", "`CXXABI", "kernel image", "quantization method", "infer device", "CUDA GPUs", "too old",
    "CUDA enabled", "using NumPy 1", "has no attribute", "incompatible",
)  # fmt: skip


def loose(text: str) -> Iterator[Failure]:
    """Yield the failure that a single line tells of, if it does."""
    if not any(word in text for word in _WORDS):
        return
    found = _QUOTED.search(text)
    if found:
        message = found[2] or found[3]
        yield _failure(found[1], message.replace("\\'", "'").replace('\\"', '"'))
        return
    found = _BARE.search(text)
    if found:
        yield _failure(found[1], found[2].strip())
        return
    found = _PLAIN.search(text)
    if found:
        yield _failure("", found[1].strip())


def _failure(kind: str, message: str) -> Failure:
    return Failure(chain=(Raised(kind=kind, message=message[:4_000]),), loose=True)
