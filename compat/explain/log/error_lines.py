"""Parse error lines outside tracebacks: warnings that quote an exception, and bare error messages."""

import re
from collections.abc import Iterator

from compat.explain.log.model import ExceptionInfo, Failure

_QUOTED = re.compile(
    r"""\b([A-Z]\w{0,60}Error)\((?:"([^"]{1,2000})"?|'([^']{1,2000}(?:'[^'()]{1,200}'[^']{0,500}){0,4})'?)"""
)
_BARE = re.compile(r"\b([A-Z]\w{0,60}(?:Error|Exception|NotFound)|Exception): (.{1,3000})")
_PLAIN = (
    "cannot import name ", "No module named ", "undefined symbol: ", ": cannot open shared object file",
    "version `GLIBC", "version `CXXABI", "no kernel image is available", "quantization method",
    "Failed to infer device type", "No CUDA GPUs are available", "driver on your system is too old",
    "not compiled with CUDA enabled", "compiled using NumPy 1", "has no attribute '",
    "which is incompatible", "Could not load any common_ops library",
    "is not defined for option 'gpu-name'", "Unsupported gpu architecture '",
    "Could not import module '", "error: unrecognized arguments: ", "got an unexpected keyword argument",
    "' is already used by a Transformers ", " are not supported for now. Supported architectures: ",
)  # fmt: skip
"""Phrases that mark an error line which does not name an exception."""
_CODE = re.compile(r"^\s{0,80}(?:[\w.\[\], ]{1,80} = |return |await )?[\w.]{1,120}\(")
"""Matches a source line that calls something."""
_WORDS = ("Error", "NotFound", "Exception", *_PLAIN)
_BEFORE, _AFTER = 400, 1_000
"""Characters that are kept before and after such a phrase."""


def loose(text: str, before: str = "") -> Iterator[Failure]:
    """Yield the failure that a single line reports, if any.

    Args:
        text: the line.
        before: the line before it. Above an error about arguments it may be the source line of the call,
            pasted without its frame; the failure keeps it as further text.
    """
    if not any(word in text for word in _WORDS):
        return
    line = text
    if "argument" in text and _CODE.search(before):
        line = f"{text}\n{before.strip()}"
    found = _QUOTED.search(text)
    if found:
        message = found[2] or found[3]
        yield _failure(found[1], message.replace("\\'", "'").replace('\\"', '"'), line)
        return
    found = _BARE.search(text)
    if found:
        yield _failure(found[1], found[2].strip(), line)
        return
    at = min((place for word in _PLAIN if (place := text.find(word)) >= 0), default=None)
    if at is not None:
        yield _failure("", text[max(0, at - _BEFORE) : at + _AFTER].strip(), line)


def _failure(kind: str, message: str, line: str) -> Failure:
    """Return a failure that keeps the whole line as further text, because it may name a module."""
    return Failure(chain=(ExceptionInfo(kind=kind, message=message[:2_000], more=line[:1_000]),), loose=True)
