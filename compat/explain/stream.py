"""A log of any size, read once in blocks: what is told in it of failures and of releases.

Most blocks of a long log hold nothing of interest. They are passed over after a search for a few words, which
is as fast as reading them.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from compat.explain.clean import LONGEST, Line, clean
from compat.explain.facts import Facts
from compat.explain.failure import Failure
from compat.explain.loose import loose
from compat.explain.traceback import Parser

BLOCK = 1 << 15
"""Bytes that are searched at a time."""
WORKERS = 64
"""Processes whose tracebacks may be under way at once."""
MOST_FAILURES = 200
"""Distinct failures that are kept: the first half, and the last."""
SIGNS = (
    b"Traceback", b"Error", b"rror:", b"Exception", b'File "', b"NotFound", b"cannot import",
    b"No module named", b"shared object", b"undefined symbol", b"version `", b"kernel image",
    b"quantization method", b"infer device", b"CUDA GPUs", b"too old", b"CUDA enabled", b"NumPy 1",
    b"incompatible",
)  # fmt: skip
"""A block without any of these tells of no failure."""
FACTS = (
    b"vLLM", b"vllm==", b"vllm-", b"vllm ", b"LLM engine (v", b"sglang", b"SGLang", b"Name: ", b"-info",
    b"[pip", b"==", b"[conda]", b"Package ", b"Successfully installed", b"/python3.",
)  # fmt: skip
"""A block without any of these tells of no release."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a whole log tells."""

    failures: list[Failure] = field(default_factory=list)
    """Tracebacks, in the order in which they end; each distinct one once."""
    mentions: list[Failure] = field(default_factory=list)
    """Lines that tell of an error without a traceback; each distinct one once."""
    facts: Facts = field(default_factory=Facts)
    lines: int = 0
    """Lines of the log."""
    last: str = ""
    """The last line that is not empty, cleaned."""
    _seen: set[int] = field(default_factory=set)

    def add(self, failure: Failure) -> None:
        """Keep a failure, unless it is known or there are too many."""
        key = hash((failure.chain, failure.loose))
        if key in self._seen:
            return
        kept = self.mentions if failure.loose else self.failures
        if len(self._seen) < 20 * MOST_FAILURES:
            self._seen.add(key)
        kept.append(failure)
        if len(kept) > MOST_FAILURES:
            del kept[MOST_FAILURES // 2]


def read(source: str | Iterable[bytes]) -> Report:
    """Return what a log tells.

    Args:
        source: the text, or its bytes in pieces of any size, in any encoding that
            contains ASCII, or UTF-16.
    """
    chunks = [source.encode("utf-8", "surrogatepass")] if isinstance(source, str) else source
    report = Report()
    parsers: OrderedDict[str, Parser] = OrderedDict({"": Parser()})
    quiet: bytes = b""
    for block in _blocks(chunks):
        report.lines += block.count(b"\n")
        if any(sign in block for sign in FACTS):
            report.facts.read(block)
        busy = any(not parser.idle for parser in parsers.values())
        if not busy and not any(sign in block for sign in SIGNS):
            quiet = block
            continue
        quiet = b""
        for raw in block.split(b"\n"):
            for line in clean(raw):
                _take(line, report, parsers)
    for parser in parsers.values():
        for failure in parser.close():
            report.add(failure)
    _remember_last(report, quiet)
    return report


def _take(line: Line, report: Report, parsers: OrderedDict[str, Parser]) -> None:
    text = line.text
    if text and not text.isspace():
        report.last = text.strip()[:500]
    parser = parsers.get(line.worker)
    if parser is None:
        parser = parsers[line.worker] = Parser()
        if len(parsers) > WORKERS:
            _, oldest = parsers.popitem(last=False)
            for failure in oldest.close():
                report.add(failure)
    idle = parser.idle
    for failure in parser.feed(text, logged=line.logged):
        report.add(failure)
    if idle or parser.idle or line.logged:
        for failure in loose(text):
            report.add(failure)


def _remember_last(report: Report, block: bytes) -> None:
    for raw in reversed(block.split(b"\n")):
        text = next(clean(raw)).text.strip()
        if text:
            report.last = text[:500]
            return


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces of about `BLOCK` bytes that end with a line; overlong lines are cut."""
    rest = b""
    for chunk in chunks:
        data = rest + _plain(bytes(chunk))
        start = 0
        while len(data) - start > BLOCK:
            end = data.rfind(b"\n", start, start + BLOCK) + 1
            if not end:
                end = data.find(b"\n", start + BLOCK, start + 2 * BLOCK) + 1
            if not end:
                break
            yield data[start:end]
            start = end
        rest = data[start:]
        if len(rest) > 4 * BLOCK:  # one line without end: keep what can be read of it
            rest = rest[:LONGEST] + rest[-LONGEST:]
    if rest:
        yield rest


def _plain(chunk: bytes) -> bytes:
    """Return the bytes with one kind of line end, and without the NULs of UTF-16 and UTF-32."""
    if b"\0" in chunk:
        chunk = chunk.replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return chunk
