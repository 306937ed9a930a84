"""Parse the cleaned lines of one process into chains of exceptions: a state machine, one line a step."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from compat.explain.log.model import ExceptionInfo, Failure, Link, TracebackFrame

MOST_FRAMES = 60
"""Most frames that are kept at each end of a traceback; a recursion has thousands."""
MOST_MORE = 40
"""Most lines of a message that are kept after its first."""
LONGEST_MESSAGE = 4_000

HEADER = "Traceback (most recent call last)"
_FRAME = re.compile(r"""( *)File ["'](.{1,1000}?)["'], line (\d{1,9})(?:,(?: in (.{1,300}))?)?$""")
_HEADLESS = re.compile(r"""()([^\s"':]{1,500}\.pyx?)["'], line (\d{1,9})(?:,(?: in (.{1,300}))?)?$""")
"""A frame that was pasted without its beginning, `File "/usr/lib`."""
_SHORT = re.compile(r"()(\S{1,500}\.pyx?):(\d{1,9}):? in (<?[\w.<>]{1,200}>?)(?:\(.{0,200}\))?$")
_NOTEBOOK = re.compile(r"()(?:File (\S{1,500}?)|Cell In\[\d+\], line):? ?(\d{1,9})(?:,? in (.{1,200}?))?$")
_OLD_NOTEBOOK = re.compile(r"(/\S{1,500}\.py) in (<?\w{1,200}>?)(?:\(.{0,400}\))?$")
"""A frame of older versions of IPython: the arrow before its source line has the number."""
_ARROW = re.compile(
    r"(?:-{1,20}>|[\N{HEAVY RIGHT-POINTING ANGLE BRACKET ORNAMENT}"
    r"\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}>]) {0,8}(\d{1,6}) "
    r"[ \N{BOX DRAWINGS LIGHT VERTICAL}]{0,80}(.*)"
)
_BEGUN = re.compile(r"(?:/|[A-Za-z]:\\)[^\s:]{1,500}(?::\d{0,9}(?: in)?)?$")
"""The begin of a path and its line, whose rest is on the next line, as rich wraps it."""
_NUMBERED = re.compile(r"\d{1,6}(?: |$)")
"""A numbered source line around the one that failed, as IPython and rich show them."""
_EXCEPTION = re.compile(
    r"((?:[A-Za-z_]\w{0,80}\.){0,12}([A-Z]\w{0,80}|[a-z]\w{0,60}Error))(?::(?: (.*)|$)|$)"
)
_KNOWN = re.compile(r"\w*(?:Error|Exception|Exit|Interrupt|Group|NotFound|Unavailable|Timeout)$")
_MARKS = re.compile(r"[\s^~]+$")
_CAUSE = "The above exception was the direct cause of the following exception"
_CONTEXT = "During handling of the above exception, another exception occurred"


@dataclass(slots=True, kw_only=True)
class _Open:
    """A traceback whose end the parser has not seen yet."""

    frames: list[TracebackFrame] = field(default_factory=list)
    indent: int = 0
    """The indentation of the last frame."""
    sourced: bool = True
    """Whether the last frame already has its source line, or has none."""
    kind: str = ""
    message: str = ""
    more: list[str] = field(default_factory=list)
    link: Link | None = None
    blanks: int = 0

    def add(self, frame: TracebackFrame) -> None:
        self.frames.append(frame)
        if len(self.frames) > 2 * MOST_FRAMES:
            del self.frames[MOST_FRAMES]

    def exception(self) -> ExceptionInfo:
        return ExceptionInfo(
            kind=self.kind,
            message=self.message[:LONGEST_MESSAGE],
            more="\n".join(self.more).strip()[:LONGEST_MESSAGE],
            frames=tuple(self.frames),
            link=self.link,
        )


class TracebackParser:
    """Turns the lines of one process into the failures that they contain."""

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._chain: list[ExceptionInfo] = []
        self._link: Link | None = None
        self._begun = ""
        """The path that the line before began and did not end."""

    @property
    def idle(self) -> bool:
        """Whether the parser is outside any traceback."""
        return self._open is None and not self._chain

    def feed(self, text: str, *, logged: bool = False) -> Iterator[Failure]:
        """Parse one line and yield the failure that it completes, if any."""
        stripped = text.strip()
        space = " " if stripped.startswith("in ") or self._begun.endswith(" in") else ""
        whole, self._begun = f"{self._begun}{space}{stripped}" if self._begun else text, ""
        if HEADER in text:
            yield from self._begin()
            self._open = _Open(link=self._link)
            self._link = None
        elif _CAUSE in text:
            self._finish("cause")
        elif _CONTEXT in text:
            self._finish("context")
        elif (found := _frame(whole) or _frame(text)) is not None:
            yield from self._add_frame(*found)
        elif self._open is not None:
            if not self._open.kind and _BEGUN.match(whole.strip()):
                self._begun = whole.strip()
            yield from self._inside(self._open, text, stripped, logged=logged)
        elif stripped and self._chain and self._link is None:
            yield from self.close()

    def close(self) -> Iterator[Failure]:
        """Yield the unfinished failure, if any: the log ends here."""
        if self._open is not None:
            self._finish(None)
        if self._chain:
            yield Failure(chain=tuple(self._chain))
        self._chain, self._link = [], None

    def _begin(self) -> Iterator[Failure]:
        """Complete the current failure, unless the next traceback belongs to its chain."""
        if self._open is not None and not self._open.frames and not self._open.kind:
            self._open = None
        if self._open is not None:
            self._finish(None)
        if self._link is None:
            yield from self.close()

    def _finish(self, link: Link | None) -> None:
        if self._open is not None:
            if self._open.kind or self._open.frames:
                self._chain.append(self._open.exception())
            self._open = None
        self._link = link if self._chain else None
        if len(self._chain) > MOST_FRAMES:
            del self._chain[MOST_FRAMES // 2]

    def _add_frame(self, indent: int, frame: TracebackFrame) -> Iterator[Failure]:
        if self._open is not None and self._open.kind:  # a new traceback without its header line
            yield from self._begin()
        if self._open is None:
            if self._link is None:
                yield from self.close()
            self._open = _Open(link=self._link)
            self._link = None
        self._open.add(frame)
        self._open.indent = indent
        self._open.sourced = frame.path.startswith("<") and frame.path.endswith(">")

    def _inside(self, state: _Open, text: str, stripped: str, *, logged: bool) -> Iterator[Failure]:
        if state.kind:
            yield from self._after_exception(state, stripped)
            return
        if not stripped:
            return
        indent = len(text) - len(text.lstrip(" "))
        arrow = _ARROW.match(stripped)
        if arrow and state.frames:
            self._source(state, arrow[2].strip(), int(arrow[1]))
            return
        if _MARKS.match(text) or (state.frames and _NUMBERED.match(stripped)):
            return
        inside = indent > state.indent or (not state.sourced and (indent == state.indent == 0))
        if state.frames and inside:
            found = _EXCEPTION.match(stripped) if state.sourced or state.indent == 0 else None
            if not found or not _KNOWN.match(found[2]):
                if not state.sourced:
                    self._source(state, stripped)
                return
        found = _EXCEPTION.match(stripped)
        if found and (_KNOWN.match(found[2]) or (state.frames and found[3])):
            state.kind, state.message = found[2], (found[3] or "").strip()
        elif logged and state.frames and state.sourced and indent <= state.indent - 2:
            self._finish(None)  # the traceback is truncated, and the log continues

    def _after_exception(self, state: _Open, stripped: str) -> Iterator[Failure]:
        """Keep a line that may belong to the message; three empty lines end the message."""
        state.blanks = 0 if stripped else state.blanks + 1
        if state.blanks > 2 or len(state.more) >= MOST_MORE:
            self._finish(None)
            yield from self.close()
        else:
            state.more.append(stripped)

    def _source(self, state: _Open, source: str, line: int | None = None) -> None:
        if state.frames[-1].source:
            return
        last = state.frames[-1]
        state.frames[-1] = TracebackFrame(
            path=last.path, line=last.line or line, function=last.function, source=source[:500]
        )
        state.sourced = True


def _frame(text: str) -> tuple[int, TracebackFrame] | None:
    """Return the indentation and the frame of a line, or None if the line is not a frame."""
    if "line " not in text and ".py" not in text and "File " not in text:
        return None
    bare = text.strip()
    patterns = (_FRAME, _HEADLESS, _SHORT, _NOTEBOOK)
    found = _FRAME.match(text) or next((each for one in patterns if (each := one.match(bare))), None)
    if found is None:
        old = _OLD_NOTEBOOK.match(bare)
        return (0, TracebackFrame(path=old[1], function=old[2])) if old else None
    indent = len(text) - len(text.lstrip(" "))
    path = found[2] or "<notebook>"
    return indent, TracebackFrame(path=path, line=int(found[3]), function=found[4] or "")
