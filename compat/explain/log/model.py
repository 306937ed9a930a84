"""The data model of failures in a log: frames, exceptions, and chains of exceptions."""

from dataclasses import dataclass
from typing import Literal

Link = Literal["cause", "context"]
"""How an exception is chained to the one before: raised from it, or raised while it was handled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracebackFrame:
    """One frame of a traceback."""

    path: str
    line: int | None = None
    function: str = ""
    source: str = ""
    """The source line, stripped; empty if the log does not contain it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionInfo:
    """One exception, as far as the log contains it."""

    kind: str
    """The unqualified name of its type; empty if the log is truncated before it."""
    message: str
    """The first line of the message."""
    more: str = ""
    """The lines after the first: the rest of the message, notes, or unrelated lines that followed."""
    frames: tuple[TracebackFrame, ...] = ()
    link: Link | None = None
    """How it is chained to the exception before it; None for the first."""

    @property
    def text(self) -> str:
        """The whole message, with the further lines."""
        return f"{self.message}\n{self.more}" if self.more else self.message

    @property
    def line(self) -> str:
        """The first line of the exception as Python prints it, `ImportError: …`."""
        return f"{self.kind}: {self.message}" if self.kind and self.message else self.kind or self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A chain of exceptions, the earliest first."""

    chain: tuple[ExceptionInfo, ...]
    loose: bool = False
    """Whether it comes from an error line rather than a traceback."""
