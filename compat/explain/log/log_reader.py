"""A log of any size, read once in blocks: what is told in it of failures and of releases.

Most blocks of a long log hold nothing of interest. They are passed over after a search for a few words, which
is as fast as reading them.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from compat.explain.log import installer_output
from compat.explain.log.cleaning import LONGEST, LogLine, clean
from compat.explain.log.error_lines import loose
from compat.explain.log.model import Failure
from compat.explain.log.traceback_parser import TracebackParser
from compat.explain.log.versions import LogFacts

BLOCK = 1 << 15
"""Bytes that are searched at a time."""
LINES = 50_000
"""Lines that are looked at closely because of any sign, and again as many because of a strong one. Of what is
beyond that only the end is read: a log that is nothing but errors repeats itself."""
TAIL = 8
"""Blocks at the end of such a log that are read all the same."""
FACT_BLOCKS = 200
"""Blocks that are searched for releases; of those beyond, the last `TAIL`."""
WORKERS = 64
"""Processes whose tracebacks may be under way at once."""
MOST_REFUSALS = 100
"""Times that pip or uv gave up which are read; a log has a handful."""
MOST_FAILURES = 200
"""Distinct failures that are kept: the first half, and the last."""
SIGNS = (
    b"Traceback", b"Error", b"rror:", b"Exception", b'File "', b"NotFound", b"cannot import",
    b"No module named", b"shared object", b"undefined symbol", b"version `", b"kernel image",
    b"quantization method", b"infer device", b"CUDA GPUs", b"too old", b"CUDA enabled", b"NumPy 1",
    b"incompatible", b"has no attribute", b"for option 'gpu-name'", b"gpu architecture",
    b"unexpected keyword", *installer_output.SIGNS,
)  # fmt: skip
"""A block without any of these tells of no failure."""
STRONG = (
    b"ImportError", b"ModuleNotFound", b"cannot import", b"No module named", b"shared object", b"NameError",
    b"undefined symbol", b"version `", b"kernel image", b"quantization method", b"infer device", b"CUDA GPUs",
)  # fmt: skip
"""Those of them that imports fail with."""
FACTS = (
    b"vLLM", b"vllm=", b"vllm-", b"vllm ", b"LLM engine (v", b"sglang", b"SGLang", b"Name: ", b"-info",
    b"[pip", b"==", b"[conda]", b"Package ", b"Successfully installed", b"/python3.",
)  # fmt: skip
"""A block without any of these tells of no release."""


_CUT = re.compile(rb"(cannot import name '[\w.]{1,200}')[ \t]{0,8}\n[ \t>]{0,8}from\b")
"""A message that a person has broken where it goes on."""


@dataclass(slots=True, kw_only=True)
class LogContents:
    """What a whole log tells."""

    failures: list[Failure] = field(default_factory=list)
    """Tracebacks, in the order in which they end; each distinct one once."""
    mentions: list[Failure] = field(default_factory=list)
    """Lines that tell of an error without a traceback; each distinct one once."""
    facts: LogFacts = field(default_factory=LogFacts)
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


def read(source: str | Iterable[bytes]) -> LogContents:
    """Return what a log tells.

    Args:
        source: the text, or its bytes in pieces of any size, in any encoding that
            contains ASCII, or UTF-16.
    """
    chunks = [source.encode("utf-8", "surrogatepass")] if isinstance(source, str) else source
    reader = _LogReader()
    block = b""
    for block in _blocks(chunks):
        reader.take(block)
    return reader.end(block)


class _LogReader:
    """Takes blocks, and decides how closely to look at each."""

    def __init__(self) -> None:
        self.contents = LogContents()
        self._parsers: OrderedDict[str, TracebackParser] = OrderedDict({"": TracebackParser()})
        self._busy: set[str] = set()
        self._general, self._strong = LINES, LINES
        self._telling = FACT_BLOCKS
        self._refusals = MOST_REFUSALS
        self._passed: deque[bytes] = deque(maxlen=TAIL)
        self._told: deque[bytes] = deque(maxlen=TAIL)

    def take(self, block: bytes) -> None:
        """Read a block that ends with a line."""
        self.contents.lines += block.count(b"\n")
        if any(sign in block for sign in FACTS):
            if self._telling > 0:
                self._telling -= 1
                self.contents.facts.read(block)
            else:
                self._told.append(block)
        if not self._busy and not any(sign in block for sign in SIGNS):
            return
        if self._general > 0:
            self._general -= block.count(b"\n")
            self._read(block)
        elif self._strong > 0 and any(sign in block for sign in STRONG):
            self._strong -= block.count(b"\n")
            if self._passed:
                self._read(self._passed.pop())  # it may hold the head of the traceback
            self._passed.clear()
            self._read(block)
        else:
            self._close()
            self._passed.append(block)

    def end(self, last: bytes) -> LogContents:
        """Return what has been found; `last` is the last block of the log."""
        for block in self._told:
            self.contents.facts.read(block)
        for block in self._passed:
            self._read(block)
        self._close()
        _remember_last(self.contents, last)
        return self.contents

    def _read(self, block: bytes) -> None:
        if b"cannot import name" in block:
            block = _CUT.sub(rb"\1 from", block)
        if self._refusals > 0 and any(sign in block for sign in installer_output.SIGNS):
            refused = list(islice(installer_output.told(block), self._refusals))
            self._refusals -= len(refused)
            self._keep(refused)
        for raw in block.split(b"\n"):
            if self._busy or any(sign in raw for sign in SIGNS):
                for line in clean(raw[:LONGEST]):
                    self._line(line)

    def _line(self, line: LogLine) -> None:
        parser = self._parsers.get(line.worker)
        if parser is None:
            parser = self._parsers[line.worker] = TracebackParser()
            if len(self._parsers) > WORKERS:
                worker, oldest = self._parsers.popitem(last=False)
                self._busy.discard(worker)
                self._keep(oldest.close())
        idle = parser.idle
        self._keep(parser.feed(line.text, logged=line.logged))
        if parser.idle:
            self._busy.discard(line.worker)
        else:
            self._busy.add(line.worker)
        if (idle or parser.idle or line.logged) and not line.debug:
            self._keep(loose(line.text))

    def _close(self) -> None:
        for parser in self._parsers.values():
            self._keep(parser.close())
        self._busy.clear()

    def _keep(self, failures: Iterable[Failure]) -> None:
        for failure in failures:
            self.contents.add(failure)


def _remember_last(contents: LogContents, block: bytes) -> None:
    for raw in reversed(block.split(b"\n")):
        text = clean(raw[:LONGEST])[0].text.strip()
        if text:
            contents.last = text[:500]
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
