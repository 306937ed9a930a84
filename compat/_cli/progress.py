"""Progress as an observer: library code reports, and the command decides whether anybody sees it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives the advance of one task."""

    def advance(self, amount: int = 1) -> None:
        """Report that `amount` more units (files, bytes, modules) are done."""

    def note(self, message: str) -> None:
        """Report something a person should know, such as a fall-back."""


class Silent:
    """Drops everything; the default everywhere."""

    def advance(self, amount: int = 1) -> None:
        """Drop it."""

    def note(self, message: str) -> None:
        """Drop it."""


class NoteLines:
    """Passes notes on as lines on stderr and draws nothing: for pipes, files and CI logs."""

    def advance(self, amount: int = 1) -> None:
        """Draw nothing."""

    def note(self, message: str) -> None:
        """Write the note to stderr."""
        print(f"compat: {message}", file=sys.stderr, flush=True)


@contextmanager
def on_terminal(title: str, total: int | None, *, unit_bytes: bool = False) -> Iterator[Progress]:
    """Yield an observer that draws a bar on stderr when that is a terminal, else one that writes notes only.

    Args:
        title: what is being done, in two or three words.
        total: units in all, or None when unknown.
        unit_bytes: whether the units are bytes, to be shown as such.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield NoteLines()
        return
    try:
        from rich import progress as bars
        from rich.console import Console
    except ImportError:
        yield NoteLines()
        return
    counts = bars.DownloadColumn() if unit_bytes else bars.MofNCompleteColumn()
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), counts, bars.TimeRemainingColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(title, total=total)

        class Bar:
            def advance(self, amount: int = 1) -> None:
                drawn.advance(task, amount)

            def note(self, message: str) -> None:
                drawn.console.print(f"compat: {message}", highlight=False, markup=False)

        yield Bar()
