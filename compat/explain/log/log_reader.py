"""Read a log of any size in one pass, block by block, and collect its failures and versions.

Most blocks of a long log are irrelevant. A search for a few byte strings skips them, as fast as reading.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from compat.explain.log import installer_output
from compat.explain.log.cleaning import LONGEST, LogLine, clean
from compat.explain.log.error_lines import loose
from compat.explain.log.line_order import in_order
from compat.explain.log.model import Failure
from compat.explain.log.traceback_parser import TracebackParser
from compat.explain.log.versions import LogFacts

BLOCK = 1 << 15
"""Bytes to search at a time."""
LINES = 50_000
"""Most lines that are parsed because their block has any sign, and again because it has a strong one.
Beyond that only the end of the log is parsed: a log that consists of errors repeats itself."""
TAIL = 8
"""Blocks at the end of a log that are parsed despite the limits."""
FACT_BLOCKS = 200
"""Most blocks that are searched for versions; of later ones, the last `TAIL`."""
PLACE_BLOCKS = 40
"""Most blocks that are searched for the places of logging calls: a server says what it is at its start."""
PROSE_BLOCKS = 2
"""Most blocks that are searched for versions in prose: a report that somebody wrote is short."""
WORKERS = 64
"""Most processes whose tracebacks are parsed at the same time."""
MOST_REFUSALS = 100
"""Most errors of pip and uv that are parsed."""
MOST_FAILURES = 200
"""Most distinct failures that are kept: the first half and the last half."""
SIGNS = (
    b"Traceback", b"Error", b"rror:", b"Exception", b'File "', b'.py", line ', b"NotFound", b"cannot import",
    b"File /", b"File ~", b"No module named", b"shared object", b"undefined symbol", b"version `",
    b"kernel image", b"quantization method", b"infer device", b"CUDA GPUs", b"too old", b"CUDA enabled",
    b"NumPy 1",
    b"incompatible", b"has no attribute", b"for option 'gpu-name'", b"gpu architecture",
    b"nexpected keyword", b"Could not import module", b"common_ops library", *installer_output.SIGNS,
)  # fmt: skip
"""A block without any of these contains no failure."""
STRONG = (
    b"ImportError", b"ModuleNotFound", b"cannot import", b"No module named", b"shared object", b"NameError",
    b"undefined symbol", b"version `", b"kernel image", b"quantization method", b"infer device", b"CUDA GPUs",
)  # fmt: skip
"""The signs that failed imports leave."""
FACTS = (
    b"vLLM", b"vllm=", b"vllm-", b"vllm ", b"LLM engine (v", b"sglang", b"SGLang", b"Name: ", b"-info",
    b"[pip", b"==", b"[conda]", b"Package ", b"Successfully installed", b"/python3.", b"nvidia/cu1",
    b"llm: ", b"llm : ", b"orch: ", b"orch : ", b"ersion: ", b"ersion**: ",
)  # fmt: skip
"""A block without any of these contains no version."""


_CUT = re.compile(rb"(cannot import name '[\w.]{1,200}')[ \t]{0,8}\n[ \t>]{0,8}from\b")
"""A message that someone wrapped while pasting it."""
_CUT_SYMBOL = re.compile(rb"(undefined symbol:)[ \t]{0,8}\n[ \t>]{0,8}(?=\w)")
_CUT_PATH = re.compile(rb"(\.so[\w.]{0,20}:)[ \t]{0,8}\n[ \t>]{0,8}(?=undefined symbol:)")


@dataclass(slots=True, kw_only=True)
class LogContents:
    """The failures and versions that a log contains."""

    failures: list[Failure] = field(default_factory=list)
    """Tracebacks without duplicates, in the order in which they end."""
    mentions: list[Failure] = field(default_factory=list)
    """Error lines outside tracebacks, without duplicates."""
    facts: LogFacts = field(default_factory=LogFacts)
    lines: int = 0
    """The number of lines in the log."""
    last: str = ""
    """The last non-empty line, cleaned."""
    _seen: set[int] = field(default_factory=set)

    def add(self, failure: Failure) -> None:
        """Add a failure, unless it is a duplicate; beyond the limit, drop one from the middle."""
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
    """Return the failures and versions that a log contains.

    Args:
        source: the text, or its bytes in chunks of any size, in UTF-8, another superset of ASCII, or UTF-16.
    """
    chunks = [source.encode("utf-8", "surrogatepass")] if isinstance(source, str) else source
    reader = _LogReader()
    block = b""
    for block in _blocks(chunks):
        reader.read_block(block)
    return reader.end(block)


class _LogReader:
    """Collects the contents of a log from its blocks, and decides which blocks to parse."""

    def __init__(self) -> None:
        self.contents = LogContents()
        self._parsers: OrderedDict[str, TracebackParser] = OrderedDict({"": TracebackParser()})
        self._busy: set[str] = set()
        self._lines_left, self._strong_lines_left = LINES, LINES
        self._fact_blocks_left = FACT_BLOCKS
        self._place_blocks_left = PLACE_BLOCKS
        self._prose_blocks_left = PROSE_BLOCKS
        self._refusals_left = MOST_REFUSALS
        self._skipped: deque[bytes] = deque(maxlen=TAIL)
        self._last_fact_blocks: deque[bytes] = deque(maxlen=TAIL)

    def read_block(self, block: bytes) -> None:
        """Process the next block; it ends with a complete line."""
        self.contents.lines += block.count(b"\n")
        refused = self._place_blocks_left > 0 and any(sign in block for sign in installer_output.RARE_SIGNS)
        if self._place_blocks_left > 0:
            self._place_blocks_left -= 1
            self.contents.facts.read_places(block)
        if self._prose_blocks_left > 0:
            self._prose_blocks_left -= 1
            self.contents.facts.read_prose(block)
        if any(sign in block for sign in FACTS):
            if self._fact_blocks_left > 0:
                self._fact_blocks_left -= 1
                self.contents.facts.read(block)
            else:
                self._last_fact_blocks.append(block)
        if not self._busy and not refused and not any(sign in block for sign in SIGNS):
            return
        if self._lines_left > 0:
            self._lines_left -= block.count(b"\n")
            self._read(block)
        elif self._strong_lines_left > 0 and any(sign in block for sign in STRONG):
            self._strong_lines_left -= block.count(b"\n")
            if self._skipped:
                self._read(self._skipped.pop())  # the head of the traceback may be in it
            self._skipped.clear()
            self._read(block)
        else:
            self._close()
            self._skipped.append(block)

    def end(self, last: bytes) -> LogContents:
        """Return the contents of the log; `last` is its last block."""
        for block in self._last_fact_blocks:
            self.contents.facts.read(block)
        for block in self._skipped:
            self._read(block)
        self._close()
        _remember_last(self.contents, last)
        return self.contents

    def _read(self, block: bytes) -> None:
        if b"cannot import name" in block:
            block = _CUT.sub(rb"\1 from", block)
        if b"undefined symbol:" in block:
            block = _CUT_SYMBOL.sub(rb"\1 ", _CUT_PATH.sub(rb"\1 ", block))
        if b"requires " in block:
            block = installer_output.unwrapped(block)
        if self._refusals_left > 0 and any(sign in block for sign in installer_output.EVERY):
            refused = list(islice(installer_output.installer_failures(block), self._refusals_left))
            self._refusals_left -= len(refused)
            self._keep(refused)
        before, block = b"", in_order(block)
        for raw in block.split(b"\n"):
            if self._busy or any(sign in raw for sign in SIGNS):
                for line in clean(raw[:LONGEST]):
                    self._line(line, before)
            before = raw

    def _line(self, line: LogLine, before: bytes) -> None:
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
            above = clean(before[:LONGEST])[-1].text if "argument" in line.text else ""
            self._keep(loose(line.text, above))

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
    """Yield blocks of about `BLOCK` bytes that end with a complete line; overlong lines are truncated."""
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
        if len(rest) > 4 * BLOCK:  # one overlong line: its start and end are all that is parsed
            rest = rest[:LONGEST] + rest[-LONGEST:]
    if rest:
        yield rest


def _plain(chunk: bytes) -> bytes:
    """Return the bytes with LF as the only line end, and without the NULs of UTF-16 and UTF-32."""
    if b"\0" in chunk:
        chunk = chunk.replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return chunk
