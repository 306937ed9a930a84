"""What a log tells of failures: frames, exceptions, and chains of them."""

from dataclasses import dataclass
from typing import Literal

Link = Literal["cause", "context"]
"""How an exception follows on the one before: raised from it, or while it was handled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracebackFrame:
    """One line of a traceback."""

    path: str
    line: int | None = None
    function: str = ""
    source: str = ""
    """The source line, stripped; empty when the log does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionInfo:
    """One exception, as far as the log shows it."""

    kind: str
    """The last part of its type's name; empty when the log breaks off before it."""
    message: str
    """The first line of the message."""
    more: str = ""
    """Further lines: the rest of the message and notes, or what followed."""
    frames: tuple[TracebackFrame, ...] = ()
    link: Link | None = None
    """How it follows on the exception before it in the chain."""

    @property
    def text(self) -> str:
        """The whole message."""
        return f"{self.message}\n{self.more}" if self.more else self.message

    @property
    def line(self) -> str:
        """The exception as Python prints it, its first line."""
        return f"{self.kind}: {self.message}" if self.kind and self.message else self.kind or self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Exceptions that follow on one another, the earliest first."""

    chain: tuple[ExceptionInfo, ...]
    loose: bool = False
    """Whether it is a line that mentions an error, and no traceback."""
